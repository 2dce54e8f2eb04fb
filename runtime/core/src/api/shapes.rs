//! The test-only service that has every call shape and misbehaves on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream;
use pillion_proto::testing::v1::{
    ActRequest, ActResponse, CollectRequest, CollectResponse, ConverseRequest, ConverseResponse, CountRequest,
    CountResponse, EchoRequest, EchoResponse, ExpandRequest, ExpandResponse, act_request::Act, collect_request::Part,
    expand_request::Then,
};
use pillion_proto::{Call, CallGuard, CallHook, Cx, Ending, Error, Events, Reason, Result, ShapesApi};
use pillion_spi::Clock;

/// Implements the service, and counts as a hook how its calls end.
#[derive(Clone, Debug)]
pub struct Shapes {
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    uploads: AtomicU64,
}

impl Shapes {
    /// A service that waits on `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, counts: Arc::default() }
    }
}

impl CallHook for Shapes {
    fn begin(&self, call: &Call<'_>, _: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        if call.info.block != "shapes" || call.info.method == "Count" {
            return Ok(None);
        }
        self.counts.begun.fetch_add(1, Relaxed);
        Ok(Some(Box::new(Counted(self.counts.clone()))))
    }
}

struct Counted(Arc<Counts>);

impl CallGuard for Counted {
    fn end(self: Box<Self>, ending: Ending<'_>) {
        let count = match ending {
            Ending::Ok => &self.0.succeeded,
            Ending::Failed(_) => &self.0.failed,
            Ending::Dropped => &self.0.dropped,
        };
        count.fetch_add(1, Relaxed);
    }
}

#[async_trait]
impl ShapesApi for Shapes {
    async fn echo(&self, _: &Cx, request: EchoRequest) -> Result<EchoResponse> {
        Ok(EchoResponse { label: request.label, kinds: request.kinds })
    }

    async fn act(&self, _: &Cx, request: ActRequest) -> Result<ActResponse> {
        let act = request.act();
        if let Some(after) = request.after.and_then(|after| Duration::try_from(after).ok()) {
            self.clock.sleep(after).await;
        }
        match act {
            Act::Unspecified | Act::Answer => Ok(ActResponse {}),
            Act::Fail => {
                let reason = Reason::from_name(&request.reason).unwrap_or(Reason::Unspecified);
                let mut metadata: Vec<_> = request.metadata.into_iter().collect();
                metadata.sort();
                let error = Error::new(reason, "as asked");
                Err(metadata.into_iter().fold(error, |error, (name, value)| error.with(name, value)))
            }
            Act::Panic => panic!("as asked"),
        }
    }

    async fn expand(&self, _: &Cx, request: ExpandRequest) -> Result<Events<ExpandResponse>> {
        let then = request.then();
        let every = request.every.and_then(|every| Duration::try_from(every).ok());
        let clock = self.clock.clone();
        Ok(Events::new(stream::unfold(0, move |index| {
            let clock = clock.clone();
            async move {
                if let Some(every) = every {
                    clock.sleep(every).await;
                }
                let item = Ok(ExpandResponse { index });
                if index < request.count {
                    return Some((item, index + 1));
                }
                match then {
                    Then::Unspecified | Then::End => None,
                    Then::Fail if index > request.count => None,
                    Then::FailAndGoOn if index > request.count => Some((item, index + 1)),
                    Then::Fail | Then::FailAndGoOn => {
                        Some((Err(Error::new(Reason::StateEtagMismatch, "as asked")), index + 1))
                    }
                    Then::Panic => panic!("as asked"),
                    Then::Hang => std::future::pending().await,
                }
            }
        })))
    }

    async fn collect(&self, _: &Cx, mut requests: Events<CollectRequest>) -> Result<CollectResponse> {
        let mut received = 0;
        while let Some(request) = requests.next().await? {
            match request.part {
                Some(Part::Chunk(chunk)) => received += chunk.len() as u64,
                Some(Part::Total(total)) if total == received => {
                    self.counts.uploads.fetch_add(1, Relaxed);
                    return Ok(CollectResponse { received });
                }
                Some(Part::Total(total)) => {
                    let message = format!("the upload has {received} bytes and says that it has {total}");
                    return Err(Error::new(Reason::RequestInvalid, message));
                }
                None => return Err(Error::new(Reason::RequestInvalid, "a part without contents")),
            }
        }
        Err(Error::new(Reason::RequestInvalid, "the upload ended without its final message"))
    }

    async fn converse(&self, _: &Cx, requests: Events<ConverseRequest>) -> Result<Events<ConverseResponse>> {
        Ok(requests.try_map(|request| Ok(ConverseResponse { text: request.text.to_uppercase() })))
    }

    async fn count(&self, _: &Cx, _: CountRequest) -> Result<CountResponse> {
        let counts = &self.counts;
        let (succeeded, failed, dropped) =
            (counts.succeeded.load(Relaxed), counts.failed.load(Relaxed), counts.dropped.load(Relaxed));
        Ok(CountResponse {
            open: counts.begun.load(Relaxed).saturating_sub(succeeded + failed + dropped),
            succeeded,
            failed,
            dropped,
            uploads: counts.uploads.load(Relaxed),
        })
    }
}
