//! The suites, checked: a store with a planted fault must make them fail.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use pillion_components::memory;
use pillion_spi::caps::{FirstWrite, StateCaps};
use pillion_spi::state::{
    Action, Applied, ApplyOptions, Condition, Entry, Expiry, Key, Op, OpOutcome, Page, ReadOptions, Scan, StateStore,
    Version, WatchEvent, WatchSpec, WatchStream,
};
use pillion_spi::{Clock, Component, LocalDurability, OpenEnv, Registry, Result, SystemClock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::env::Env;
use crate::fixture::{Fixture, Place, Subject};
use crate::suite::state::SUITES;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Fault {
    Nothing,
    IgnoresConditions,
    IgnoresGenerations,
    ChecksThenActs,
    LosesSomeWrites,
    AppliesTwice,
    ReadsStale,
    EmptyIsMissing,
    CutsValues,
    ForgetsContentTypes,
    AppliesHalfATransaction,
    NeverExpires,
    ExpiresEarly,
    ForgetsToKeepExpiry,
    ListsOneTooFew,
    ListsOtherPrefixes,
    WatchLosesChanges,
    WatchIgnoresPrefix,
    WatchReportsExpiryAsDelete,
    ResumesFromNow,
    ClaimsStickyFirstWrite,
    ClaimsMoreDurability,
    IgnoresRepetition,
    DoesNotClose,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    fault: Fault,
}

struct Planted {
    inner: memory::State,
    fault: Fault,
    calls: AtomicU64,
    stale: Mutex<HashMap<Key, Option<Entry>>>,
}

#[async_trait]
impl Component for Planted {
    const TYPE: &'static str = "state.planted";
    type Config = Settings;

    async fn open(settings: Settings, env: OpenEnv) -> Result<Self> {
        let inner = memory::State::open(serde_json::from_value(json!({})).unwrap(), env).await?;
        Ok(Self { inner, fault: settings.fault, calls: AtomicU64::new(0), stale: Mutex::default() })
    }

    async fn close(&self) {
        if self.fault != Fault::DoesNotClose {
            self.inner.close().await;
        }
    }
}

impl Planted {
    fn once_in(&self, times: u64) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % times == times - 1
    }

    fn spoil(&self, op: &mut Op) {
        match (self.fault, &mut op.condition) {
            (Fault::IgnoresConditions, condition) => *condition = Condition::None,
            (Fault::IgnoresGenerations, Condition::IfMatch(version) | Condition::IfMatchOrAbsent(version)) => {
                *version = Version::bare(version.counter);
            }
            _ => {}
        }
        if let Action::Put { value, content_type, expiry } = &mut op.action {
            match (self.fault, expiry) {
                (Fault::CutsValues, _) => value.truncate(10_000),
                (Fault::ForgetsContentTypes, _) => *content_type = None,
                (Fault::NeverExpires, expiry) => *expiry = Expiry::Never,
                (Fault::ForgetsToKeepExpiry, expiry @ Expiry::Keep) => *expiry = Expiry::Never,
                (Fault::ExpiresEarly, Expiry::After(time)) => *time /= 2,
                _ => {}
            }
        }
    }

    /// Looks, lets others go first, and writes whatever was there.
    async fn check_then_act(&self, mut op: Op) -> Result<OpOutcome> {
        let found = self.inner.read(std::slice::from_ref(&op.key), ReadOptions::default()).await?.remove(0)?;
        let found = found.map(|entry| entry.version);
        let holds = match &op.condition {
            Condition::IfAbsent => found.is_none(),
            Condition::IfMatch(version) => found.is_some_and(|found| version.matches(&found)),
            _ => true,
        };
        if !holds {
            return Ok(OpOutcome::Conflict { found });
        }
        tokio::task::yield_now().await;
        op.condition = Condition::None;
        Ok(self.inner.apply(vec![op], ApplyOptions::default()).await?.outcomes.remove(0))
    }
}

