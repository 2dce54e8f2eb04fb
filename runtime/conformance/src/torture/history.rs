//! Histories: clients at odds over a few keys while the ground shakes, judged key by key.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::{Either, select};
use pillion_spi::state::{Condition, Key, Version};
use pillion_spi::{Clock, Outcome, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, Kind};
use super::client::{Client, Failure, Found};
use super::report::Verdict;
use super::sidecar::{Home, Plan, Sidecar};
use crate::history::Recorder;
use crate::proxy::{Faults, Way};
use crate::register::{Input, Output};
use crate::seed::Seeded;
use crate::server::PATIENCE;

const CLIENTS: usize = 5;
const CALLS: usize = 40;
const KEYS: usize = 3;
/// At least so many calls in a hundred must have met a fault.
const LEAST_PERCENT: usize = 10;

/// With so many unknown outcomes a history is left in peace: each may take effect at any later time,
/// so the work to judge it grows with all their subsets.
const MOST_UNKNOWN: usize = 20;

type Calls = Recorder<Key, Input, Output>;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The sidecar is frozen for a moment.
    Freeze,
    /// The sidecar is killed and started again.
    Kill,
    /// Its connections to the store are reset.
    Cut,
    /// The store ends its connections.
    Unwelcome,
    /// The way to the store is slow for a moment.
    Slow,
    /// The store is frozen for a moment.
    FreezeStore,
    /// The store is killed and started again.
    KillStore,
}

impl Fault {
    /// The faults of a store, the more frequent ones more than once.
    fn all(kind: Kind) -> &'static [Self] {
        use Fault::{Cut, Freeze, FreezeStore, Kill, KillStore, Slow, Unwelcome};
        match kind {
            // What it holds ends with the sidecar.
            Kind::Memory => &[Freeze],
            Kind::Local => &[Freeze, Freeze, Freeze, Freeze, Freeze, Freeze, Freeze, Kill],
            Kind::Redis => &[
                Freeze,
                Freeze,
                Cut,
                Cut,
                Cut,
                Unwelcome,
                Unwelcome,
                Unwelcome,
                Slow,
                Slow,
                Slow,
                FreezeStore,
                FreezeStore,
                FreezeStore,
                Kill,
                KillStore,
            ],
        }
    }
}

/// When faults were, and what they did.
#[derive(Debug, Default)]
struct Windows {
    open: AtomicUsize,
    begun: AtomicUsize,
    unknown: AtomicUsize,
}

impl Windows {
    /// Whether it is time for peace: see [`MOST_UNKNOWN`].
    fn is_enough(&self) -> bool {
        self.unknown.load(Ordering::Relaxed) >= MOST_UNKNOWN
    }
}

/// A sidecar and its store.
pub struct Arena {
    home: Home,
    backend: Backend,
    plan: Plan,
    sidecar: Sidecar,
    random: Seeded,
    tally: Tally,
}

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    histories: usize,
    calls: usize,
    faulted: usize,
    unknown: usize,
    rejected: usize,
    conflicts: usize,
    faults: usize,
    violations: Vec<String>,
}

