//! Writing: the script, and the wait for replicas.

use std::sync::Arc;
use std::time::Duration;

use pillion_spi::state::{Action, Condition, Op, OpOutcome, Version};
use pillion_spi::{Error, Result, chaos};
use redis::{Pipeline, ServerError, ServerErrorKind, Value};

use super::error::{Fault, unexpected};
use super::link::Link;
use super::live::Live;
use super::probe::probe;
use super::script::{self, By, Group};
use super::server::Server;

/// Applies writes on the connection of `link`: one round trip.
pub(super) async fn apply(server: &Arc<Server>, link: &Arc<Link>, ops: &[Op], group: &Group) -> Result<Vec<OpOutcome>> {
    if chaos::fires("redis.torn_transaction") && group.atomic && ops.len() > 1 {
        return torn(server, link, ops).await;
    }
    if chaos::fires("redis.ack_before_reply") {
        return Ok(premature(server, link, ops));
    }
    let live = link.live().await.map_err(Fault::of_write)?;
    // Switched to `abort`, they end the process here.
    chaos::fires("redis.before_send");
    let answer = run(server, &live, ops, group).await;
    chaos::fires("redis.after_reply");
    if let Err(Fault::Refused(error)) = &answer {
        note_refusal(&live, error);
    }
    outcomes(answer.map_err(Fault::of_write)?, ops)
}

/// Runs the script; the server may have forgotten it.
async fn run(server: &Server, live: &Live, ops: &[Op], group: &Group) -> Result<Value, Fault> {
    let random = &*server.env.random;
    match live.send(&script::call(By::Hash, ops, group, random)).await {
        Err(Fault::Refused(error)) if forgotten(&error) => live.send(&script::call(By::Text, ops, group, random)).await,
        answer => answer,
    }
}

fn forgotten(error: &ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoScript)
}

fn note_refusal(live: &Live, error: &ServerError) {
    if error.kind() == Some(ServerErrorKind::ReadOnly) {
        live.renew();
    }
}

fn outcomes(answer: Value, ops: &[Op]) -> Result<Vec<OpOutcome>> {
    match answer {
        Value::BulkString(answer) => script::outcomes(&answer, ops.len()),
        other => Err(unexpected(other)),
    }
}

/// Applies writes and waits until `replicas` have them.
///
/// WAIT counts from the last write of the connection it comes on, and lets nothing else through
/// until it is answered: so these writes have a connection of their own. If too few replicas
/// confirm within `patience`, the writes stand on the primary and may be lost in a failover: that
/// is neither success as it was asked for nor failure, so their outcome is unknown.
pub(super) async fn apply_on_replicas(
    server: &Server,
    link: &Arc<Link>,
    ops: &[Op],
    group: &Group,
    replicas: usize,
    patience: Duration,
) -> Result<Vec<OpOutcome>> {
    let live = link.live().await.map_err(Fault::of_write)?;
    let mut by = By::Hash;
    let (answer, confirmed) = loop {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(script::call(by, ops, group, &*server.env.random));
        // No time at all would mean without end.
        pipeline.cmd("WAIT").arg(replicas).arg(patience.as_millis().max(1));
        let mut answers = live.send_all(&pipeline).await.map_err(Fault::of_write)?.into_iter();
        match (answers.next(), answers.next()) {
            (Some(Value::ServerError(error)), _) if by == By::Hash && forgotten(&error) => by = By::Text,
            (Some(Value::ServerError(error)), _) => {
                note_refusal(&live, &error);
                return Err(Fault::Refused(error).of_write());
            }
            (Some(answer), Some(confirmed)) => break (answer, confirmed),
            _ => return Err(Error::internal("Redis gave fewer answers than questions were asked").outcome_unknown()),
        }
    };
    let mut outcomes = outcomes(answer, ops)?;
    let confirmed = match confirmed {
        Value::Int(confirmed) => usize::try_from(confirmed).unwrap_or(0),
        _ => 0,
    };
    if confirmed < replicas {
        for outcome in &mut outcomes {
            if matches!(outcome, OpOutcome::Applied { .. }) {
                *outcome = OpOutcome::Failed(unconfirmed(confirmed, replicas));
            }
        }
        // A replica that has gone must not fail the next write, too.
        if let Ok(facts) = probe(&live, &server.env.name).await {
            server.learn(facts);
        }
    }
    Ok(outcomes)
}

fn unconfirmed(confirmed: usize, replicas: usize) -> Error {
    Error::unavailable(format!(
        "the write is on the Redis primary, but {confirmed} of {replicas} replicas confirmed it in time"
    ))
    .advice("read the key before you write again, or ask for less consistency")
    .outcome_unknown()
}

/// A planted defect: a transaction that is none.
async fn torn(server: &Arc<Server>, link: &Arc<Link>, ops: &[Op]) -> Result<Vec<OpOutcome>> {
    let live = link.live().await.map_err(Fault::of_write)?;
    let mut all = Vec::with_capacity(ops.len());
    for op in ops {
        let op = std::slice::from_ref(op);
        let answer = run(server, &live, op, &Group { atomic: false, remember: None }).await;
        all.extend(outcomes(answer.map_err(Fault::of_write)?, op)?);
    }
    if all.iter().any(|outcome| !matches!(outcome, OpOutcome::Applied { .. })) {
        for outcome in &mut all {
            if matches!(outcome, OpOutcome::Applied { .. }) {
                *outcome = OpOutcome::Aborted;
            }
        }
    }
    Ok(all)
}

/// A planted defect: success before the server has said anything.
fn premature(server: &Arc<Server>, link: &Arc<Link>, ops: &[Op]) -> Vec<OpOutcome> {
    let outcomes = ops.iter().map(|op| match (&op.action, &op.condition) {
        (Action::Delete, _) => OpOutcome::Applied { version: None, existed: true },
        (Action::Put { .. }, Condition::IfMatch(before)) => {
            OpOutcome::Applied { version: Some(Version { counter: before.counter + 1, ..*before }), existed: true }
        }
        (Action::Put { .. }, _) => OpOutcome::Applied { version: Some(Version::bare(1)), existed: false },
    });
    let outcomes = outcomes.collect();
    let (of, link, ops) = (server.clone(), link.clone(), ops.to_vec());
    server.env.spawn(async move {
        if let Ok(live) = link.live().await {
            let _ = run(&of, &live, &ops, &Group { atomic: true, remember: None }).await;
        }
    });
    outcomes
}
