//! A store that goes away and comes back: truthful errors meanwhile, and healing by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use pillion_spi::state::{Condition, Version};
use pillion_spi::{Clock, Outcome, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, Kind, Redis};
use super::client::{Client, Write};
use super::ledger::Ledger;
use super::report::Verdict;
use super::sidecar::{Home, Plan, Sidecar};
use crate::audit::Late;
use crate::proxy::BLACK_HOLE;
use crate::seed::Seeded;
use crate::server::PATIENCE;

/// From the moment the store answers a bare client until every worker of the sidecar has it back.
const PROMISE: Duration = Duration::from_secs(5);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(2);
/// The deadline of calls while the store is away.
const DEADLINE: Duration = Duration::from_millis(400);
/// How long the store is away: not long enough for the sidecar to give its connections up.
const SHORT: Duration = Duration::from_millis(1_200);
/// Long enough for that.
const LONG: Duration = Duration::from_millis(5_500);

/// How the store goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// Killed, and started again.
    Killed,
    /// Frozen: it takes everything and answers nothing, then goes on.
    Frozen,
    /// Behind a network that drops everything without a word.
    BlackHole,
}

impl Away {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Killed, "killed"), (Self::Frozen, "frozen"), (Self::BlackHole, "black-holed")];
}

/// A store, and a sidecar that is never started again.
pub struct Heal {
    backend: Backend,
    sidecar: Sidecar,
    random: Seeded,
    _home: Home,
}

/// What was answered while the store was away.
#[derive(Debug, Default)]
struct Answers {
    rejected: usize,
    unknown: usize,
    violations: Vec<String>,
}

impl Heal {
    /// Starts both.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn new(program: &Path, seed: u64) -> Result<Self> {
        let mut random = Seeded::new(seed);
        let backend = Backend::start(Kind::Redis, random.number()).await?;
        let home = Home::new()?;
        // The settings are those that everybody has.
        let sidecar = home.start(&Plan::new(program, backend.component())).await?;
        Ok(Self { backend, sidecar, random, _home: home })
    }

    /// Lets the store go away and come back, `rounds` times.
    ///
    /// # Errors
    /// When a step cannot be carried out.
    pub async fn run(&mut self, away: Away, rounds: u32) -> Result<Verdict> {
        let mut sum = Answers::default();
        let mut longest = Duration::ZERO;
        for round in 0..rounds {
            let (answers, healed) = self.round(away, round).await.with_context(|| format!("round {round}"))?;
            sum.rejected += answers.rejected;
            sum.unknown += answers.unknown;
            sum.violations.extend(answers.violations);
            longest = longest.max(healed);
        }
        let lives = self.sidecar.process.ended()?.is_none();
        let Answers { rejected, unknown, violations } = sum;
        let figures = format!(
            "{rounds} times; meanwhile {rejected} calls rejected, {unknown} unknown; healed within {} ms",
            longest.as_millis()
        );
        Ok(Verdict::new(figures, violations)
            .require(!self.sidecar.log().contains("panicked"), "the sidecar panicked")
            .require(lives, "the sidecar ended")
            .require(rejected + unknown > 0, "nothing was asked while the store was away"))
    }

    async fn round(&mut self, away: Away, round: u32) -> Result<(Answers, Duration)> {
        let ledger = Ledger::default();
        // An entry whose etag stays right: a conflict would be a lie.
        let fixed = format!("heal/{away:?}/{round}/fixed");
        let version = self.sidecar.client.set(&fixed, &Bytes::from_static(b"1"), &Condition::None).await?;
        self.take_away(away).await?;
        // Each way once for long.
        let long = round == 1;
        let prober = Prober {
            client: self.sidecar.client.clone().timeout(DEADLINE),
            ledger: ledger.clone(),
            name: format!("heal/{away:?}/{round}"),
            fixed,
            version,
            long,
            gives_up: long || away == Away::Killed,
        };
        let answers = prober.run(&mut self.random).await?;
        self.bring_back(away).await?;
        bare_probe(self.redis()?.proxy.port()).await?;
        let began = SystemClock.now();
        let healed = self.sidecar.serves().await?;
        let took = healed.duration_since(began);
        ledger.audit(&self.sidecar.client, Late::Possible).await.context("the audit")?;
        let mut answers = answers;
        answers.violations.extend(ledger.violations());
        if took > PROMISE + SLACK {
            answers.violations.push(format!("round {round}: it took {took:?} to heal"));
        }
        Ok((answers, took))
    }

    fn redis(&self) -> Result<&Redis> {
        self.backend.redis()
    }

    async fn take_away(&mut self, away: Away) -> Result<()> {
        match away {
            Away::Killed => self.backend.kill(),
            Away::Frozen => self.redis()?.server.freeze(),
            Away::BlackHole => self.redis()?.proxy.set(BLACK_HOLE).await,
        }
    }

    async fn bring_back(&mut self, away: Away) -> Result<()> {
        match away {
            Away::Killed => self.backend.launch().await,
            Away::Frozen => self.redis()?.server.thaw(),
            // Connections that lost bytes are left as they are: nobody tells the sidecar.
            Away::BlackHole => self.redis()?.proxy.heal().await,
        }
    }
}