#[async_trait]
impl StateStore for Planted {
    fn caps(&self) -> StateCaps {
        let mut caps = self.inner.caps();
        match self.fault {
            Fault::ClaimsStickyFirstWrite => caps.first_write = FirstWrite::Sticky,
            Fault::ClaimsMoreDurability => caps.durability.local = LocalDurability::PowerLoss,
            _ => {}
        }
        caps
    }

    async fn read(&self, keys: &[Key], options: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        let mut results = self.inner.read(keys, options).await?;
        for (key, entry) in keys.iter().zip(&mut results) {
            let Ok(entry) = entry else { continue };
            match self.fault {
                Fault::EmptyIsMissing if entry.as_ref().is_some_and(|entry| entry.value.is_empty()) => *entry = None,
                Fault::ReadsStale => {
                    let mut stale = self.stale.lock().unwrap();
                    let before = stale.insert(key.clone(), entry.clone());
                    if let Some(before) = before.filter(|_| self.once_in(3)) {
                        *entry = before;
                    }
                }
                _ => {}
            }
        }
        Ok(results)
    }

    async fn apply(&self, mut ops: Vec<Op>, mut options: ApplyOptions) -> Result<Applied> {
        ops.iter_mut().for_each(|op| self.spoil(op));
        match self.fault {
            Fault::AppliesHalfATransaction => options.atomic = false,
            Fault::IgnoresRepetition => options.idempotency_key = None,
            Fault::AppliesTwice => drop(self.inner.apply(ops.clone(), options.clone()).await),
            Fault::LosesSomeWrites if ops.len() == 1 && self.once_in(20) => {
                let answer = self.inner.apply(ops.clone(), options.clone()).await?;
                let undo = Op { condition: Condition::None, action: Action::Delete, ..ops.remove(0) };
                self.inner.apply(vec![undo], ApplyOptions::default()).await?;
                return Ok(answer);
            }
            Fault::ChecksThenActs if !options.atomic => {
                let mut outcomes = Vec::new();
                for op in ops {
                    outcomes.push(self.check_then_act(op).await?);
                }
                return Ok(Applied { outcomes, durability: self.caps().durability });
            }
            _ => {}
        }
        self.inner.apply(ops, options).await
    }

    async fn scan(&self, mut scan: Scan) -> Result<Page> {
        if self.fault == Fault::ListsOtherPrefixes {
            scan.prefix.pop();
        }
        let mut page = self.inner.scan(scan).await?;
        if self.fault == Fault::ListsOneTooFew && page.entries.len() > 20 {
            page.entries.remove(10);
        }
        Ok(page)
    }

    async fn watch(&self, mut spec: WatchSpec) -> Result<WatchStream> {
        match self.fault {
            Fault::WatchIgnoresPrefix => (spec.exact, spec.prefix) = (false, spec.prefix[..1].to_owned()),
            Fault::ResumesFromNow => spec.after = None,
            _ => {}
        }
        let (fault, mut count) = (self.fault, 0_u64);
        let events = self.inner.watch(spec).await?;
        Ok(Box::pin(events.filter_map(move |event| {
            count += 1;
            let event = match event {
                Ok(WatchEvent::Put { .. }) if fault == Fault::WatchLosesChanges && count % 10 == 0 => None,
                Ok(WatchEvent::Delete { key, revision, .. }) if fault == Fault::WatchReportsExpiryAsDelete => {
                    Some(Ok(WatchEvent::Delete { key, revision, expired: false }))
                }
                event => Some(event),
            };
            futures::future::ready(event)
        })))
    }
}

struct OfPlanted(Fault);

#[async_trait]
impl Fixture for OfPlanted {
    fn type_name(&self) -> &'static str {
        Planted::TYPE
    }

    async fn place(&self) -> anyhow::Result<Place> {
        Ok(Place::new(json!({ "fault": self.0 })))
    }

    fn injected_time(&self) -> bool {
        true
    }
}

