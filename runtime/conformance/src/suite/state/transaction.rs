//! Several writes in one call, all or nothing.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use pillion_spi::Kind;
use pillion_spi::state::{ApplyOptions, Condition, Entry, Expiry, Key, Op, OpOutcome, Version};

use crate::env::{Env, Store, equal, refused};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    a_group_of_one_needs_no_transactions [];
    an_empty_group_succeeds [];
    all_writes_take_effect [Transact];
    creating_changing_and_removing_in_one_group [Transact];
    a_failing_first_write_leaves_nothing [Transact, Conditions];
    a_failing_middle_write_leaves_nothing [Transact, Conditions];
    a_failing_last_write_leaves_nothing [Transact, Conditions];
    two_failing_writes_leave_nothing [Transact, Conditions];
    a_failing_delete_leaves_nothing [Transact, Conditions];
    a_failing_first_write_wins_leaves_nothing [Transact, FirstWrite];
    conditions_that_all_hold [Transact, Conditions];
    a_group_that_failed_can_be_tried_again [Transact, Conditions];
    a_group_that_failed_keeps_expiry_and_content_type [Transact, Conditions, Ttl, ContentType];
    entries_of_a_group_expire [Transact, Ttl];
    keys_need_not_share_a_hash_tag [TransactAll];
    a_group_of_the_most_writes [Transact];
    a_group_of_one_write_more_is_refused_whole [Transact];
    a_group_of_large_values [Transact];
}

async fn a_group_of_one_needs_no_transactions(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    match &store.apply(vec![op::put(&key, "a")], true).await?[..] {
        [OpOutcome::Applied { version: Some(Version { counter: 1, .. }), existed: false }] => {}
        other => bail!("{other:?}"),
    }
    equal("the value", store.value(&key).await?, Some("a".into()))
}

async fn an_empty_group_succeeds(env: &Env) -> Result<()> {
    equal("the number of outcomes", env.store().apply(Vec::new(), true).await?.len(), 0)
}

async fn all_writes_take_effect(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..10).map(|number| env.key(&number.to_string())).collect();
    for round in 1..=3 {
        let value = format!("round {round}");
        let ops = keys.iter().map(|key| op::put(key, value.clone())).collect();
        for outcome in store.apply(ops, true).await? {
            match outcome {
                OpOutcome::Applied { version: Some(version), existed } => {
                    equal("the counter", version.counter, round)?;
                    equal("whether there was one", existed, round > 1)?;
                }
                other => bail!("{other:?}"),
            }
        }
        for key in &keys {
            equal("the value", store.value(key).await?, Some(value.clone().into()))?;
        }
    }
    Ok(())
}

async fn creating_changing_and_removing_in_one_group(env: &Env) -> Result<()> {
    let (store, new, old, gone, none) = (env.store(), env.key("new"), env.key("old"), env.key("gone"), env.key("none"));
    store.put(&old, "a").await?;
    store.put(&gone, "a").await?;
    let ops = vec![op::put(&new, "b"), op::put(&old, "b"), op::delete(&gone), op::delete(&none)];
    let mut found = Vec::new();
    for outcome in store.apply(ops, true).await? {
        match outcome {
            OpOutcome::Applied { version, existed } => found.push((version.map(|version| version.counter), existed)),
            other => bail!("{other:?}"),
        }
    }
    equal("the outcomes", found, vec![(Some(1), false), (Some(2), true), (None, true), (None, false)])?;
    equal("what was removed", store.get(&gone).await?, None)
}

/// Ten keys, every second of them with an entry.
async fn ten(env: &Env, store: &Store) -> Result<Vec<Key>> {
    let keys: Vec<Key> = (0..10).map(|number| env.key(&number.to_string())).collect();
    for key in keys.iter().step_by(2) {
        store.put(key, "old").await?;
    }
    Ok(keys)
}

async fn all(store: &Store, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
    let mut entries = Vec::new();
    for key in keys {
        entries.push(store.get(key).await?);
    }
    Ok(entries)
}

/// Writes and deletes all of [`ten`] keys, those at `failing` under a condition that does not hold.
async fn nothing_is_left(env: &Env, failing: &[usize], condition: Condition, with_delete: bool) -> Result<()> {
    let store = env.store();
    let keys = ten(env, &store).await?;
    let before = all(&store, &keys).await?;
    let ops: Vec<Op> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| {
            let op = if index % 4 == 2 || (with_delete && failing.contains(&index)) {
                op::delete(key)
            } else {
                op::put(key, "new")
            };
            if failing.contains(&index) { op.when(condition.clone()) } else { op }
        })
        .collect();
    let mut conflicts = 0;
    for (index, outcome) in store.apply(ops, true).await?.into_iter().enumerate() {
        match outcome {
            OpOutcome::Conflict { found } if failing.contains(&index) => {
                conflicts += 1;
                equal("the version found", found, before[index].as_ref().map(|entry| entry.version))?;
            }
            OpOutcome::Aborted => {}
            other => bail!("write {index}: {other:?}"),
        }
    }
    ensure!(conflicts > 0, "no write says why the group failed");
    equal("the entries", all(&store, &keys).await?, before)
}

async fn a_failing_first_write_leaves_nothing(env: &Env) -> Result<()> {
    nothing_is_left(env, &[0], Condition::IfAbsent, false).await
}

async fn a_failing_middle_write_leaves_nothing(env: &Env) -> Result<()> {
    nothing_is_left(env, &[5], Condition::IfMatch(Version::bare(1)), false).await
}

async fn a_failing_last_write_leaves_nothing(env: &Env) -> Result<()> {
    nothing_is_left(env, &[9], Condition::IfMatch(Version::bare(1)), false).await
}

