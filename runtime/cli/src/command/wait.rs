//! `pillion wait`

use std::sync::Arc;
use std::time::Duration;

use pillion_proto::Error;
use pillion_proto::actuator::v1::{CheckLiveRequest, CheckReadyRequest};
use pillion_spi::{Clock, SystemClock};
use serde_json::json;

use super::client::{Remote, block_on};
use crate::arguments::{Arguments, Wait};
use crate::exit::{self, Failure};
use crate::output::Output;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// For one answer: a runtime that is starting may accept and not answer yet.
const ANSWER: Duration = Duration::from_secs(2);

pub(crate) fn run(arguments: &Arguments, wait: &Wait, output: &Output) -> Result<u8, Failure> {
    block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let remote = Remote::connect(arguments).await?;
        let began = clock.now();
        loop {
            let left = arguments.timeout.saturating_sub(clock.now().duration_since(began));
            let Err(error) = ask(&remote, wait.ready, left).await else { break };
            if left <= PAUSE {
                let what = if wait.ready { "ready" } else { "up" };
                let text = format!("{} was not {what} in time; last: {}", arguments.endpoint, error.message());
                return Err(Failure::Message(text, exit::TIMEOUT));
            }
            clock.sleep(PAUSE).await;
        }
        let waited = clock.now().duration_since(began).as_millis();
        if output.json {
            output.data(&json!({ "ready": wait.ready, "live": true, "waitedMs": waited as u64 }))?;
        } else {
            output.say(format_args!("{} after {waited} ms", if wait.ready { "ready" } else { "up" }));
        }
        Ok(exit::OK)
    })
}

async fn ask(remote: &Remote, ready: bool, left: Duration) -> Result<(), Error> {
    let cx = remote.within(left.min(ANSWER));
    if ready {
        remote.apis.actuator.check_ready(&cx, CheckReadyRequest {}).await.map(|_| ())
    } else {
        remote.apis.actuator.check_live(&cx, CheckLiveRequest {}).await.map(|_| ())
    }
}
