//! Opening, closing and what is left between.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use pillion_spi::caps::{Ttl, Watch};
use pillion_spi::state::{ApplyOptions, Condition, Entry, Expiry, Key, ReadOptions, Scan, WatchSpec};

use crate::component::HARNESS_THREAD;
use crate::env::{Env, Timed, equal, eventually, within};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    data_outlives_the_store [Durable];
    versions_outlive_the_store [Durable, Conditions];
    deletes_outlive_the_store [Durable];
    the_remaining_time_outlives_the_store [Durable, Ttl];
    an_entry_expires_while_the_store_is_closed [Durable, Ttl, Not(&InjectedTime)];
    an_old_version_stays_old_after_reopening [Durable, Conditions];
    transactions_outlive_the_store [Durable, Transact];
    a_place_can_be_opened_many_times [Durable];
    a_second_store_at_a_place_is_refused [Durable, Not(&SharedPlace)];
    two_stores_at_a_place_see_each_other [SharedPlace];
    closing_twice_is_harmless [];
    calls_after_closing_are_refused [];
    closing_ends_calls_under_way [];
    closing_leaves_no_task [];
    an_idle_store_leaves_nothing_behind [] alone;
    a_used_store_leaves_nothing_behind [] alone;
    opening_and_closing_often_leaves_nothing_behind [] alone;
}

async fn all(timed: &Timed, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
    let mut entries = Vec::new();
    for key in keys {
        entries.push(timed.store.get(key).await?);
    }
    Ok(entries)
}

async fn data_outlives_the_store(env: &Env) -> Result<()> {
    let place = env.subject().fixture.place().await?;
    let timed = env.open_at(&place).await?;
    let keys: Vec<Key> = (0..100).map(|number| env.key(&number.to_string())).collect();
    for (number, key) in keys.iter().enumerate() {
        let op = op::put(key, vec![u8::try_from(number)?; number * 100]);
        timed.store.write(if env.caps().content_type { op.typed("application/x-test") } else { op }).await?;
    }
    let before = all(&timed, &keys).await?;
    timed.close().await;
    let timed = env.reopen(&place).await?;
    equal("the entries", all(&timed, &keys).await?, before)?;
    timed.close().await;
    Ok(())
}

async fn versions_outlive_the_store(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    let timed = env.open_at(&place).await?;
    let mut version = timed.store.put(&key, "a").await?;
    timed.close().await;
    for _ in 0..3 {
        let timed = env.reopen(&place).await?;
        let next = timed.store.write(op::put(&key, "b").when(Condition::IfMatch(version))).await?;
        equal("the counter", next.counter, version.counter + 1)?;
        equal("the generation", next.generation, version.generation)?;
        version = next;
        timed.close().await;
    }
    Ok(())
}

async fn deletes_outlive_the_store(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    let timed = env.open_at(&place).await?;
    timed.store.put(&key, "a").await?;
    timed.store.delete(&key).await?;
    timed.close().await;
    let timed = env.reopen(&place).await?;
    equal("the entry", timed.store.get(&key).await?, None)?;
    timed.close().await;
    Ok(())
}

async fn the_remaining_time_outlives_the_store(env: &Env) -> Result<()> {
    let (place, key, hour) = (env.subject().fixture.place().await?, env.key("k"), Duration::from_secs(3600));
    let timed = env.open_at(&place).await?;
    timed.store.write(op::put(&key, "a").expiring(Expiry::After(hour))).await?;
    timed.close().await;
    let timed = env.reopen(&place).await?;
    let left = timed.store.entry(&key).await?.expires_in;
    ensure!(left.is_some_and(|left| left <= hour && left > hour / 2), "of an hour, {left:?} are left");
    if timed.advance(hour + Duration::from_secs(1)) {
        equal("the entry", timed.store.get(&key).await?, None)?;
    }
    timed.close().await;
    Ok(())
}

async fn an_entry_expires_while_the_store_is_closed(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    let timed = env.open_at(&place).await?;
    timed.store.write(op::put(&key, "a").expiring(Expiry::After(timed.life()))).await?;
    timed.close().await;
    timed.pass(timed.life()).await;
    let timed = env.reopen(&place).await?;
    eventually("the entry expires", || async { Ok(timed.store.get(&key).await?.is_none()) }).await?;
    timed.close().await;
    Ok(())
}

