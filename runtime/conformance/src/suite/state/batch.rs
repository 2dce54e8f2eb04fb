//! Several writes in one call, each for itself.

use anyhow::{Result, bail};
use pillion_spi::state::{Condition, Key, Op, OpOutcome, Version};

use crate::env::{Env, equal};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    outcomes_stand_in_the_order_of_the_writes [];
    writes_of_one_key_apply_in_order [];
    a_condition_sees_the_writes_before_it [Conditions];
    a_failing_middle_write_leaves_the_others [Conditions];
    only_failing_writes_change_nothing [Conditions];
    five_hundred_writes_in_one_call [];
    a_call_may_hold_more_writes_than_a_transaction [];
}

async fn outcomes_stand_in_the_order_of_the_writes(env: &Env) -> Result<()> {
    let (store, old, new, none) = (env.store(), env.key("old"), env.key("new"), env.key("none"));
    store.put(&old, "a").await?;
    let ops = vec![op::put(&new, "b"), op::delete(&none), op::put(&old, "c"), op::delete(&old)];
    let mut found = Vec::new();
    for outcome in store.apply(ops, false).await? {
        match outcome {
            OpOutcome::Applied { version, existed } => found.push((version.map(|version| version.counter), existed)),
            other => bail!("{other:?}"),
        }
    }
    equal("the outcomes", found, vec![(Some(1), false), (None, false), (Some(2), true), (None, true)])
}

async fn writes_of_one_key_apply_in_order(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let ops = vec![op::put(&key, "a"), op::put(&key, "b"), op::delete(&key), op::put(&key, "c"), op::put(&key, "d")];
    let mut counters = Vec::new();
    for outcome in store.apply(ops, false).await? {
        match outcome {
            OpOutcome::Applied { version, .. } => counters.push(version.map(|version| version.counter)),
            other => bail!("{other:?}"),
        }
    }
    equal("the counters", counters, vec![Some(1), Some(2), None, Some(1), Some(2)])?;
    equal("the value", store.value(&key).await?, Some("d".into()))
}

async fn a_condition_sees_the_writes_before_it(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let ops = vec![
        op::put(&key, "a").when(Condition::IfAbsent),
        op::put(&key, "b").when(Condition::IfAbsent),
        op::put(&key, "c").when(Condition::IfMatch(Version::bare(1))),
        op::delete(&key).when(Condition::IfMatch(Version::bare(2))),
        op::put(&key, "d").when(Condition::IfAbsent),
    ];
    let outcomes = store.apply(ops, false).await?;
    let applied: Vec<bool> = outcomes.iter().map(|outcome| matches!(outcome, OpOutcome::Applied { .. })).collect();
    equal("what took effect", applied, vec![true, false, true, true, true])?;
    equal("the value", store.value(&key).await?, Some("d".into()))
}

async fn a_failing_middle_write_leaves_the_others(env: &Env) -> Result<()> {
    let (store, a, b, c) = (env.store(), env.key("a"), env.key("b"), env.key("c"));
    let version = store.put(&b, "old").await?;
    let ops = vec![op::put(&a, "new"), op::put(&b, "new").when(Condition::IfAbsent), op::put(&c, "new")];
    match &store.apply(ops, false).await?[..] {
        [OpOutcome::Applied { .. }, OpOutcome::Conflict { found }, OpOutcome::Applied { .. }] => {
            equal("the version found", *found, Some(version))?;
        }
        other => bail!("{other:?}"),
    }
    for (key, wanted) in [(a, "new"), (b, "old"), (c, "new")] {
        equal(key.as_str(), store.value(&key).await?, Some(wanted.into()))?;
    }
    Ok(())
}

async fn only_failing_writes_change_nothing(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = ["a", "b", "c"].map(|name| env.key(name)).into();
    let ops = keys.iter().map(|key| op::put(key, "x").when(Condition::IfMatch(Version::bare(1)))).collect();
    for outcome in store.apply(ops, false).await? {
        match outcome {
            OpOutcome::Conflict { found } => equal("the version found", found, None)?,
            other => bail!("{other:?}"),
        }
    }
    for key in keys {
        equal(key.as_str(), store.get(&key).await?, None)?;
    }
    Ok(())
}

async fn write_many(env: &Env, count: usize) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..count).map(|number| env.key(&number.to_string())).collect();
    let ops: Vec<Op> = keys.iter().map(|key| op::put(key, key.as_str().to_owned())).collect();
    for (key, outcome) in keys.iter().zip(store.apply(ops, false).await?) {
        match outcome {
            OpOutcome::Applied { version: Some(_), existed: false } => {}
            other => bail!("{key}: {other:?}"),
        }
    }
    for key in [&keys[0], &keys[count / 2], &keys[count - 1]] {
        equal(key.as_str(), store.value(key).await?, Some(key.as_str().to_owned().into()))?;
    }
    Ok(())
}

async fn five_hundred_writes_in_one_call(env: &Env) -> Result<()> {
    write_many(env, 500).await
}

async fn a_call_may_hold_more_writes_than_a_transaction(env: &Env) -> Result<()> {
    // Beyond that it is the core's limit on batches that counts.
    write_many(env, env.caps().max_ops.min(2000) + 1).await
}
