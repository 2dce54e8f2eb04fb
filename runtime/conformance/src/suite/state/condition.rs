//! Writes that depend on what is there.

use anyhow::{Result, bail, ensure};
use pillion_spi::state::{Condition, Generation, OpOutcome, Version};

use crate::env::{Env, Store, equal};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    if_absent_creates [Conditions];
    if_absent_meets_an_entry [Conditions];
    if_absent_creates_again_after_a_delete [Conditions];
    if_match_on_the_right_version_writes [Conditions];
    if_match_on_the_version_just_returned_writes_each_time [Conditions];
    if_match_on_an_old_version_conflicts [Conditions];
    if_match_on_a_future_version_conflicts [Conditions];
    if_match_on_nothing_conflicts [Conditions];
    if_match_on_a_bare_version_ignores_the_generation [Conditions];
    if_match_on_a_bare_wrong_version_conflicts [Conditions];
    if_match_on_another_generation_conflicts [Conditions];
    if_match_on_version_zero_conflicts [Conditions];
    if_match_or_absent_creates [Conditions];
    if_match_or_absent_writes_on_the_right_version [Conditions];
    if_match_or_absent_conflicts_on_a_wrong_version [Conditions];
    if_match_or_absent_conflicts_on_another_generation [Conditions];
    a_conflict_changes_nothing [Conditions];
    delete_if_match_on_the_right_version_removes [Conditions];
    delete_if_match_on_a_wrong_version_conflicts [Conditions];
    delete_if_match_on_nothing_conflicts [Conditions];
    delete_if_match_on_an_earlier_life_conflicts [Conditions];
    delete_if_absent_on_nothing_succeeds [Conditions];
    delete_if_absent_on_an_entry_conflicts [Conditions];
    delete_if_match_or_absent_takes_nothing_or_the_right_version [Conditions];
    an_unconditional_write_passes_over_any_version [Conditions];
    first_write_without_version_creates [FirstWrite];
    first_write_with_the_right_version_writes [FirstWrite];
    first_write_with_a_wrong_version_conflicts [FirstWrite];
    first_write_with_a_version_creates_where_nothing_is [FirstWrite];
    exact_first_write_without_version_meets_an_entry [ExactFirstWrite];
    exact_first_write_leaves_no_mark [ExactFirstWrite];
    sticky_first_write_refuses_later_plain_writes [StickyFirstWrite];
    sticky_first_write_refuses_a_second_first_write [StickyFirstWrite];
    sticky_first_write_marks_an_unmarked_entry [StickyFirstWrite];
    sticky_first_write_still_takes_the_right_version [StickyFirstWrite];
    sticky_first_write_ends_with_a_delete [StickyFirstWrite];
}

/// The same counter in another life of the key.
fn other_life(version: Version) -> Version {
    let number = version.generation.map_or(1, |generation| generation.get() ^ 1);
    Version { generation: Some(Generation::from_stored(number)), ..version }
}

fn next(version: Version) -> Version {
    Version { counter: version.counter + 1, ..version }
}

async fn if_absent_creates(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.write(op::put(&key, "a").when(Condition::IfAbsent)).await?;
    equal("the counter", version.counter, 1)?;
    equal("the value", store.value(&key).await?, Some("a".into()))
}

async fn if_absent_meets_an_entry(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "").await?;
    let found = store.conflict(op::put(&key, "b").when(Condition::IfAbsent)).await?;
    equal("the version found", found, Some(version))?;
    equal("the value", store.value(&key).await?, Some("".into()))
}

async fn if_absent_creates_again_after_a_delete(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    store.delete(&key).await?;
    let version = store.write(op::put(&key, "b").when(Condition::IfAbsent)).await?;
    equal("the counter", version.counter, 1)
}

async fn if_match_on_the_right_version_writes(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    let second = store.write(op::put(&key, "b").when(Condition::IfMatch(first))).await?;
    equal("the version", second, next(first))?;
    equal("the value", store.value(&key).await?, Some("b".into()))
}

async fn if_match_on_the_version_just_returned_writes_each_time(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut version = store.put(&key, "0").await?;
    for round in 1..20 {
        version = store.write(op::put(&key, round.to_string()).when(Condition::IfMatch(version))).await?;
        // As a client would: through text.
        version = version.to_string().parse()?;
    }
    equal("the counter", version.counter, 20)
}