/// Asks all sorts of things while the store is away.
struct Prober {
    client: Client,
    ledger: Ledger,
    name: String,
    fixed: String,
    version: Version,
    long: bool,
    /// Whether at the end the sidecar must have no connection on which anything could have been sent.
    gives_up: bool,
}

impl Prober {
    async fn run(self, random: &mut Seeded) -> Result<Answers> {
        let prober = Arc::new(self);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for number in 0..4 {
            tasks.spawn(prober.clone().ask(number, random.fork(), stop.clone()));
        }
        SystemClock.sleep(if prober.long { LONG } else { SHORT }).await;
        stop.cancel();
        let mut sum = Answers::default();
        while let Some(ended) = tasks.join_next().await {
            let Answers { rejected, unknown, violations } = ended.context("a prober")?;
            sum.rejected += rejected;
            sum.unknown += unknown;
            sum.violations.extend(violations);
        }
        Ok(sum)
    }

    async fn ask(self: Arc<Self>, number: usize, mut random: Seeded, stop: CancellationToken) -> Answers {
        let mut answers = Answers::default();
        let mut last = None;
        let mut count = 0;
        while !stop.is_cancelled() {
            count += 1;
            let write = Write {
                key: format!("{}/{number}", self.name),
                value: Some(format!("{number}.{count}").into()),
                condition: Condition::None,
            };
            let is_read = random.once_in(4);
            let answer = match random.below(3) {
                _ if is_read => self.client.get(&self.fixed).await.map(drop),
                0 => {
                    // It says what is there already, so whatever becomes of it, the etag alone changes.
                    let same = Write { key: self.fixed.clone(), ..write.clone() };
                    let condition = Condition::IfMatch(self.version);
                    self.client.set(&same.key, &Bytes::from_static(b"1"), &condition).await.map(drop)
                }
                1 => {
                    let answer = self.client.transact(std::slice::from_ref(&write)).await.map(drop);
                    self.ledger.note(&[write], &answer);
                    answer
                }
                _ => {
                    let value = write.value.clone().unwrap_or_default();
                    let answer = self.client.set(&write.key, &value, &write.condition).await.map(drop);
                    self.ledger.note(&[write], &answer);
                    answer
                }
            };
            match answer {
                Ok(()) => answers.violations.push("a call succeeded while the store was away".to_owned()),
                Err(failure) if failure.is_defect() || failure.conflict().is_some() => {
                    answers.violations.push(format!("while the store was away: {failure}"));
                }
                Err(failure) => {
                    let unknown = failure.outcome() == Outcome::Unknown;
                    answers.unknown += usize::from(unknown);
                    answers.rejected += usize::from(!unknown);
                    if is_read && unknown {
                        answers.violations.push(format!("a read has an unknown outcome: {failure}"));
                    }
                    last = Some(failure);
                }
            }
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
        if let Some(last) = last.filter(|last| self.gives_up && last.outcome() == Outcome::Unknown) {
            answers.violations.push(format!("an unknown outcome long after the store had gone: {last}"));
        }
        answers
    }
}

/// Waits until the store answers a bare client.
async fn bare_probe(port: u16) -> Result<()> {
    let clock: &dyn Clock = &SystemClock;
    let deadline = clock.now() + PATIENCE;
    loop {
        let asked = clock.timeout(Duration::from_millis(500), ping(port)).await;
        if matches!(asked, Ok(Ok(()))) {
            return Ok(());
        }
        anyhow::ensure!(clock.now() < deadline, "the store does not answer a bare client");
        clock.sleep(Duration::from_millis(5)).await;
    }
}

async fn ping(port: u16) -> Result<()> {
    const PONG: &[u8] = b"+PONG\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; PONG.len()];
    stream.read_exact(&mut answer).await?;
    anyhow::ensure!(answer == PONG, "the store answers {answer:?}");
    Ok(())
}