/// Runs the suite called `name`, or one case of it, as in `suite::case`, on a store with `fault`
/// until a case fails, and returns that case.
async fn first_failure(fault: Fault, name: &str) -> Option<(&'static str, String)> {
    let mut registry = Registry::default();
    registry.state_store::<Planted>();
    let kind = registry.state(Planted::TYPE).unwrap().clone();
    let subject = Subject { kind, fixture: Arc::new(OfPlanted(fault)) };
    let place = subject.fixture.place().await.unwrap();
    let shared = subject.open(&place, Arc::new(SystemClock)).await.unwrap();
    let caps = shared.state.store.caps();
    let (name, only) = name.split_once("::").map_or((name, None), |(name, case)| (name, Some(case)));
    let suite = SUITES.iter().find(|suite| suite.name == name).unwrap();
    let wanted = |name| only.is_none_or(|only| only == name);
    for case in suite.cases.iter().filter(|case| !case.alone && wanted(case.name)) {
        if case.needs.iter().all(|need| need.met(&subject, &caps)) {
            let env = Env::new(subject.clone(), shared.state.store.clone(), case.name);
            let clock: &dyn Clock = &SystemClock;
            match clock.timeout(Duration::from_secs(60), (case.run)(&env)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some((case.name, format!("{error:#}"))),
                Err(elapsed) => return Some((case.name, elapsed.to_string())),
            }
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_fault_passes() {
    for suite in SUITES {
        assert_eq!(first_failure(Fault::Nothing, suite.name).await, None, "{}", suite.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_fault_is_found_by_the_suites_that_are_there_for_it() {
    const HISTORIES: &str = "concurrency::histories_are_linearizable";
    let planted = [
        (Fault::IgnoresConditions, &["condition", "transaction", "concurrency", HISTORIES][..]),
        (Fault::IgnoresGenerations, &["condition"]),
        (Fault::ChecksThenActs, &["concurrency", HISTORIES]),
        (Fault::LosesSomeWrites, &["concurrency", HISTORIES]),
        (Fault::AppliesTwice, &["single", "concurrency", HISTORIES]),
        (Fault::ReadsStale, &["concurrency", HISTORIES]),
        (Fault::EmptyIsMissing, &["single"]),
        (Fault::CutsValues, &["single", "concurrency", "transaction"]),
        (Fault::ForgetsContentTypes, &["single", "watch"]),
        (Fault::AppliesHalfATransaction, &["transaction"]),
        (Fault::NeverExpires, &["expiry", "transaction"]),
        (Fault::ExpiresEarly, &["expiry"]),
        (Fault::ForgetsToKeepExpiry, &["expiry"]),
        (Fault::ListsOneTooFew, &["scan", "concurrency"]),
        (Fault::ListsOtherPrefixes, &["scan"]),
        (Fault::WatchLosesChanges, &["watch"]),
        (Fault::WatchIgnoresPrefix, &["watch"]),
        (Fault::WatchReportsExpiryAsDelete, &["watch"]),
        (Fault::ResumesFromNow, &["watch"]),
        (Fault::ClaimsStickyFirstWrite, &["condition"]),
        (Fault::ClaimsMoreDurability, &["honesty", "lifecycle"]),
        (Fault::IgnoresRepetition, &["idempotency"]),
        (Fault::DoesNotClose, &["lifecycle"]),
    ];
    let runs = planted.into_iter().flat_map(|(fault, suites)| suites.iter().map(move |suite| (fault, *suite)));
    let runs = runs.map(|(fault, suite)| async move {
        let found = tokio::spawn(first_failure(fault, suite)).await.unwrap();
        (fault, suite, found)
    });
    for (fault, suite, found) in futures::future::join_all(runs).await {
        let Some((case, error)) = found else { panic!("the suite `{suite}` does not notice {fault:?}") };
        println!("{fault:?} was found by {suite}::{case}: {}", error.lines().next().unwrap_or_default());
    }
}
