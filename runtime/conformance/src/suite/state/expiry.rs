//! Entries that end by themselves. Where the store takes its time from the clock it is given, that
//! clock is moved; where the backend has one of its own, short times are waited for.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use pillion_spi::Kind;
use pillion_spi::state::{ApplyOptions, Condition, Expiry, Key, OpOutcome};

use crate::env::{Env, Timed, equal, eventually};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    an_entry_is_gone_after_its_time [Ttl];
    an_entry_is_not_gone_before_its_time [Ttl, InjectedTime];
    the_remaining_time_is_at_most_the_time_given [Ttl];
    the_remaining_time_only_falls [Ttl];
    the_remaining_time_falls_with_the_clock [Ttl, InjectedTime];
    a_plain_write_ends_the_expiry [Ttl];
    keeping_keeps_the_expiry [Ttl];
    keeping_does_not_prolong [Ttl];
    keeping_where_none_was_set_sets_none [Ttl];
    keeping_on_a_new_entry_sets_none [Ttl];
    a_later_expiry_replaces_an_earlier [Ttl];
    an_earlier_expiry_replaces_a_later [Ttl];
    an_expiry_added_to_a_lasting_entry_counts [Ttl];
    a_conflict_leaves_the_expiry [Ttl, Conditions];
    an_expired_entry_is_absent_for_conditions [Ttl, Conditions];
    an_expired_entry_never_matches_its_version [Ttl, Conditions];
    an_expired_entry_is_absent_for_a_delete [Ttl];
    an_expired_entry_is_absent_from_lists [Ttl, List];
    an_expired_entry_begins_anew [Ttl];
    an_expired_entry_leaves_no_expiry_to_keep [Ttl];
    an_expired_entry_leaves_no_first_write_mark [Ttl, FirstWrite];
    a_very_short_time_is_not_for_ever [Ttl];
    a_very_long_time_is_kept_or_refused [Ttl];
    many_entries_expire_together [Ttl, List];
}

const HOUR: Duration = Duration::from_secs(3600);

/// A store of its own, with one entry at `k` that lives for [`Timed::life`].
async fn mortal(env: &Env) -> Result<(Timed, Key)> {
    let (timed, key) = (env.open().await?, env.key("k"));
    timed.store.write(op::put(&key, "mortal").expiring(Expiry::After(timed.life()))).await?;
    Ok((timed, key))
}

async fn an_entry_is_gone_after_its_time(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    let other = env.key("other");
    timed.store.put(&other, "lasting").await?;
    timed.outlive(&key).await?;
    equal("the other entry", timed.store.value(&other).await?, Some("lasting".into()))?;
    timed.close().await;
    Ok(())
}

async fn an_entry_is_not_gone_before_its_time(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    // A minute for the machine to be slow.
    timed.advance(timed.life() - Duration::from_secs(60));
    equal("the value", timed.store.value(&key).await?, Some("mortal".into()))?;
    timed.advance(Duration::from_secs(61));
    equal("the value", timed.store.value(&key).await?, None)?;
    timed.close().await;
    Ok(())
}

async fn the_remaining_time_is_at_most_the_time_given(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").expiring(Expiry::After(HOUR))).await?;
    let left = store.entry(&key).await?.expires_in;
    ensure!(left.is_some_and(|left| left <= HOUR && left > HOUR / 2), "of an hour, {left:?} are left");
    Ok(())
}

async fn the_remaining_time_only_falls(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").expiring(Expiry::After(HOUR))).await?;
    let mut before = HOUR;
    for _ in 0..20 {
        let Some(left) = store.entry(&key).await?.expires_in else { bail!("the expiry is gone") };
        ensure!(left <= before, "{left:?} are left, before it were {before:?}");
        before = left;
    }
    Ok(())
}

async fn the_remaining_time_falls_with_the_clock(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    let half = timed.life() / 2;
    timed.advance(half);
    let left = timed.store.entry(&key).await?.expires_in;
    ensure!(left.is_some_and(|left| left <= half && left > half / 2), "of {half:?}, {left:?} are left");
    timed.close().await;
    Ok(())
}

