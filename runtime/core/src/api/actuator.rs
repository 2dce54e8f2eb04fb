//! Actuator: how the runtime and its components are.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use pillion_proto::actuator::v1::{
    CheckLiveRequest, CheckLiveResponse, CheckReadyRequest, CheckReadyResponse, ComponentState, ComponentStatus,
    GetMetricsRequest, GetMetricsResponse, GetStatusRequest, GetStatusResponse,
};
use pillion_proto::{ActuatorApi, Cx, Error, Reason, Result, Timestamp};
use pillion_spi::Clock;
use tokio::sync::watch;

use super::state;
use crate::hook::metrics::Metrics;
use crate::slot::{Phase, Slot, Status};

/// What the runtime says of itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// `embedded`, `dev` or `serve`.
    pub mode: String,
    /// The application it belongs to.
    pub app_id: Option<String>,
    /// Where its configuration came from.
    pub configuration: String,
}

/// The actuator of a runtime.
#[derive(Debug)]
pub struct Actuator {
    about: About,
    slots: Vec<Arc<Slot>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    started: Instant,
    addresses: watch::Receiver<Vec<String>>,
}

impl Actuator {
    /// An actuator that watches `slots`. The addresses are known only once the runtime listens.
    pub fn new(
        about: About,
        slots: Vec<Arc<Slot>>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        addresses: watch::Receiver<Vec<String>>,
    ) -> Self {
        Self { about, slots, metrics, started: clock.now(), clock, addresses }
    }
}

#[async_trait]
impl ActuatorApi for Actuator {
    async fn check_live(&self, _: &Cx, _: CheckLiveRequest) -> Result<CheckLiveResponse> {
        Ok(CheckLiveResponse {})
    }

    async fn check_ready(&self, _: &Cx, _: CheckReadyRequest) -> Result<CheckReadyResponse> {
        let waiting: Vec<_> = self
            .slots
            .iter()
            .filter_map(|slot| match slot.status().phase {
                Phase::Ready => None,
                Phase::Connecting => Some(format!("{} (connecting)", slot.name())),
                // The cause may name hosts and users; whoever may read the status sees it there.
                Phase::Failed { .. } => Some(format!("{} (failed)", slot.name())),
                Phase::Closed => Some(format!("{} (closed)", slot.name())),
            })
            .collect();
        if waiting.is_empty() {
            return Ok(CheckReadyResponse {});
        }
        let names = waiting.join(", ");
        Err(Error::new(Reason::ActuatorNotReady, format!("not usable: {names}")).with("components", names))
    }

    async fn get_status(&self, _: &Cx, _: GetStatusRequest) -> Result<GetStatusResponse> {
        let components: Vec<_> = self.slots.iter().map(|slot| component(slot)).collect();
        Ok(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.about.mode.clone(),
            app_id: self.about.app_id.clone().unwrap_or_default(),
            uptime: Some(self.clock.now().duration_since(self.started).into()),
            addresses: self.addresses.borrow().clone(),
            configuration: self.about.configuration.clone(),
            ready: components.iter().all(|component| component.state() == ComponentState::Ready),
            components,
        })
    }

    async fn get_metrics(&self, _: &Cx, _: GetMetricsRequest) -> Result<GetMetricsResponse> {
        let text = self
            .metrics
            .text()
            .map_err(|error| Error::new(Reason::Unspecified, "the metrics cannot be written").source(error))?;
        Ok(GetMetricsResponse { text, content_type: crate::hook::metrics::CONTENT_TYPE.to_owned() })
    }
}

fn component(slot: &Slot) -> ComponentStatus {
    let Status { phase, since, attempts } = slot.status();
    let (state, cause, advice) = match phase {
        Phase::Connecting => (ComponentState::Connecting, String::new(), None),
        Phase::Ready => (ComponentState::Ready, String::new(), None),
        Phase::Failed { cause, advice, .. } => (ComponentState::Failed, cause, advice),
        Phase::Closed => (ComponentState::Failed, "the runtime is shutting down".to_owned(), None),
    };
    let store = slot.opened().filter(|_| state == ComponentState::Ready);
    ComponentStatus {
        name: slot.name().to_owned(),
        r#type: slot.component_type().to_owned(),
        state: state.into(),
        since: timestamp(since),
        cause,
        advice: advice.unwrap_or_default(),
        attempts,
        capabilities: store.map(|store| state::capabilities(store).collect()).unwrap_or_default(),
        durability: store.map(|store| crate::translate::durability(store.caps().durability)),
    }
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp { seconds: i64::try_from(since.as_secs()).ok()?, nanos: i32::try_from(since.subsec_nanos()).ok()? })
}