/// A write of `key` under `condition` conflicts and leaves the entry as it is.
async fn stays(env: &Env, store: &Store, condition: Condition) -> Result<()> {
    let key = env.key("k");
    let before = store.get(&key).await?;
    let what = format!("{condition:?}");
    let found = store.conflict(op::put(&key, "intruder").when(condition)).await?;
    equal(&format!("the version found by {what}"), found, before.as_ref().map(|entry| entry.version))?;
    equal(&format!("the entry after {what}"), store.get(&key).await?, before)
}

async fn if_match_on_an_old_version_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    store.put(&key, "b").await?;
    stays(env, &store, Condition::IfMatch(first)).await
}

async fn if_match_on_a_future_version_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    stays(env, &store, Condition::IfMatch(next(first))).await?;
    stays(env, &store, Condition::IfMatch(Version { counter: u64::MAX, ..first })).await
}

async fn if_match_on_nothing_conflicts(env: &Env) -> Result<()> {
    let store = env.store();
    stays(env, &store, Condition::IfMatch(Version::bare(1))).await?;
    stays(env, &store, Condition::IfMatch(Version::bare(0))).await
}

async fn if_match_on_a_bare_version_ignores_the_generation(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    let second = store.write(op::put(&key, "b").when(Condition::IfMatch(Version::bare(first.counter)))).await?;
    equal("the version", second, next(first))
}

async fn if_match_on_a_bare_wrong_version_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    stays(env, &store, Condition::IfMatch(Version::bare(2))).await
}

async fn if_match_on_another_generation_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let earlier = store.put(&key, "a").await?;
    store.delete(&key).await?;
    let later = store.put(&key, "a").await?;
    stays(env, &store, Condition::IfMatch(earlier)).await?;
    stays(env, &store, Condition::IfMatch(other_life(later))).await
}

async fn if_match_on_version_zero_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    stays(env, &store, Condition::IfMatch(Version::bare(0))).await
}

async fn if_match_or_absent_creates(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.write(op::put(&key, "a").when(Condition::IfMatchOrAbsent(Version::bare(9)))).await?;
    equal("the counter", version.counter, 1)
}

async fn if_match_or_absent_writes_on_the_right_version(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    let second = store.write(op::put(&key, "b").when(Condition::IfMatchOrAbsent(first))).await?;
    equal("the version", second, next(first))?;
    let third = store.write(op::put(&key, "c").when(Condition::IfMatchOrAbsent(Version::bare(2)))).await?;
    equal("the version", third, next(second))
}

async fn if_match_or_absent_conflicts_on_a_wrong_version(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "a").await?;
    stays(env, &store, Condition::IfMatchOrAbsent(next(version))).await?;
    stays(env, &store, Condition::IfMatchOrAbsent(Version::bare(0))).await
}

async fn if_match_or_absent_conflicts_on_another_generation(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "a").await?;
    stays(env, &store, Condition::IfMatchOrAbsent(other_life(version))).await
}

async fn a_conflict_changes_nothing(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut op = op::put(&key, "a");
    if env.caps().content_type {
        op = op.typed("text/plain");
    }
    store.write(op).await?;
    stays(env, &store, Condition::IfAbsent).await?;
    stays(env, &store, Condition::IfMatch(Version::bare(7))).await?;
    // The counter did not move either.
    equal("the counter of the next write", store.put(&key, "b").await?.counter, 2)
}

async fn delete_if_match_on_the_right_version_removes(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    for bare in [false, true] {
        let version = store.put(&key, "a").await?;
        let wanted = if bare { Version::bare(version.counter) } else { version };
        match store.one(op::delete(&key).when(Condition::IfMatch(wanted))).await? {
            OpOutcome::Applied { version: None, existed: true } => {}
            other => bail!("{other:?}"),
        }
        equal("the entry", store.get(&key).await?, None)?;
    }
    Ok(())
}

async fn delete_if_match_on_a_wrong_version_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "a").await?;
    let found = store.conflict(op::delete(&key).when(Condition::IfMatch(next(version)))).await?;
    equal("the version found", found, Some(version))?;
    equal("the value", store.value(&key).await?, Some("a".into()))
}

async fn delete_if_match_on_nothing_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let found = store.conflict(op::delete(&key).when(Condition::IfMatch(Version::bare(1)))).await?;
    equal("the version found", found, None)
}

async fn delete_if_match_on_an_earlier_life_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let earlier = store.put(&key, "a").await?;
    store.delete(&key).await?;
    let later = store.put(&key, "b").await?;
    let found = store.conflict(op::delete(&key).when(Condition::IfMatch(earlier))).await?;
    equal("the version found", found, Some(later))?;
    equal("the value", store.value(&key).await?, Some("b".into()))
}