/// `key` outlives its time.
async fn stays(timed: &Timed, key: &Key) -> Result<()> {
    timed.pass(timed.life() * 2).await;
    ensure!(timed.store.get(key).await?.is_some(), "`{key}` went away");
    timed.close().await;
    Ok(())
}

async fn a_plain_write_ends_the_expiry(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    timed.store.put(&key, "lasting").await?;
    equal("the remaining time", timed.store.entry(&key).await?.expires_in, None)?;
    stays(&timed, &key).await
}

async fn keeping_keeps_the_expiry(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").expiring(Expiry::After(HOUR))).await?;
    store.write(op::put(&key, "b").expiring(Expiry::Keep)).await?;
    let entry = store.entry(&key).await?;
    equal("the value", entry.value, "b".into())?;
    ensure!(entry.expires_in.is_some_and(|left| left <= HOUR), "{:?} are left", entry.expires_in);
    Ok(())
}

async fn keeping_does_not_prolong(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    timed.store.write(op::put(&key, "b").expiring(Expiry::Keep)).await?;
    timed.outlive(&key).await?;
    timed.close().await;
    Ok(())
}

async fn keeping_where_none_was_set_sets_none(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    store.write(op::put(&key, "b").expiring(Expiry::Keep)).await?;
    equal("the remaining time", store.entry(&key).await?.expires_in, None)
}

async fn keeping_on_a_new_entry_sets_none(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").expiring(Expiry::Keep)).await?;
    equal("the remaining time", store.entry(&key).await?.expires_in, None)
}

async fn a_later_expiry_replaces_an_earlier(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    timed.store.write(op::put(&key, "b").expiring(Expiry::After(timed.life() * 100))).await?;
    stays(&timed, &key).await
}

async fn an_earlier_expiry_replaces_a_later(env: &Env) -> Result<()> {
    let (timed, key) = (env.open().await?, env.key("k"));
    timed.store.write(op::put(&key, "a").expiring(Expiry::After(timed.life() * 1000))).await?;
    timed.store.write(op::put(&key, "b").expiring(Expiry::After(timed.life()))).await?;
    timed.outlive(&key).await?;
    timed.close().await;
    Ok(())
}

async fn an_expiry_added_to_a_lasting_entry_counts(env: &Env) -> Result<()> {
    let (timed, key) = (env.open().await?, env.key("k"));
    timed.store.put(&key, "a").await?;
    timed.store.write(op::put(&key, "b").expiring(Expiry::After(timed.life()))).await?;
    timed.outlive(&key).await?;
    timed.close().await;
    Ok(())
}

async fn a_conflict_leaves_the_expiry(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "a").expiring(Expiry::After(HOUR))).await?;
    store.conflict(op::put(&key, "b").when(Condition::IfAbsent)).await?;
    store.conflict(op::put(&key, "b").when(Condition::IfAbsent).expiring(Expiry::After(10 * HOUR))).await?;
    let left = store.entry(&key).await?.expires_in;
    ensure!(left.is_some_and(|left| left <= HOUR), "{left:?} are left");
    Ok(())
}

async fn an_expired_entry_is_absent_for_conditions(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    let before = timed.store.entry(&key).await?.version;
    timed.outlive(&key).await?;
    let version = timed.store.write(op::put(&key, "b").when(Condition::IfAbsent)).await?;
    equal("the counter", version.counter, 1)?;
    ensure!(version.generation != before.generation, "two lives of a key have one generation: {version}");
    timed.close().await;
    Ok(())
}

async fn an_expired_entry_never_matches_its_version(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    let before = timed.store.entry(&key).await?.version;
    timed.outlive(&key).await?;
    let found = timed.store.conflict(op::put(&key, "b").when(Condition::IfMatch(before))).await?;
    equal("the version found", found, None)?;
    let found = timed.store.conflict(op::delete(&key).when(Condition::IfMatch(before))).await?;
    equal("the version found", found, None)?;
    timed.close().await;
    Ok(())
}

async fn an_expired_entry_is_absent_for_a_delete(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    timed.outlive(&key).await?;
    equal("whether there was one", timed.store.delete(&key).await?, false)?;
    timed.close().await;
    Ok(())
}

