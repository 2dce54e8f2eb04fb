//! Drains: a sidecar that is told to stop lets calls under way end, and takes no others.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use pillion_spi::state::{Condition, Version};
use pillion_spi::{Clock, Outcome, SystemClock};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::backend::{Backend, Kind, Redis};
use super::client::{Client, Failure, Write};
use super::ledger::Ledger;
use super::report::Verdict;
use super::sidecar::{Home, Plan, Sidecar};
use crate::audit::Late;
use crate::proxy::{Faults, Pass, Way};
use crate::server::PATIENCE;

/// How a process ends that a second `SIGTERM` cuts short.
const CUT_SHORT: i32 = 143;

/// A store that answers when we let it, so that calls are under way for as long as we like.
pub struct Drain {
    home: Home,
    backend: Backend,
    plan: Plan,
}

/// Calls under way.
struct UnderWay(JoinSet<(Write, Result<Version, Failure>)>);

impl Drain {
    /// Starts the store.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn new(program: &Path, seed: u64) -> Result<Self> {
        let backend = Backend::start(Kind::Redis, seed).await?;
        let mut component = backend.component();
        // The store is silent for as long as a case lasts; that is no reason to give it up.
        component["response_timeout"] = "60s".into();
        Ok(Self { home: Home::new()?, backend, plan: Plan::new(program, component) })
    }

    /// Tells a sidecar with `count` calls under way to stop: all of them succeed, new connections are
    /// refused, and it ends with success.
    ///
    /// # Errors
    /// When a step cannot be carried out.
    pub async fn graceful(&self, count: usize) -> Result<Verdict> {
        let mut sidecar = self.home.start(&self.plan).await?;
        let calls = self.hold(&sidecar, count).await?;
        sidecar.process.signal(Signal::TERM)?;
        refused(&sidecar).await?;
        let lives = sidecar.process.ended()?.is_none();
        self.redis()?.proxy.heal().await?;
        let (ledger, succeeded, _) = calls.settle().await?;
        let status = sidecar.process.wait(PATIENCE).await?;
        let verdict = self.audited(&ledger).await?;
        Ok(Verdict { figures: format!("{succeeded} of {count} calls under way succeeded, {status}"), ..verdict }
            .require(lives || count == 0, "it ended with calls under way")
            .require(succeeded == count, "calls under way did not succeed")
            .require(status.success(), "it did not end with success"))
    }

    /// Tells it twice: it ends at once, whatever the grace.
    ///
    /// # Errors
    /// When a step cannot be carried out.
    pub async fn twice(&self, count: usize) -> Result<Verdict> {
        // Longer than we would wait.
        let plan = self.plan.clone().grace(2 * PATIENCE);
        let mut sidecar = self.home.start(&plan).await?;
        let calls = self.hold(&sidecar, count).await?;
        sidecar.process.signal(Signal::TERM)?;
        refused(&sidecar).await?;
        sidecar.process.signal(Signal::TERM)?;
        let status = sidecar.process.wait(PATIENCE).await?;
        self.redis()?.proxy.heal().await?;
        let (ledger, succeeded, failures) = calls.settle().await?;
        let verdict = self.audited(&ledger).await?;
        Ok(Verdict { figures: format!("{} calls under way were left, {status}", failures.len()), ..verdict }
            .require(succeeded == 0, "calls succeeded without their store")
            .require(status.code() == Some(CUT_SHORT), format!("it did not end with {CUT_SHORT}")))
    }

    /// Tells a sidecar to stop whose grace is shorter than its calls: they are cut with a word, and
    /// counted.
    ///
    /// # Errors
    /// When a step cannot be carried out.
    pub async fn overdue(&self, count: usize) -> Result<Verdict> {
        let plan = self.plan.clone().grace(Duration::from_millis(300));
        let mut sidecar = self.home.start(&plan).await?;
        let calls = self.hold(&sidecar, count).await?;
        sidecar.process.signal(Signal::TERM)?;
        let status = sidecar.process.wait(PATIENCE).await?;
        let log = sidecar.log();
        self.redis()?.proxy.heal().await?;
        let (ledger, succeeded, failures) = calls.settle().await?;
        let verdict = self.audited(&ledger).await?;
        let told = failures.iter().filter(|failure| {
            matches!(failure, Failure::Refused(refusal)
                if refusal.reason == "runtime.draining" && refusal.outcome == Outcome::Unknown)
        });
        let told = told.count();
        Ok(Verdict { figures: format!("{told} of {count} calls were told that they are cut, {status}"), ..verdict }
            .require(succeeded == 0, "calls succeeded without their store")
            .require(told == count, format!("calls were answered otherwise: {failures:?}"))
            .require(
                log.contains(&format!("{count} calls did not end in time")),
                format!("it did not count them: {log}"),
            )
            .require(status.success(), "it did not end with success"))
    }

    fn redis(&self) -> Result<&Redis> {
        self.backend.redis()
    }

    /// Makes `count` calls and waits until all of them wait for the store.
    async fn hold(&self, sidecar: &Sidecar, count: usize) -> Result<UnderWay> {
        // There is a connection to the store.
        sidecar.client.set("warm", &Bytes::from_static(b"1"), &Condition::None).await?;
        let stall = Way { pass: Pass::Stall, ..Way::default() };
        self.redis()?.proxy.set(Faults { to_server: stall, ..Faults::default() }).await?;
        let mut calls = JoinSet::new();
        for number in 0..count {
            let client = sidecar.client.clone().timeout(2 * PATIENCE);
            let value = Bytes::from(format!("{}:{number}", sidecar.process.id()));
            let write = Write {
                key: format!("drain/{}/{number}", sidecar.process.id()),
                value: Some(value.clone()),
                condition: Condition::None,
            };
            calls.spawn(async move {
                let answer = client.set(&write.key, &value, &write.condition).await;
                (write, answer)
            });
        }
        let deadline = SystemClock.now() + PATIENCE;
        loop {
            let waiting = sidecar.client.in_flight("state.set").await?;
            if waiting == count {
                return Ok(UnderWay(calls));
            }
            if SystemClock.now() >= deadline {
                bail!("{waiting} of {count} calls are under way");
            }
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
    }

    /// Judges what is in the store, through a sidecar that is not stopped.
    async fn audited(&self, ledger: &Ledger) -> Result<Verdict> {
        self.backend.forget_clients().await?;
        let sidecar = self.home.start(&self.plan).await?;
        ledger.audit(&sidecar.client, Late::Never).await.context("the audit")?;
        Ok(Verdict::new("", ledger.violations()))
    }
}

impl UnderWay {
    /// Waits for every answer.
    async fn settle(mut self) -> Result<(Ledger, usize, Vec<Failure>)> {
        let ledger = Ledger::default();
        let (mut succeeded, mut failures) = (0, Vec::new());
        while let Some(ended) = self.0.join_next().await {
            let (write, answer) = ended.context("a call")?;
            ledger.note(&[write], &answer);
            match answer {
                Ok(_) => succeeded += 1,
                Err(failure) => failures.push(failure),
            }
        }
        Ok((ledger, succeeded, failures))
    }
}

/// Waits until connecting is refused.
async fn refused(sidecar: &Sidecar) -> Result<()> {
    let address = sidecar.endpoint.trim_start_matches("http://");
    let deadline = SystemClock.now() + PATIENCE;
    while TcpStream::connect(address).await.is_ok() {
        if SystemClock.now() >= deadline {
            bail!("connections are still accepted");
        }
        SystemClock.sleep(Duration::from_millis(5)).await;
    }
    // A fresh client has no connection from before.
    match Client::new(&sidecar.endpoint).get("warm").await {
        Err(Failure::Unreachable(_)) => Ok(()),
        other => bail!("a new call was answered {other:?}"),
    }
}
