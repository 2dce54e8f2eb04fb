//! Concurrent writers of every kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use pillion_spi::state::{Condition, Version};
use pillion_spi::{Clock, Outcome, SystemClock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Failure, Write};
use super::ledger::{Ledger, Repeatable, account};
use crate::bank::Bank;
use crate::seed::Seeded;

/// Writers of entries. Nobody else writes what one of them writes.
const WRITERS: usize = 6;
/// Keys of each.
const KEYS: usize = 4;
/// Clients that transfer money.
const CLERKS: usize = 2;
/// Values are up to so many bytes long.
const LONGEST: usize = 3_000;
/// What a client does that found nobody.
const PAUSE: Duration = Duration::from_millis(3);

/// The bank of the clerks.
pub fn bank() -> Bank {
    Bank::new(6, 1_000)
}

/// Opens the accounts.
///
/// # Errors
/// That this failed.
pub async fn open_bank(client: &Client) -> Result<()> {
    let bank = bank();
    let accounts = (0..bank.accounts()).map(|number| Write {
        key: account(number),
        value: Some(bank.opening_balance().to_string().into()),
        condition: Condition::IfAbsent,
    });
    client.transact(&accounts.collect::<Vec<_>>()).await.context("opening the bank")?;
    Ok(())
}

/// Writers at work.
#[derive(Debug)]
pub struct Load {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    acknowledged: Arc<AtomicUsize>,
}

impl Load {
    /// Lets everybody write until told to stop, and note in `ledger` what becomes of it. `round`
    /// tells the values of this load from those of another.
    pub fn start(client: &Client, ledger: &Ledger, round: u32, random: &mut Seeded) -> Self {
        let stop = CancellationToken::new();
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for number in 0..WRITERS {
            let writer = Writer {
                client: client.clone(),
                ledger: ledger.clone(),
                acknowledged: acknowledged.clone(),
                name: format!("{round}.{number}"),
                keys: (0..KEYS).map(|key| Own::new(format!("writer/{number}/{key}"))).collect(),
                random: random.fork(),
                writes: 0,
            };
            tasks.spawn(writer.run(stop.clone()));
        }
        for _ in 0..CLERKS {
            let clerk = Clerk { client: client.clone(), ledger: ledger.clone(), random: random.fork() };
            tasks.spawn(clerk.run(stop.clone()));
        }
        Self { stop, tasks, acknowledged }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until a write was acknowledged.
    ///
    /// # Errors
    /// That none was for a long time.
    pub async fn under_way(&self) -> Result<()> {
        let deadline = SystemClock.now() + Duration::from_secs(20);
        while self.acknowledged() == 0 {
            if SystemClock.now() >= deadline {
                bail!("no write was acknowledged");
            }
            SystemClock.sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Lets everybody end the call that is under way and go. Each call has a deadline, so this has.
    ///
    /// # Errors
    /// That a writer panicked.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a writer")?;
        }
        Ok(())
    }
}

/// What a writer knows of a key of its own.
struct Own {
    key: String,
    version: Option<Version>,
    known: Known,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nothing.
    Nothing,
    /// What was read, after a write whose outcome is unknown and which may still take effect.
    Seen,
    /// Everything: every write since it was read was answered.
    Surely,
}

impl Own {
    fn new(key: String) -> Self {
        // Of earlier rounds nothing is left in the air.
        Self { key, version: None, known: Known::Surely }
    }

    fn condition(&self) -> Condition {
        self.version.map_or(Condition::IfAbsent, Condition::IfMatch)
    }
}

struct Writer {
    client: Client,
    ledger: Ledger,
    acknowledged: Arc<AtomicUsize>,
    name: String,
    keys: Vec<Own>,
    random: Seeded,
    writes: usize,
}

impl Writer {
    async fn run(mut self, stop: CancellationToken) {
        let keys: Vec<String> = self.keys.iter().map(|own| own.key.clone()).collect();
        while !stop.is_cancelled() {
            if let Ok(found) = self.client.get_many(&keys).await {
                for (own, found) in self.keys.iter_mut().zip(found) {
                    own.version = found.map(|found| found.version);
                }
                break;
            }
            SystemClock.sleep(PAUSE).await;
        }
        while !stop.is_cancelled() {
            let pause = match self.random.below(20) {
                0..=7 => self.single(true, false).await,
                8..=12 => self.single(true, true).await,
                13 => self.single(false, false).await,
                14 => self.single(false, true).await,
                _ => self.transaction().await,
            };
            if pause {
                SystemClock.sleep(PAUSE).await;
            }
        }
    }

    /// A value like no other, that tells whose it is, and whose end tells that it is whole.
    fn value(&mut self) -> Bytes {
        self.writes += 1;
        let mark = format!("{}.{};", self.name, self.writes);
        let times = self.random.below(LONGEST) / mark.len() + 1;
        mark.repeat(times).into()
    }