async fn an_expired_entry_is_absent_from_lists(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    let lasting = env.key("lasting");
    timed.store.put(&lasting, "a").await?;
    timed.outlive(&key).await?;
    for keys_only in [false, true] {
        let entries = timed.store.list(env.prefix(), 10, keys_only).await?;
        let keys: Vec<Key> = entries.into_iter().map(|entry| entry.key).collect();
        equal("the keys", keys, vec![lasting.clone()])?;
    }
    timed.close().await;
    Ok(())
}

async fn an_expired_entry_begins_anew(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    timed.outlive(&key).await?;
    match timed.store.one(op::put(&key, "b")).await? {
        OpOutcome::Applied { version: Some(version), existed } => {
            equal("the counter", version.counter, 1)?;
            equal("whether there was one", existed, false)?;
        }
        other => bail!("{other:?}"),
    }
    equal("the remaining time", timed.store.entry(&key).await?.expires_in, None)?;
    timed.close().await;
    Ok(())
}

async fn an_expired_entry_leaves_no_expiry_to_keep(env: &Env) -> Result<()> {
    let (timed, key) = mortal(env).await?;
    timed.outlive(&key).await?;
    timed.store.write(op::put(&key, "b").expiring(Expiry::Keep)).await?;
    equal("the remaining time", timed.store.entry(&key).await?.expires_in, None)?;
    timed.close().await;
    Ok(())
}

async fn an_expired_entry_leaves_no_first_write_mark(env: &Env) -> Result<()> {
    let (timed, key) = (env.open().await?, env.key("k"));
    let first = || op::put(&key, "a").when(Condition::FirstWrite(None));
    timed.store.write(first().expiring(Expiry::After(timed.life()))).await?;
    timed.outlive(&key).await?;
    equal("the counter", timed.store.write(first()).await?.counter, 1)?;
    timed.close().await;
    Ok(())
}

async fn a_very_short_time_is_not_for_ever(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    // Below what backends count in.
    for time in [Duration::from_nanos(1), Duration::from_micros(300), Duration::from_micros(1999)] {
        let key = env.key(&format!("{time:?}"));
        timed.store.write(op::put(&key, "a").expiring(Expiry::After(time))).await?;
        timed.advance(Duration::from_secs(1));
        eventually("the entry expires", || async { Ok(timed.store.get(&key).await?.is_none()) }).await?;
    }
    timed.close().await;
    Ok(())
}

async fn a_very_long_time_is_kept_or_refused(env: &Env) -> Result<()> {
    let store = env.store();
    let year = 365 * 24 * HOUR;
    for (time, may_refuse) in [(10 * year, false), (10_000 * year, true), (Duration::MAX, true)] {
        let key = env.key(&format!("{time:?}"));
        let op = op::put(&key, "a").expiring(Expiry::After(time));
        let refusal = match store.raw().apply(vec![op], ApplyOptions::default()).await {
            Err(error) => Some(error),
            Ok(mut applied) => match applied.outcomes.pop() {
                Some(OpOutcome::Applied { .. }) => None,
                Some(OpOutcome::Failed(error)) => Some(error),
                other => bail!("{time:?}: {other:?}"),
            },
        };
        match refusal {
            None => {
                let left = store.entry(&key).await?.expires_in;
                ensure!(left.is_none_or(|left| left > year), "{time:?}: {left:?} are left");
            }
            Some(error) => {
                ensure!(may_refuse && error.kind() == Kind::Invalid, "{time:?}: {:?}: {error}", error.kind());
                equal("the entry", store.get(&key).await?, None)?;
            }
        }
    }
    Ok(())
}

async fn many_entries_expire_together(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    let life = Expiry::After(timed.life());
    let ops = (0..2500).map(|number| op::put(&env.key(&number.to_string()), "a").expiring(life)).collect();
    timed.store.apply(ops, false).await?;
    timed.outlive(&env.key("2499")).await?;
    eventually("the list is empty", || async { Ok(timed.store.list(env.prefix(), 1000, true).await?.is_empty()) })
        .await?;
    timed.close().await;
    Ok(())
}
