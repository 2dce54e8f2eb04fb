//! Calls made again.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures::future::try_join_all;
use pillion_spi::caps::{Transact, Ttl};
use pillion_spi::state::{ApplyOptions, Condition, Expiry, Op, OpOutcome, Version};
use pillion_spi::{Kind, Outcome};

use crate::env::{Env, Store, equal, refused};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    a_repeated_call_is_applied_once [Idempotency];
    another_key_is_another_call [Idempotency];
    a_key_used_again_for_another_call_is_refused [Idempotency];
    a_key_that_was_refused_still_repeats_its_own_call [Idempotency];
    keys_of_two_applications_do_not_meet [Idempotency];
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

/// `ops` under an idempotency key that belongs to another call.
async fn refused_as_reused(what: &str, store: &Store, name: &str, ops: Vec<Op>) -> Result<()> {
    let mut options = ApplyOptions::default();
    options.atomic = ops.len() > 1 && store.raw().caps().transact != Transact::None;
    options.idempotency_key = Some(name.to_owned());
    let error = refused(what, store.raw().apply(ops, options).await, Kind::Reused)?;
    equal("the outcome", error.outcome(), Outcome::Rejected)?;
    ensure!(error.advice_text().is_some(), "{what}: it does not say what to do");
    Ok(())
}

async fn a_key_used_again_for_another_call_is_refused(env: &Env) -> Result<()> {
    let (store, a, b) = (env.store(), env.key("a"), env.key("b"));
    let caps = store.raw().caps();
    let name = |number: usize| format!("{}{number}", env.prefix());
    let mut others = vec![
        ("another key", op::put(&b, "1")),
        ("another value", op::put(&a, "2")),
        ("a delete", op::delete(&a)),
        ("a longer value", op::put(&a, "11")),
    ];
    if caps.conditions {
        others.push(("a condition", op::put(&a, "1").when(Condition::IfAbsent)));
    }
    if caps.content_type {
        others.push(("a content type", op::put(&a, "1").typed("text/plain")));
    }
    if caps.ttl != Ttl::None {
        others.push(("a lifetime", op::put(&a, "1").expiring(Expiry::After(Duration::from_secs(60)))));
    }
    for (number, (what, other)) in others.into_iter().enumerate() {
        call(&store, &name(number), vec![op::put(&a, "1")]).await?;
        let before = store.entry(&a).await?;
        refused_as_reused(what, &store, &name(number), vec![other]).await?;
        equal(&format!("{what}: the entry"), store.entry(&a).await?, before)?;
        equal(&format!("{what}: the other entry"), store.get(&b).await?, None)?;
    }
    let more = vec![op::put(&a, "1"), op::put(&b, "1")];
    refused_as_reused("another number of writes", &store, &name(0), more).await?;
    equal("the other entry", store.get(&b).await?, None)?;

    call(&store, &name(100), vec![op::delete(&a)]).await?;
    refused_as_reused("a write after a delete", &store, &name(100), vec![op::put(&a, "1")]).await?;
    equal("the entry", store.get(&a).await?, None)
}

async fn a_key_that_was_refused_still_repeats_its_own_call(env: &Env) -> Result<()> {
    let (store, a) = (env.store(), env.key("a"));
    let first = call(&store, env.prefix(), vec![op::put(&a, "1")]).await?;
    refused_as_reused("another value", &store, env.prefix(), vec![op::put(&a, "2")]).await?;
    equal("the repeated answer", call(&store, env.prefix(), vec![op::put(&a, "1")]).await?, first)?;
    equal("the counter", store.entry(&a).await?.version.counter, 1)
}

/// As the core writes them for applications that do not share keys.
async fn keys_of_two_applications_do_not_meet(env: &Env) -> Result<()> {
    let store = env.store();
    for app in ["shop", "bank"] {
        let key = env.key(&format!("{app}||a"));
        call(&store, &format!("{app}||{}", env.prefix()), vec![op::put(&key, app)]).await?;
        equal("the value", store.entry(&key).await?.value, app.into())?;
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