impl Arena {
    /// Starts both, with these failure points.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn new(program: &Path, kind: Kind, chaos: &str, seed: u64) -> Result<Self> {
        let mut random = Seeded::new(seed);
        let backend = Backend::start(kind, random.number()).await?;
        let home = Home::new()?;
        let plan = Plan::new(program, backend.component()).chaos(chaos);
        let sidecar = home.start(&plan).await?;
        Ok(Self { home, backend, plan, sidecar, random, tally: Tally::default() })
    }

    /// Records and judges `histories` of them, or fewer if one is wrong.
    ///
    /// # Errors
    /// When something does not start, or does not answer afterwards.
    pub async fn run(mut self, histories: u32) -> Result<Verdict> {
        for number in 0..histories {
            self.history(number).await.with_context(|| format!("history {number}"))?;
            if !self.tally.violations.is_empty() {
                break;
            }
        }
        let Tally { histories, calls, faulted, unknown, rejected, conflicts, faults, violations } = self.tally;
        let percent = faulted * 100 / calls.max(1);
        let figures = format!(
            "{histories} histories, {calls} calls ({conflicts} conflicts, {unknown} unknown; {rejected} more rejected), \
             {faults} faults met by {percent} % of the calls"
        );
        Ok(Verdict::new(figures, violations)
            .require(percent >= LEAST_PERCENT, format!("fewer than {LEAST_PERCENT} % of the calls met a fault"))
            .require(conflicts > 0, "no condition ever failed"))
    }

    async fn history(&mut self, number: u32) -> Result<()> {
        let recorder = Arc::new(Calls::default());
        let windows = Arc::new(Windows::default());
        let (sidecars, watched) = watch::channel(self.sidecar.client.clone());
        let keys: Vec<Key> = (0..KEYS).map(|key| Key::new(format!("history/{number}/{key}"))).collect();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let player = Player {
                sidecar: watched.clone(),
                keys: keys.clone(),
                recorder: recorder.clone(),
                windows: windows.clone(),
                random: self.random.fork(),
                known: vec![Version::bare(1); KEYS],
                // Every value of a history is another, so that a read tells which write it saw.
                next_value: ((client + 1) * 1_000) as u64,
                played: Played::default(),
            };
            clients.spawn(player.run());
        }
        let over = CancellationToken::new();
        let players = async {
            let mut played = Vec::new();
            while let Some(ended) = clients.join_next().await {
                played.push(ended.context("a client")?);
            }
            over.cancel();
            anyhow::Ok(played)
        };
        let (played, shaken) = futures::join!(players, self.shake(&sidecars, &windows, &over));
        let played = played?;
        shaken?;
        self.tally.faults += windows.begun.load(Ordering::Relaxed);
        self.settle(&recorder, &keys).await?;
        for played in played {
            self.tally.calls += played.calls;
            self.tally.faulted += played.faulted;
            self.tally.unknown += played.unknown;
            self.tally.rejected += played.rejected;
            self.tally.conflicts += played.conflicts;
            self.tally.violations.extend(played.violations);
        }
        let history = Arc::into_inner(recorder).context("a client still records")?.finish();
        self.tally.histories += 1;
        if self.sidecar.log().contains("panicked") {
            self.tally.violations.push(format!("history {number}: the sidecar panicked:\n{}", self.sidecar.log()));
        }
        if let Err(error) = history.check() {
            self.tally.violations.push(format!("history {number}: {error:#}"));
        }
        Ok(())
    }

    /// Makes one fault after the other until the clients have ended.
    async fn shake(
        &mut self,
        sidecars: &watch::Sender<Client>,
        windows: &Windows,
        over: &CancellationToken,
    ) -> Result<()> {
        while !over.is_cancelled() && !windows.is_enough() {
            let pause = Duration::from_millis(self.random.number() % 12);
            if over.run_until_cancelled(SystemClock.sleep(pause)).await.is_none() {
                break;
            }
            let fault = *self.random.pick(Fault::all(self.backend.kind()));
            windows.begun.fetch_add(1, Ordering::Relaxed);
            windows.open.fetch_add(1, Ordering::Relaxed);
            let made = self.fault(fault, sidecars).await;
            windows.open.fetch_sub(1, Ordering::Relaxed);
            made.with_context(|| format!("{fault:?}"))?;
        }
        Ok(())
    }

    async fn fault(&mut self, fault: Fault, sidecars: &watch::Sender<Client>) -> Result<()> {
        let moment = Duration::from_millis(2 + self.random.number() % 15);
        match fault {
            Fault::Freeze => self.sidecar.freeze(moment).await,
            Fault::Kill => {
                self.sidecar.process.kill()?;
                self.backend.forget_clients().await?;
                self.sidecar = self.home.start(&self.plan).await?;
                sidecars.send_replace(self.sidecar.client.clone());
                Ok(())
            }
            Fault::Cut => {
                self.backend.redis()?.proxy.cut();
                Ok(())
            }
            Fault::Unwelcome => {
                let mut client = self.backend.redis()?.server.client().await?;
                let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).query_async::<i64>(&mut client).await;
                kill.context("CLIENT KILL").map(drop)
            }
            Fault::Slow => {
                let slow = Way { delay: Duration::from_millis(2), jitter: moment, ..Way::default() };
                let proxy = &self.backend.redis()?.proxy;
                proxy.set(Faults { to_server: slow, to_client: slow, ..Faults::default() }).await?;
                SystemClock.sleep(moment).await;
                proxy.heal().await
            }
            Fault::FreezeStore => {
                let server = &self.backend.redis()?.server;
                server.freeze()?;
                SystemClock.sleep(moment).await;
                server.thaw()
            }
            Fault::KillStore => {
                self.backend.kill()?;
                SystemClock.sleep(moment).await;
                self.backend.launch().await
            }
        }
    }

    /// Reads every key once more when all is quiet.
    async fn settle(&self, recorder: &Calls, keys: &[Key]) -> Result<()> {
        let deadline = SystemClock.now() + PATIENCE;
        for key in keys {
            loop {
                let call = recorder.invoke(key.clone(), Input::Read);
                match ask(&self.sidecar.client, key, &Input::Read).await {
                    Ok(output) => {
                        recorder.answered(call, output);
                        break;
                    }
                    Err(failure) if SystemClock.now() >= deadline => return Err(failure).context("the last read"),
                    Err(_) => recorder.rejected(call),
                }
                SystemClock.sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }
}

/// What one client met.
#[derive(Debug, Default)]
struct Played {
    calls: usize,
    faulted: usize,
    unknown: usize,
    rejected: usize,
    conflicts: usize,
    violations: Vec<String>,
}

struct Player {
    sidecar: watch::Receiver<Client>,
    keys: Vec<Key>,
    recorder: Arc<Calls>,
    windows: Arc<Windows>,
    random: Seeded,
    /// The version last seen of each key.
    known: Vec<Version>,
    next_value: u64,
    played: Played,
}

impl Player {
    async fn run(mut self) -> Played {
        let deadline = SystemClock.now() + 3 * PATIENCE;
        while self.played.calls < CALLS {
            if SystemClock.now() >= deadline {
                self.played.violations.push("most calls found nobody".to_owned());
                break;
            }
            self.call().await;
        }
        self.played
    }

    async fn call(&mut self) {
        let index = self.random.below(KEYS);
        let key = self.keys[index].clone();
        let input = self.invent(self.known[index]);
        let client = self.sidecar.borrow().clone();
        // Some calls are given up on the way.
        let gives_up = self.random.once_in(16) && !self.windows.is_enough();
        let patience = gives_up.then(|| Duration::from_micros(self.random.number() % 3_000));
        let begun = self.windows.begun.load(Ordering::Relaxed);
        let open = self.windows.open.load(Ordering::Relaxed) > 0;
        let call = self.recorder.invoke(key.clone(), input.clone());
        let answer = within(patience, ask(&client, &key, &input)).await;
        if let Some(Err(failure)) = &answer
            && failure.outcome() == Outcome::Rejected
            && failure.conflict().is_none()
        {
            // As if it had never been made, so it does not count.
            self.recorder.rejected(call);
            self.played.rejected += 1;
            SystemClock.sleep(Duration::from_millis(3)).await;
            return;
        }
        self.played.calls += 1;
        let met = open || answer.is_none() || self.windows.begun.load(Ordering::Relaxed) != begun;
        self.played.faulted += usize::from(met);
        match answer {
            None => self.unknown(),
            Some(Ok(output)) => {
                if let Output::Read(Some((_, version)))
                | Output::Applied { version: Some(version), .. }
                | Output::Conflict { found: Some(version) } = output
                {
                    self.known[index] = version;
                }
                self.played.conflicts += usize::from(matches!(output, Output::Conflict { .. }));
                self.recorder.answered(call, output);
            }
            Some(Err(failure)) => {
                if failure.is_defect() {
                    self.played.violations.push(format!("{input:?} on `{key}`: {failure}"));
                }
                if input == Input::Read {
                    self.recorder.rejected(call);
                } else {
                    self.unknown();
                }
            }
        }
    }

    fn unknown(&mut self) {
        self.played.unknown += 1;
        self.windows.unknown.fetch_add(1, Ordering::Relaxed);
    }

    fn invent(&mut self, known: Version) -> Input {
        self.next_value += 1;
        let value = self.next_value;
        match self.random.below(12) {
            0..=2 => Input::Read,
            3 => Input::Put(value, Condition::None),
            4 => Input::Put(value, Condition::IfAbsent),
            5..=8 => Input::Put(value, Condition::IfMatch(known)),
            9 => Input::Put(value, Condition::IfMatchOrAbsent(known)),
            10 => Input::Delete(Condition::IfMatch(known)),
            _ => Input::Delete(Condition::None),
        }
    }
}

/// The output of `future`, unless we give it up before.
async fn within<T>(patience: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    let Some(patience) = patience else { return Some(future.await) };
    match select(std::pin::pin!(future), SystemClock.sleep(patience)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

async fn ask(client: &Client, key: &Key, input: &Input) -> Result<Output, Failure> {
    let answer = match input {
        Input::Read => {
            return match client.get(key.as_str()).await? {
                None => Ok(Output::Read(None)),
                Some(Found { value, version }) => {
                    let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                    let number = number.ok_or_else(|| Failure::Absurd(format!("read {value:?}")))?;
                    Ok(Output::Read(Some((number, version))))
                }
            };
        }
        Input::Put(value, condition) => client
            .set(key.as_str(), &Bytes::from(value.to_string()), condition)
            .await
            // The first version of an entry is the one that did not find any.
            .map(|version| Output::Applied { version: Some(version), existed: version.counter > 1 }),
        Input::Delete(condition) => {
            client.delete(key.as_str(), condition).await.map(|existed| Output::Applied { version: None, existed })
        }
    };
    match answer {
        Err(Failure::Refused(refusal)) if refusal.is_conflict() => Ok(Output::Conflict { found: refusal.found }),
        answer => answer,
    }
}
