//! The one thread that writes.
//!
//! It takes whatever calls wait, applies them in one transaction and answers all of them after its
//! commit: one sync serves many callers, and a lone caller waits for no other.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread::{self, JoinHandle};

use pillion_spi::error::{Error, Outcome, Result};
use pillion_spi::state::{Applied, Op, OpOutcome};
use pillion_spi::{Durability, LocalDurability, Replication, chaos};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::engine::{Engine, Failure};
use super::lock::Lock;
use super::op::Applier;
use super::store::Reply;
use crate::repeat::{self, Remembered};

/// What is committed was synced.
pub(super) const DURABILITY: Durability = Durability::new(LocalDurability::PowerLoss, Replication::Single);

/// The most calls of one transaction.
const BATCH_CALLS: usize = 512;
/// No call joins a transaction that writes so many bytes already.
const BATCH_BYTES: usize = 8 << 20;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// A call of the store.
    Call(Call),
    /// Remove some of what has expired; dropped without answer when that failed.
    Expire(oneshot::Sender<()>),
    /// Finish what waits and end.
    Close,
}

/// A call of the store.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) ops: Vec<Op>,
    pub(super) atomic: bool,
    /// Its idempotency key, and what belongs to it.
    pub(super) once: Option<repeat::Call>,
    /// The size of keys and values.
    pub(super) bytes: usize,
    /// Gone once it was used.
    pub(super) reply: Option<Reply>,
}

impl Call {
    fn is_withdrawn(&self) -> bool {
        self.reply.as_ref().is_none_or(Reply::is_withdrawn)
    }

    fn answer(&mut self, answer: Result<Applied>) {
        if let Some(reply) = self.reply.take() {
            reply.send(answer);
        }
    }
}

/// What the calls of a transaction get, in their order.
type Outcomes = Vec<Result<Vec<OpOutcome>>>;

/// The state of the thread.
pub(super) struct Writer {
    engine: Engine,
    checkpointer: Checkpointer,
    queue: mpsc::Receiver<Job>,
    /// Taken from the queue and not done yet.
    left_over: Option<Job>,
    /// The calls of the transaction under way, here so that a panic does not drop them before it is
    /// known what it means.
    serving: Vec<Call>,
}

impl Writer {
    /// Starts the thread. It ends by itself when nobody can send jobs any more, and then lets go of
    /// `lock`.
    pub(super) fn start(
        engine: Engine,
        checkpointer: Checkpointer,
        queue: mpsc::Receiver<Job>,
        lock: Lock,
    ) -> Result<JoinHandle<()>> {
        let mut writer = Self { engine, checkpointer, queue, left_over: None, serving: Vec::new() };
        thread::Builder::new()
            .name("pillion-local".into())
            .spawn(move || {
                writer.run();
                // The last connection to close moves the log to the file and removes it.
                writer.checkpointer.stop();
                writer.engine.close();
                drop(lock);
            })
            .map_err(|error| Error::unavailable("cannot start the thread of the state file").source(error))
    }

    fn run(&mut self) {
        while let Some(job) = self.left_over.take().or_else(|| self.queue.blocking_recv()) {
            // A panic costs the calls that it happens over: they are dropped, and their callers told that
            // the outcome is unknown. Afterwards the engine believes only what it reads from the file.
            if panic::catch_unwind(AssertUnwindSafe(|| self.work(job))).is_err() {
                self.engine.distrust(&"a write panicked, which is a defect; see the log");
                self.serving.clear();
            }
        }
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Call(call) => {
                self.serve(call);
                if let Err(error) = self.checkpointer.look(&self.engine.connection) {
                    self.engine.distrust(&error);
                }
            }
            Job::Expire(done) => {
                if self.engine.expire().is_ok() {
                    // The task that asked may have ended.
                    let _ = done.send(());
                }
            }
            Job::Close => self.queue.close(),
        }
    }

    /// Serves `first` and the calls that wait behind it.
    fn serve(&mut self, first: Call) {
        self.serving = vec![first];
        let (queue, left_over) = (&mut self.queue, &mut self.left_over);
        let waiting = || match queue.try_recv().ok()? {
            Job::Call(call) => Some(call),
            other => {
                *left_over = Some(other);
                None
            }
        };
        match attempt(&mut self.engine, &mut self.serving, waiting) {
            Ok(outcomes) => acknowledge(&mut self.serving, outcomes),
            // One call may be too much where the others are not.
            Err(failure) if self.serving.len() > 1 && failure.outcome() == Outcome::Rejected => {
                for call in mem::take(&mut self.serving) {
                    self.serving = vec![call];
                    match attempt(&mut self.engine, &mut self.serving, || None) {
                        Ok(outcomes) => acknowledge(&mut self.serving, outcomes),
                        Err(failure) => refuse(&mut self.serving, &failure),
                    }
                }
            }
            Err(failure) => refuse(&mut self.serving, &failure),
        }
        self.serving.clear();
    }
}

