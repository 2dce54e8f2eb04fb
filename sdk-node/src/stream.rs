//! Calls with a stream on one side or both.

use std::sync::Arc;

use futures::future::BoxFuture;
use napi::bindgen_prelude::Unknown;
use napi::{Env, Result};
use napi_derive::napi;
use pillion::{Error, Events, Reason};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use crate::bridge::{Answer, Calls, plain};
use crate::convert::{Read, request};
use crate::error::{exception, guarded};
use crate::runtime;

/// Messages of an upload that the call has not taken yet.
const UPLOAD_QUEUE: usize = 16;

/// Opens a stream of answers.
pub type Opening = BoxFuture<'static, pillion::Result<Events<Answer>>>;

/// A stream, which is pulled: a message is taken from the runtime when it is asked for.
#[napi]
pub struct Stream {
    calls: Arc<Calls>,
    receiving: Held,
    upload: Option<Box<dyn Upload>>,
}

/// The receiving side, which ends with the object that JavaScript has.
struct Held(Arc<AsyncMutex<Receiving>>);

impl Held {
    fn end(&self) {
        let receiving = self.0.clone();
        runtime::spawn(async move { *receiving.lock().await = Receiving::Ended });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end();
    }
}

enum Receiving {
    Opening(Opening),
    Open(Events<Answer>),
    Ended,
}

impl Receiving {
    async fn opened(&mut self) -> pillion::Result<()> {
        if let Self::Opening(opening) = self {
            match opening.await {
                Ok(events) => *self = Self::Open(events),
                Err(error) => {
                    *self = Self::Ended;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> pillion::Result<Option<Answer>> {
        self.opened().await?;
        match self {
            Self::Open(events) => events.next().await,
            Self::Opening(_) | Self::Ended => Ok(None),
        }
    }
}

#[napi]
impl Stream {
    /// Waits until the runtime has taken the call: `true`.
    #[napi]
    pub fn opened<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        guarded(|| {
            let receiving = self.receiving.0.clone();
            self.calls.begin(env, async move {
                receiving.lock().await.opened().await?;
                Ok(plain(true))
            })
        })
    }

    /// The next message; `undefined` at the end.
    #[napi]
    pub fn next<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        guarded(|| {
            let receiving = self.receiving.0.clone();
            self.calls.begin(env, async move {
                let next = receiving.lock().await.next().await?;
                Ok(next.unwrap_or_else(|| plain(())))
            })
        })
    }

    /// Sends a message, as soon as there is room for it; `false` if the call takes no more.
    #[napi]
    pub fn send<'env>(&self, env: &'env Env, message: Unknown<'env>) -> Result<Unknown<'env>> {
        self.uploading(env, |upload| upload.send(message))
    }

    /// Ends the sending side well.
    #[napi]
    pub fn finish<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        self.uploading(env, |upload| Ok(upload.finish()))
    }

    /// Ends the sending side with an error, so that what was sent never looks complete.
    #[napi]
    pub fn fail<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        self.uploading(env, |upload| Ok(upload.fail()))
    }

    /// Drops the call. Who waits for it still has to be cancelled.
    #[napi]
    pub fn close(&self) -> Result<()> {
        guarded(|| {
            self.receiving.end();
            Ok(())
        })
    }
}

impl Stream {
    /// A stream that only answers.
    pub fn answers(calls: Arc<Calls>, opening: Opening) -> Self {
        Self { calls, receiving: Held(Arc::new(AsyncMutex::new(Receiving::Opening(opening)))), upload: None }
    }

    /// A stream that also sends.
    pub fn uploads(calls: Arc<Calls>, opening: Opening, upload: Box<dyn Upload>) -> Self {
        Self { upload: Some(upload), ..Self::answers(calls, opening) }
    }

    fn uploading<'env>(
        &self,
        env: &'env Env,
        send: impl FnOnce(&dyn Upload) -> Result<BoxFuture<'static, bool>>,
    ) -> Result<Unknown<'env>> {
        guarded(|| {
            let takes_nothing = || Error::new(Reason::RequestInvalid, "nothing can be sent on this stream");
            let upload = self.upload.as_deref().ok_or_else(|| exception(&takes_nothing()))?;
            let sent = send(upload)?;
            self.calls.begin(env, async move { Ok(plain(sent.await)) })
        })
    }
}

/// The sending side of a stream.
pub trait Upload: Send + Sync {
    /// Sends a message; whether the call took it.
    fn send(&self, message: Unknown<'_>) -> Result<BoxFuture<'static, bool>>;
    /// Ends it well.
    fn finish(&self) -> BoxFuture<'static, bool>;
    /// Ends it with an error.
    fn fail(&self) -> BoxFuture<'static, bool>;
}

/// What goes through the queue. One that closes without an end was given up, and must not look finished.
enum Sent<Q> {
    Message(Q),
    Finished,
    Failed,
}

/// The sending side, for requests of one type.
struct Requests<Q>(mpsc::Sender<Sent<Q>>);

/// Both ends of an upload.
pub fn upload<Q: Read + Send + 'static>() -> (Box<dyn Upload>, Events<Q>) {
    let (sender, receiver) = mpsc::channel(UPLOAD_QUEUE);
    let requests = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<Sent<Q>>| async {
        match receiver.recv().await {
            Some(Sent::Message(message)) => Some((Ok(message), receiver)),
            Some(Sent::Finished) => None,
            Some(Sent::Failed) | None => {
                let failure = Error::new(Reason::RequestCancelled, "the sender failed before the end of its messages");
                Some((Err(failure), receiver))
            }
        }
    });
    (Box::new(Requests(sender)), Events::new(requests))
}

impl<Q: Send + 'static> Requests<Q> {
    fn push(&self, sent: Sent<Q>) -> BoxFuture<'static, bool> {
        let sender = self.0.clone();
        Box::pin(async move { sender.send(sent).await.is_ok() })
    }
}

impl<Q: Read + Send + 'static> Upload for Requests<Q> {
    fn send(&self, message: Unknown<'_>) -> Result<BoxFuture<'static, bool>> {
        Ok(self.push(Sent::Message(request(message)?)))
    }

    fn finish(&self) -> BoxFuture<'static, bool> {
        self.push(Sent::Finished)
    }

    fn fail(&self) -> BoxFuture<'static, bool> {
        self.push(Sent::Failed)
    }
}