async fn delete_if_absent_on_nothing_succeeds(env: &Env) -> Result<()> {
    match env.store().one(op::delete(&env.key("k")).when(Condition::IfAbsent)).await? {
        OpOutcome::Applied { version: None, existed: false } => Ok(()),
        other => bail!("{other:?}"),
    }
}

async fn delete_if_absent_on_an_entry_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "a").await?;
    let found = store.conflict(op::delete(&key).when(Condition::IfAbsent)).await?;
    equal("the version found", found, Some(version))?;
    equal("the value", store.value(&key).await?, Some("a".into()))
}

async fn delete_if_match_or_absent_takes_nothing_or_the_right_version(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let condition = |version| op::delete(&key).when(Condition::IfMatchOrAbsent(version));
    match store.one(condition(Version::bare(5))).await? {
        OpOutcome::Applied { version: None, existed: false } => {}
        other => bail!("on nothing: {other:?}"),
    }
    let version = store.put(&key, "a").await?;
    equal("the version found", store.conflict(condition(next(version))).await?, Some(version))?;
    match store.one(condition(version)).await? {
        OpOutcome::Applied { version: None, existed: true } => {}
        other => bail!("on the right version: {other:?}"),
    }
    equal("the entry", store.get(&key).await?, None)
}

async fn an_unconditional_write_passes_over_any_version(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.write(op::put(&key, "a").when(Condition::IfAbsent)).await?;
    store.write(op::put(&key, "b").when(Condition::IfMatch(first))).await?;
    equal("the counter", store.put(&key, "c").await?.counter, 3)?;
    equal("whether there was one", store.delete(&key).await?, true)
}

async fn first_write_without_version_creates(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.write(op::put(&key, "a").when(Condition::FirstWrite(None))).await?;
    equal("the counter", version.counter, 1)
}

async fn first_write_with_the_right_version_writes(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    let second = store.write(op::put(&key, "b").when(Condition::FirstWrite(Some(first)))).await?;
    equal("the version", second, next(first))
}

async fn first_write_with_a_wrong_version_conflicts(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "a").await?;
    stays(env, &store, Condition::FirstWrite(Some(next(version)))).await?;
    stays(env, &store, Condition::FirstWrite(Some(other_life(version)))).await
}

async fn first_write_with_a_version_creates_where_nothing_is(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.write(op::put(&key, "a").when(Condition::FirstWrite(Some(Version::bare(3))))).await?;
    equal("the counter", version.counter, 1)
}

async fn exact_first_write_without_version_meets_an_entry(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    stays(env, &store, Condition::FirstWrite(None)).await
}

async fn exact_first_write_leaves_no_mark(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").when(Condition::FirstWrite(None))).await?;
    equal("the counter of a plain write", store.put(&key, "b").await?.counter, 2)?;
    equal("whether there was one", store.delete(&key).await?, true)
}

async fn sticky_first_write_refuses_later_plain_writes(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").when(Condition::FirstWrite(None))).await?;
    stays(env, &store, Condition::None).await
}

async fn sticky_first_write_refuses_a_second_first_write(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").when(Condition::FirstWrite(None))).await?;
    stays(env, &store, Condition::FirstWrite(None)).await
}

async fn sticky_first_write_marks_an_unmarked_entry(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    let second = store.write(op::put(&key, "b").when(Condition::FirstWrite(None))).await?;
    equal("the version", second, next(first))?;
    stays(env, &store, Condition::None).await
}

async fn sticky_first_write_still_takes_the_right_version(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.write(op::put(&key, "a").when(Condition::FirstWrite(None))).await?;
    let second = store.write(op::put(&key, "b").when(Condition::IfMatch(first))).await?;
    let third = store.write(op::put(&key, "c").when(Condition::FirstWrite(Some(second)))).await?;
    equal("the counter", third.counter, 3)?;
    stays(env, &store, Condition::None).await
}

async fn sticky_first_write_ends_with_a_delete(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.write(op::put(&key, "a").when(Condition::FirstWrite(None))).await?;
    match store.one(op::delete(&key).when(Condition::IfMatch(version))).await? {
        OpOutcome::Applied { existed: true, .. } => {}
        other => bail!("{other:?}"),
    }
    store.put(&key, "b").await?;
    ensure!(store.put(&key, "c").await?.counter == 2, "a plain write on an unmarked entry");
    Ok(())
}