async fn an_old_version_stays_old_after_reopening(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    let timed = env.open_at(&place).await?;
    let old = timed.store.put(&key, "a").await?;
    timed.store.delete(&key).await?;
    timed.close().await;
    let timed = env.reopen(&place).await?;
    timed.store.put(&key, "b").await?;
    timed.store.conflict(op::put(&key, "c").when(Condition::IfMatch(old))).await?;
    timed.close().await;
    Ok(())
}

async fn transactions_outlive_the_store(env: &Env) -> Result<()> {
    let place = env.subject().fixture.place().await?;
    let keys: Vec<Key> = (0..20).map(|number| env.key(&number.to_string())).collect();
    let timed = env.open_at(&place).await?;
    timed.store.apply(keys.iter().map(|key| op::put(key, "a")).collect(), true).await?;
    let before = all(&timed, &keys).await?;
    timed.close().await;
    let timed = env.reopen(&place).await?;
    equal("the entries", all(&timed, &keys).await?, before)?;
    timed.close().await;
    Ok(())
}

async fn a_place_can_be_opened_many_times(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    for round in 1..=10 {
        let timed = env.reopen(&place).await?;
        equal("the counter", timed.store.put(&key, round.to_string()).await?.counter, round)?;
        timed.close().await;
    }
    Ok(())
}

async fn a_second_store_at_a_place_is_refused(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    let first = env.open_at(&place).await?;
    if let Ok(second) = env.open_at(&place).await {
        second.close().await;
        bail!("two stores have one place");
    }
    first.store.put(&key, "a").await?;
    first.close().await;
    let next = env.open_at(&place).await?;
    equal("the value", next.store.value(&key).await?, Some("a".into()))?;
    next.close().await;
    Ok(())
}

async fn two_stores_at_a_place_see_each_other(env: &Env) -> Result<()> {
    let (place, key) = (env.subject().fixture.place().await?, env.key("k"));
    let (one, other) = (env.open_at(&place).await?, env.open_at(&place).await?);
    let version = one.store.put(&key, "a").await?;
    equal("the version", other.store.entry(&key).await?.version, version)?;
    if env.caps().conditions {
        other.store.write(op::put(&key, "b").when(Condition::IfMatch(version))).await?;
        one.store.conflict(op::put(&key, "c").when(Condition::IfMatch(version))).await?;
    }
    one.close().await;
    // One that closes takes nothing from the other.
    other.store.put(&key, "d").await?;
    equal("the value", other.store.value(&key).await?, Some("d".into()))?;
    other.close().await;
    Ok(())
}

async fn closing_twice_is_harmless(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    timed.store.put(&env.key("k"), "a").await?;
    within("closing", timed.close()).await?;
    within("closing again", timed.close()).await?;
    let timed = env.open().await?;
    within("closing twice at once", async { tokio::join!(timed.close(), timed.close()) }).await?;
    Ok(())
}

async fn calls_after_closing_are_refused(env: &Env) -> Result<()> {
    let (timed, key) = (env.open().await?, env.key("k"));
    let caps = timed.store.raw().caps();
    timed.store.put(&key, "a").await?;
    timed.close().await;
    let raw = timed.store.raw();
    let write = within("a write", raw.apply(vec![op::put(&key, "b")], ApplyOptions::default())).await?;
    ensure!(write.is_err(), "a closed store takes writes: {write:?}");
    let read = within("a read", raw.read(&[key], ReadOptions::default())).await?;
    ensure!(read.is_err_or_all(), "a closed store answers reads: {read:?}");
    if caps.list {
        let mut scan = Scan::default();
        scan.limit = 1;
        let list = within("a list", raw.scan(scan)).await?;
        ensure!(list.is_err(), "a closed store lists: {list:?}");
    }
    if caps.watch != Watch::None {
        // A watch may be refused, or begun and ended.
        if let Ok(mut events) = within("a watch", raw.watch(WatchSpec::default())).await? {
            use futures::StreamExt as _;
            within("the end of the watch", async { while events.next().await.is_some() {} }).await?;
        }
    }
    Ok(())
}

trait AllRefused {
    /// The call failed, or it did for each key.
    fn is_err_or_all(&self) -> bool;
}

impl<T, E> AllRefused for Result<Vec<Result<T, E>>, E> {
    fn is_err_or_all(&self) -> bool {
        self.as_ref().map_or(true, |results| results.iter().all(Result::is_err))
    }
}

