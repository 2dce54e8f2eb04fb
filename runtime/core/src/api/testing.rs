//! The test kit of an embedded runtime: `pillion.testing.v1.TestingService`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pillion_proto::testing::v1::{
    AdvanceClockRequest, AdvanceClockResponse, FailRequest, FailResponse, ResetRequest, ResetResponse,
};
use pillion_proto::{CallInfo, Cx, Error, METHODS, Reason, Result, TestingApi};
use pillion_spi::VirtualClock;

use crate::hook::fault::{Fault, Faults};

/// The farthest that the clock moves in one call. Clocks of the machine cannot count for ever.
const FARTHEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Moves the clock and makes components fail.
#[derive(Debug)]
pub struct Testing {
    clock: Arc<VirtualClock>,
    faults: Arc<Faults>,
    components: BTreeSet<String>,
}

impl Testing {
    /// The kit of a runtime that has these components, runs on `clock` and asks `faults` as its last hook.
    pub fn new(clock: Arc<VirtualClock>, faults: Arc<Faults>, components: BTreeSet<String>) -> Self {
        Self { clock, faults, components }
    }
}

#[async_trait]
impl TestingApi for Testing {
    async fn advance_clock(&self, _: &Cx, request: AdvanceClockRequest) -> Result<AdvanceClockResponse> {
        let by = request.by.and_then(|by| Duration::try_from(by).ok());
        let by = by.filter(|by| !by.is_zero() && *by <= FARTHEST).ok_or_else(|| {
            Error::new(Reason::RequestInvalid, "the clock moves forward only, by at most 100 years at a time")
        })?;
        self.clock.advance(by);
        Ok(AdvanceClockResponse {})
    }

    async fn fail(&self, _: &Cx, request: FailRequest) -> Result<FailResponse> {
        // A fault that can never happen would make a test pass that shows nothing.
        let FailRequest { block, component, operation, after, times, reason } = request;
        let of_block = |info: &&CallInfo| info.block == block;
        let mut methods = METHODS.iter().map(|method| method.info).filter(of_block).peekable();
        if methods.peek().is_none() {
            return Err(unknown("building block", &block));
        }
        if !operation.is_empty() && !methods.any(|info| info.operation == format!("{block}.{operation}")) {
            return Err(unknown(&format!("method of the building block `{block}`"), &operation));
        }
        if !component.is_empty() && !self.components.contains(&component) {
            return Err(unknown("component", &component));
        }
        let reason = match reason.as_str() {
            "" => Reason::ComponentUnavailable,
            name => Reason::from_name(name).ok_or_else(|| unknown("reason of errors", name))?,
        };
        self.faults.add(Fault { block, component, operation, after, times: NonZeroU32::new(times), reason })?;
        Ok(FailResponse {})
    }

    async fn reset(&self, _: &Cx, _: ResetRequest) -> Result<ResetResponse> {
        self.faults.clear();
        Ok(ResetResponse {})
    }
}

fn unknown(what: &str, name: &str) -> Error {
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    Error::new(Reason::RequestInvalid, format!("there is no {what} `{shown}`, so nothing would ever fail"))
}