/// Applies `calls`, and those that `waiting` returns meanwhile, in one transaction.
fn attempt(
    engine: &mut Engine,
    calls: &mut Vec<Call>,
    mut waiting: impl FnMut() -> Option<Call>,
) -> Result<Outcomes, Failure> {
    engine.transaction(|applier| {
        let mut outcomes = Vec::with_capacity(calls.len());
        let mut bytes = 0;
        while outcomes.len() < BATCH_CALLS && bytes < BATCH_BYTES {
            if outcomes.len() == calls.len() {
                let Some(call) = waiting() else { break };
                calls.push(call);
            }
            let call = &calls[outcomes.len()];
            bytes += call.bytes;
            // Nobody waits for a withdrawn call any more: it must not take effect behind their back.
            outcomes.push(if call.is_withdrawn() { Ok(Vec::new()) } else { apply(applier, call)? });
        }
        if chaos::fires("local.panic") {
            panic!("the failure point `local.panic`");
        }
        if chaos::fires("local.ack_before_commit") {
            acknowledge(calls, mem::take(&mut outcomes));
        }
        Ok(outcomes)
    })
}

fn acknowledge(calls: &mut [Call], outcomes: Outcomes) {
    for (call, outcomes) in calls.iter_mut().zip(outcomes) {
        call.answer(outcomes.map(|outcomes| Applied { outcomes, durability: DURABILITY }));
    }
}

fn refuse(calls: &mut [Call], failure: &Failure) {
    calls.iter_mut().for_each(|call| call.answer(Err(failure.to_error())));
}

/// Applies one call. The outer error ends the transaction, the inner one is this caller's.
fn apply(applier: &mut Applier<'_>, call: &Call) -> rusqlite::Result<Result<Vec<OpOutcome>>> {
    let once = call.once.as_ref().filter(|_| !chaos::fires("local.forget_call"));
    let Some(repeat::Call { id, digest }) = once else { return write(applier, call).map(Ok) };
    let remembered = applier
        .connection
        .prepare_cached("SELECT outcomes FROM call WHERE id = ?1 AND until > ?2")?
        .query_row(params![id, applier.now], |row| row.get::<_, String>(0))
        .optional()?;
    let outcomes = match remembered {
        None => write(applier, call)?,
        Some(text) => {
            let remembered: Remembered = serde_json::from_str(&text).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
            })?;
            match remembered.replay(*digest) {
                Err(error) => return Ok(Err(error)),
                Ok(outcomes) if outcomes.iter().all(Option::is_some) => {
                    return Ok(Ok(outcomes.into_iter().flatten().collect()));
                }
                Ok(outcomes) => {
                    let again = call.ops.iter().zip(outcomes);
                    again.map(|(op, outcome)| outcome.map_or_else(|| applier.one(op), Ok)).collect::<Result<_, _>>()?
                }
            }
        }
    };
    let text = serde_json::to_string(&Remembered::new(*digest, &outcomes))
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let until = applier.clock.after(repeat::WINDOW);
    applier
        .connection
        .prepare_cached("INSERT OR REPLACE INTO call (id, until, outcomes) VALUES (?1, ?2, ?3)")?
        .execute(params![id, until, text])?;
    applier.progress.earliest = applier.progress.earliest.min(until);
    Ok(Ok(outcomes))
}

fn write(applier: &mut Applier<'_>, call: &Call) -> rusqlite::Result<Vec<OpOutcome>> {
    // A single statement is all or nothing by itself.
    if !call.atomic || call.ops.len() < 2 {
        return applier.each(&call.ops);
    }
    let run = |connection: &Connection, sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    let mark = applier.progress.mark();
    run(applier.connection, "SAVEPOINT call")?;
    let outcomes = applier.all(&call.ops)?;
    if !outcomes.iter().all(|outcome| matches!(outcome, OpOutcome::Applied { .. })) {
        run(applier.connection, "ROLLBACK TO call")?;
        applier.progress.reset(&mark);
    }
    run(applier.connection, "RELEASE call")?;
    Ok(outcomes)
}