    fn write(&mut self, index: usize, puts: bool, conditional: bool) -> Write {
        let value = puts.then(|| self.value());
        let own = &self.keys[index];
        // A delete under the condition that there is nothing says nothing.
        let conditional = conditional && own.known != Known::Nothing && (puts || own.version.is_some());
        let condition = if conditional { own.condition() } else { Condition::None };
        Write { key: own.key.clone(), value, condition }
    }

    /// Makes one write; whether to pause after it.
    async fn single(&mut self, puts: bool, conditional: bool) -> bool {
        let index = self.random.below(KEYS);
        if self.look(index).await.is_err() {
            return true;
        }
        let write = self.write(index, puts, conditional);
        let id = if self.random.once_in(2) { format!("{}.{}", self.name, self.writes) } else { String::new() };
        let (known, before) = (self.keys[index].known, self.keys[index].version);
        let answer = match &write.value {
            Some(value) => self.client.set_once(&write.key, value, &write.condition, &id).await.map(Some),
            None => self.client.delete(&write.key, &write.condition).await.map(|_| None),
        };
        let answer = answer.map(|version| vec![version]);
        let unknown = answer.as_ref().is_err_and(|failure| failure.outcome() == Outcome::Unknown);
        let pause = self.after(&[index], std::slice::from_ref(&write), answer);
        if unknown && puts && known == Known::Surely && !id.is_empty() {
            self.ledger.repeatable(Repeatable { write, id, before });
        }
        pause
    }

    /// Makes several writes at once; whether to pause after it.
    async fn transaction(&mut self) -> bool {
        let first = self.random.below(KEYS);
        let count = 2 + self.random.below(KEYS - 1);
        let indices: Vec<usize> = (0..count).map(|offset| (first + offset) % KEYS).collect();
        let mut writes = Vec::with_capacity(count);
        for index in &indices {
            if self.look(*index).await.is_err() {
                return true;
            }
            let conditional = self.random.once_in(3);
            writes.push(self.write(*index, true, conditional));
        }
        let answer = self.client.transact(&writes).await;
        self.after(&indices, &writes, answer)
    }

    /// Reads a key of which nothing is known.
    async fn look(&mut self, index: usize) -> Result<(), Failure> {
        if self.keys[index].known == Known::Nothing {
            let found = self.client.get(&self.keys[index].key).await?;
            self.keys[index].version = found.map(|found| found.version);
            self.keys[index].known = Known::Seen;
        }
        Ok(())
    }

    fn after(&mut self, indices: &[usize], writes: &[Write], answer: Result<Vec<Option<Version>>, Failure>) -> bool {
        self.ledger.note(writes, &answer);
        let failure = match answer {
            Ok(versions) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                for (index, version) in indices.iter().zip(versions) {
                    self.keys[*index].version = version;
                }
                return false;
            }
            Err(failure) => failure,
        };
        if failure.conflict().is_some() && indices.iter().all(|index| self.keys[*index].known == Known::Surely) {
            let keys: Vec<&str> = writes.iter().map(|write| write.key.as_str()).collect();
            self.ledger.violation(format!("a conflict on {keys:?}, which nobody else writes: {failure}"));
        }
        if failure.outcome() == Outcome::Unknown || failure.conflict().is_some() {
            for index in indices {
                self.keys[*index].known = Known::Nothing;
            }
        }
        true
    }
}

struct Clerk {
    client: Client,
    ledger: Ledger,
    random: Seeded,
}

impl Clerk {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.transfer().await {
                Ok(()) => self.ledger.transferred(),
                Err(failure) if failure.is_defect() => self.ledger.violation(failure.to_string()),
                Err(failure) if failure.conflict().is_some() => {}
                Err(_) => SystemClock.sleep(PAUSE).await,
            }
        }
    }

    async fn transfer(&mut self) -> Result<(), Failure> {
        let accounts = bank().accounts();
        let from = self.random.below(accounts);
        let to = (from + 1 + self.random.below(accounts - 1)) % accounts;
        let keys = [account(from), account(to)];
        let mut balances = Vec::with_capacity(2);
        for (key, found) in keys.iter().zip(self.client.get_many(&keys).await?) {
            let absurd = || Failure::Absurd(format!("the account `{key}` holds no number"));
            let found = found.ok_or_else(absurd)?;
            let number: u64 =
                std::str::from_utf8(&found.value).ok().and_then(|text| text.parse().ok()).ok_or_else(absurd)?;
            balances.push((number, found.version));
        }
        let amount = (self.random.number() % 50).min(balances[0].0);
        let after = [balances[0].0 - amount, balances[1].0 + amount];
        let writes: Vec<Write> = keys
            .into_iter()
            .zip(balances)
            .zip(after)
            .map(|((key, (_, version)), after)| Write {
                key,
                value: Some(after.to_string().into()),
                condition: Condition::IfMatch(version),
            })
            .collect();
        self.client.transact(&writes).await.map(drop)
    }
}