async fn closing_ends_calls_under_way(env: &Env) -> Result<()> {
    for round in 0..5 {
        let timed = env.open().await?;
        let calls: Vec<_> = (0..64)
            .map(|number| {
                let (store, key) = (timed.store.clone(), env.key(&format!("{round}-{number}")));
                tokio::spawn(async move {
                    let written = store.put(&key, vec![0; 10_000]).await.is_ok();
                    let read = store.get(&key).await;
                    // What was acknowledged is not lost to who still gets an answer.
                    !written || read.map_or(true, |entry| entry.is_some())
                })
            })
            .collect();
        tokio::task::yield_now().await;
        within("closing", timed.close()).await?;
        for call in within("the calls under way", futures::future::try_join_all(calls)).await?? {
            ensure!(call, "an acknowledged write was not there for the next read");
        }
        equal("the number of tasks", timed.opened.env.task_count(), 0)?;
    }
    Ok(())
}

/// Uses everything the store has.
async fn use_all(env: &Env, timed: &Timed) -> Result<()> {
    let (store, caps) = (&timed.store, env.caps());
    let calls = (0..32).map(|number| {
        let (store, key) = (store.clone(), env.key(&number.to_string()));
        tokio::spawn(async move {
            store.put(&key, Bytes::from(vec![1; 1000])).await?;
            store.get(&key).await
        })
    });
    for call in futures::future::try_join_all(calls).await? {
        call?;
    }
    if caps.list {
        store.list(env.prefix(), 10, false).await?;
    }
    if caps.ttl != Ttl::None {
        store.write(op::put(&env.key("mortal"), "a").expiring(Expiry::After(timed.life()))).await?;
    }
    Ok(())
}

async fn closing_leaves_no_task(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    use_all(env, &timed).await?;
    let mut watchers = Vec::new();
    if env.caps().watch != Watch::None {
        for _ in 0..10 {
            watchers.push(timed.store.watch(env.prefix(), false, None).await?);
        }
        watchers[0].snapshot().await?;
    }
    within("closing", timed.close()).await?;
    equal("the number of tasks", timed.opened.env.task_count(), 0)
}

/// The open files and the threads of this process, but for those of the harness.
fn belongings() -> Result<BTreeMap<String, usize>> {
    let mut found = BTreeMap::new();
    for file in std::fs::read_dir("/proc/self/fd")? {
        // The listing itself is gone by the time it is looked at.
        if let Ok(target) = std::fs::read_link(file?.path()) {
            let target = target.to_string_lossy().into_owned();
            // The number of a socket or pipe says nothing.
            let target = target.split_once(":[").map_or(target.clone(), |(kind, _)| kind.to_owned());
            *found.entry(format!("file {target}")).or_insert(0) += 1;
        }
    }
    for thread in std::fs::read_dir("/proc/self/task")? {
        let Ok(name) = std::fs::read_to_string(thread?.path().join("comm")) else { continue };
        if name.trim() != HARNESS_THREAD {
            *found.entry(format!("thread {}", name.trim())).or_insert(0) += 1;
        }
    }
    found.retain(|name, _| !name.starts_with("file /proc/"));
    Ok(found)
}

/// Runs `rounds` of opening, using and closing, after which the process has what it had before.
async fn leaves_nothing(env: &Env, rounds: usize, used: bool) -> Result<()> {
    // What is made once per process, or for the place itself, is not left behind by a store.
    let place = env.subject().fixture.place().await?;
    let timed = env.open_at(&place).await?;
    use_all(env, &timed).await?;
    timed.close().await;
    drop(timed);
    let before = belongings()?;
    for _ in 0..rounds {
        let timed = env.open_at(&place).await?;
        let mut watcher = None;
        if used {
            use_all(env, &timed).await?;
            if env.caps().watch != Watch::None {
                let mut watch = timed.store.watch(env.prefix(), false, None).await?;
                watch.snapshot().await?;
                watcher = Some(watch);
            }
        }
        within("closing", timed.close()).await?;
        equal("the number of tasks", timed.opened.env.task_count(), 0)?;
        // Both are still held: it is closing that must end everything, not dropping.
        let found = belongings()?;
        let more: Vec<_> = found.iter().filter(|(name, count)| before.get(*name).unwrap_or(&0) < count).collect();
        ensure!(more.is_empty(), "left behind: {more:?}, before: {before:?}");
        drop(watcher);
    }
    Ok(())
}

async fn an_idle_store_leaves_nothing_behind(env: &Env) -> Result<()> {
    leaves_nothing(env, 1, false).await
}

async fn a_used_store_leaves_nothing_behind(env: &Env) -> Result<()> {
    leaves_nothing(env, 1, true).await
}

async fn opening_and_closing_often_leaves_nothing_behind(env: &Env) -> Result<()> {
    leaves_nothing(env, 20, true).await
}
