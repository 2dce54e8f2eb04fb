//! Calls made again.

use anyhow::{Result, bail};
use futures::future::try_join_all;
use pillion_spi::state::{ApplyOptions, Condition, Op, OpOutcome, Version};

use crate::env::{Env, Store, equal};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    a_repeated_call_is_applied_once [Idempotency];
    another_key_is_another_call [Idempotency];
    a_repeated_conflict_stays_a_conflict [Idempotency, Conditions];
    a_repeated_transaction_is_applied_once [Idempotency, Transact];
    many_repetitions_at_once_are_applied_once [Idempotency];
    a_repetition_is_recognised_after_reopening [Idempotency, Durable];
}

async fn call(store: &Store, name: &str, ops: Vec<Op>) -> Result<Vec<(Option<Version>, bool)>> {
    let mut options = ApplyOptions::default();
    options.atomic = ops.len() > 1;
    options.idempotency_key = Some(name.to_owned());
    let mut found = Vec::new();
    for outcome in store.raw().apply(ops, options).await?.outcomes {
        match outcome {
            OpOutcome::Applied { version, .. } => found.push((version, true)),
            OpOutcome::Conflict { found: version } => found.push((version, false)),
            other => bail!("{other:?}"),
        }
    }
    Ok(found)
}

async fn a_repeated_call_is_applied_once(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let name = env.prefix();
    let first = call(&store, name, vec![op::put(&key, "a")]).await?;
    let version = store.put(&key, "b").await?;
    equal("the repeated answer", call(&store, name, vec![op::put(&key, "a")]).await?, first)?;
    equal("the version", store.entry(&key).await?.version, version)
}

async fn another_key_is_another_call(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    for round in 1..=3 {
        call(&store, &format!("{}{round}", env.prefix()), vec![op::put(&key, "a")]).await?;
        equal("the counter", store.entry(&key).await?.version.counter, round)?;
    }
    Ok(())
}

async fn a_repeated_conflict_stays_a_conflict(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let ops = || vec![op::put(&key, "a").when(Condition::IfAbsent)];
    store.put(&key, "old").await?;
    let first = call(&store, env.prefix(), ops()).await?;
    store.delete(&key).await?;
    equal("the repeated answer", call(&store, env.prefix(), ops()).await?, first)?;
    equal("the entry", store.get(&key).await?, None)
}

async fn a_repeated_transaction_is_applied_once(env: &Env) -> Result<()> {
    let (store, a, b) = (env.store(), env.key("a"), env.key("b"));
    let ops = || vec![op::put(&a, "1"), op::put(&b, "1")];
    let first = call(&store, env.prefix(), ops()).await?;
    equal("the repeated answer", call(&store, env.prefix(), ops()).await?, first)?;
    equal("the counter", store.entry(&b).await?.version.counter, 1)
}

async fn many_repetitions_at_once_are_applied_once(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let calls = (0..16).map(|_| call(&store, env.prefix(), vec![op::put(&key, "a")]));
    let answers = try_join_all(calls).await?;
    for answer in &answers {
        equal("the answer", answer, &answers[0])?;
    }
    equal("the counter", store.entry(&key).await?.version.counter, 1)
}

async fn a_repetition_is_recognised_after_reopening(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    let mut answers = Vec::new();
    for _ in 0..2 {
        let timed = env.reopen(&place).await?;
        answers.push(call(&timed.store, env.prefix(), vec![op::put(&key, "a")]).await?);
        equal("the counter", timed.store.entry(&key).await?.version.counter, 1)?;
        timed.close().await;
    }
    equal("the repeated answer", &answers[1], &answers[0])
}