async fn two_failing_writes_leave_nothing(env: &Env) -> Result<()> {
    nothing_is_left(env, &[3, 8], Condition::IfMatch(Version::bare(2)), false).await
}

async fn a_failing_delete_leaves_nothing(env: &Env) -> Result<()> {
    nothing_is_left(env, &[8], Condition::IfMatch(Version::bare(2)), true).await
}

async fn a_failing_first_write_wins_leaves_nothing(env: &Env) -> Result<()> {
    nothing_is_left(env, &[8], Condition::FirstWrite(Some(Version::bare(2))), false).await
}

async fn conditions_that_all_hold(env: &Env) -> Result<()> {
    let (store, a, b, c, d) = (env.store(), env.key("a"), env.key("b"), env.key("c"), env.key("d"));
    let version = store.put(&b, "old").await?;
    store.put(&d, "old").await?;
    let ops = vec![
        op::put(&a, "new").when(Condition::IfAbsent),
        op::put(&b, "new").when(Condition::IfMatch(version)),
        op::put(&c, "new").when(Condition::IfMatchOrAbsent(Version::bare(9))),
        op::delete(&d).when(Condition::IfMatch(Version::bare(1))),
    ];
    for outcome in store.apply(ops, true).await? {
        ensure!(matches!(outcome, OpOutcome::Applied { .. }), "{outcome:?}");
    }
    for key in [a, b, c] {
        equal(key.as_str(), store.value(&key).await?, Some("new".into()))?;
    }
    equal("the deleted one", store.get(&d).await?, None)
}

async fn a_group_that_failed_can_be_tried_again(env: &Env) -> Result<()> {
    let (store, a, b) = (env.store(), env.key("a"), env.key("b"));
    let version = store.put(&b, "1").await?;
    let group = |version| vec![op::put(&a, "2"), op::put(&b, "2").when(Condition::IfMatch(version))];
    let wrong = Version { counter: 7, ..version };
    store.apply(group(wrong), true).await?;
    equal("the entry of the failed group", store.get(&a).await?, None)?;
    for outcome in store.apply(group(version), true).await? {
        ensure!(matches!(outcome, OpOutcome::Applied { .. }), "{outcome:?}");
    }
    equal("the counter", store.entry(&a).await?.version.counter, 1)?;
    equal("the counter", store.entry(&b).await?.version.counter, 2)
}

async fn a_group_that_failed_keeps_expiry_and_content_type(env: &Env) -> Result<()> {
    let (store, a, b) = (env.store(), env.key("a"), env.key("b"));
    let hour = Duration::from_secs(3600);
    store.write(op::put(&a, "1").typed("text/plain").expiring(Expiry::After(hour))).await?;
    let group = vec![op::put(&a, "2").typed("text/html"), op::put(&b, "2").when(Condition::IfMatch(Version::bare(1)))];
    store.apply(group, true).await?;
    let entry = store.entry(&a).await?;
    equal("the content type", entry.content_type.as_deref(), Some("text/plain"))?;
    ensure!(entry.expires_in.is_some_and(|left| left <= hour), "the remaining time is {:?}", entry.expires_in);
    equal("the counter", entry.version.counter, 1)
}

async fn entries_of_a_group_expire(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    let (a, b) = (env.key("a"), env.key("b"));
    let ops = vec![op::put(&a, "1").expiring(Expiry::After(timed.life())), op::put(&b, "1")];
    timed.store.apply(ops, true).await?;
    timed.outlive(&a).await?;
    equal("the other one", timed.store.value(&b).await?, Some("1".into()))?;
    timed.close().await;
    Ok(())
}

async fn keys_need_not_share_a_hash_tag(env: &Env) -> Result<()> {
    let store = env.store();
    // Not through `env.key`: that puts all keys of a case under one tag.
    let keys: Vec<Key> = (0..8).map(|tag| Key::new(format!("{{{tag}}}{}", env.prefix()))).collect();
    let ops = keys.iter().map(|key| op::put(key, "1")).collect();
    for outcome in store.apply(ops, true).await? {
        ensure!(matches!(outcome, OpOutcome::Applied { .. }), "{outcome:?}");
    }
    for key in keys {
        equal("whether there was one", store.delete(&key).await?, true)?;
    }
    Ok(())
}

fn group_of(env: &Env, count: usize) -> Vec<Op> {
    (0..count).map(|number| op::put(&env.key(&number.to_string()), "x")).collect()
}

async fn a_group_of_the_most_writes(env: &Env) -> Result<()> {
    let (store, most) = (env.store(), env.caps().max_ops);
    for outcome in store.apply(group_of(env, most), true).await? {
        ensure!(matches!(outcome, OpOutcome::Applied { .. }), "{outcome:?}");
    }
    equal("the last entry", store.value(&env.key(&(most - 1).to_string())).await?, Some("x".into()))
}

async fn a_group_of_one_write_more_is_refused_whole(env: &Env) -> Result<()> {
    let store = env.store();
    let mut options = ApplyOptions::default();
    options.atomic = true;
    let result = store.raw().apply(group_of(env, env.caps().max_ops + 1), options).await;
    refused("one write too many", result, Kind::Invalid)?;
    equal("the first entry", store.get(&env.key("0")).await?, None)
}

async fn a_group_of_large_values(env: &Env) -> Result<()> {
    let store = env.store();
    let ops: Vec<Op> = (0..16_u8).map(|n| op::put(&env.key(&n.to_string()), vec![n; 256 << 10])).collect();
    for outcome in store.apply(ops, true).await? {
        ensure!(matches!(outcome, OpOutcome::Applied { .. }), "{outcome:?}");
    }
    for n in 0..16_u8 {
        equal("the value", store.value(&env.key(&n.to_string())).await?, Some(vec![n; 256 << 10].into()))?;
    }
    Ok(())
}
