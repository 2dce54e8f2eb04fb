//! Watches. They promise each change of a key in order, or only the latest for who is slow; so
//! most cases compare the picture a watcher gets with what the store holds.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use pillion_spi::Kind;
use pillion_spi::state::{Condition, Entry, Expiry, Key, Version, WatchEvent, WatchSpec};

use crate::env::{Env, Store, Watcher, equal, refused};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    a_watch_of_nothing_begins_with_its_mark [Watch];
    a_watch_begins_with_the_present_entries [Watch];
    a_write_is_seen [Watch];
    a_write_is_seen_with_its_content_type [Watch, ContentType];
    a_delete_is_seen [Watch];
    an_expiry_is_seen_as_one [Watch, Ttl];
    only_the_prefix_is_seen [Watch];
    patterns_in_a_watched_prefix_are_plain_text [Watch];
    an_exact_watch_sees_only_its_key [Watch];
    an_exact_watch_begins_only_with_its_key [Watch];
    writes_of_a_transaction_are_seen [Watch, Transact];
    writes_that_did_not_happen_are_not_seen [Watch, Transact, Conditions];
    a_delete_of_nothing_is_not_seen [Watch];
    changes_of_one_key_come_in_order [Watch];
    changes_during_the_beginning_are_not_lost [Watch];
    the_beginning_takes_back_only_what_it_sent [Watch];
    two_watchers_see_the_same [Watch];
    a_dropped_watcher_does_not_disturb_another [Watch];
    a_slow_watcher_ends_with_the_right_picture [Watch];
    a_slow_watcher_does_not_hold_up_another [Watch];
    a_hundred_watchers_see_a_write [Watch];
    a_watch_too_many_is_refused [Watch];
    a_watcher_that_does_not_read_holds_little [Watch] alone;
    a_watch_ends_with_the_store [Watch];
    writes_of_another_store_are_seen [Watch, SharedPlace];
    a_watch_that_cannot_resume_says_so [Watch, Not(&ResumableWatch)];
    revisions_never_fall [ResumableWatch];
    a_resumed_watch_continues_where_it_ended [ResumableWatch];
    a_resumed_watch_sees_deletes [ResumableWatch];
    a_resumed_watch_sees_only_its_prefix [ResumableWatch];
    a_watch_resumed_too_late_begins_anew [ResumableWatch];
    a_watch_resumed_from_the_future_begins_anew [ResumableWatch];
}

type Picture = BTreeMap<Key, (Version, Bytes)>;

/// What a watcher knows.
#[derive(Default)]
struct Seen {
    picture: Picture,
    resyncs: usize,
    revision: u64,
}

impl Seen {
    /// Takes an event and checks that no older change follows a newer one of the same life.
    fn take(&mut self, event: WatchEvent) -> Result<()> {
        match event {
            WatchEvent::Put { entry: Entry { key, value, version, .. }, .. } => {
                if let Some((before, _)) = self.picture.get(&key)
                    && before.generation == version.generation
                {
                    ensure!(before.counter <= version.counter, "`{key}`: version {version} came after {before}");
                }
                self.picture.insert(key, (version, value));
            }
            WatchEvent::Delete { key, .. } => {
                self.picture.remove(&key);
            }
            WatchEvent::Resync => {
                self.resyncs += 1;
                self.picture.clear();
            }
            WatchEvent::Synced { revision } => self.revision = revision,
        }
        Ok(())
    }

    /// Follows the watch until it shows `value` at `key`.
    async fn until(&mut self, watcher: &mut Watcher, key: &Key, value: &str) -> Result<()> {
        while self.picture.get(key).is_none_or(|(_, found)| found != value) {
            self.take(watcher.next().await?)?;
        }
        Ok(())
    }
}

async fn picture_of(store: &Store, keys: impl IntoIterator<Item = Key>) -> Result<Picture> {
    let mut picture = Picture::new();
    for key in keys {
        if let Some(entry) = store.get(&key).await? {
            picture.insert(key, (entry.version, entry.value));
        }
    }
    Ok(picture)
}

async fn watch(env: &Env) -> Result<Watcher> {
    env.store().watch(env.prefix(), false, None).await
}

/// A watch whose beginning is over.
async fn live(env: &Env) -> Result<Watcher> {
    let mut watcher = watch(env).await?;
    watcher.snapshot().await?;
    Ok(watcher)
}

fn seen_put(event: WatchEvent) -> Result<Entry> {
    match event {
        WatchEvent::Put { entry, .. } => Ok(entry),
        other => bail!("expected a write, got {other:?}"),
    }
}

fn seen_delete(event: WatchEvent) -> Result<(Key, bool)> {
    match event {
        WatchEvent::Delete { key, expired, .. } => Ok((key, expired)),
        other => bail!("expected a delete, got {other:?}"),
    }
}

async fn a_watch_of_nothing_begins_with_its_mark(env: &Env) -> Result<()> {
    match watch(env).await?.next().await? {
        WatchEvent::Synced { .. } => Ok(()),
        other => bail!("{other:?}"),
    }
}

async fn a_watch_begins_with_the_present_entries(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..50).map(|number| env.key(&format!("{number:02}"))).collect();
    for key in &keys {
        store.put(key, key.as_str().to_owned()).await?;
    }
    store.put(&keys[7], "changed").await?;
    store.delete(&keys[8]).await?;
    let (mut entries, _) = watch(env).await?.snapshot().await?;
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    let mut wanted = Vec::new();
    for key in &keys {
        wanted.extend(store.get(key).await?);
    }
    equal("the entries", entries, wanted)
}

async fn a_write_is_seen(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut watcher = live(env).await?;
    let version = store.put(&key, "a").await?;
    let entry = seen_put(watcher.change().await?)?;
    equal("the entry", entry.clone(), store.entry(&key).await?)?;
    equal("the version", entry.version, version)
}

async fn a_write_is_seen_with_its_content_type(env: &Env) -> Result<()> {
    let mut watcher = live(env).await?;
    env.store().write(op::put(&env.key("k"), "{}").typed("application/json")).await?;
    let entry = seen_put(watcher.change().await?)?;
    equal("the content type", entry.content_type.as_deref(), Some("application/json"))
}

async fn a_delete_is_seen(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    let mut watcher = live(env).await?;
    store.delete(&key).await?;
    equal("the delete", seen_delete(watcher.change().await?)?, (key, false))
}

async fn an_expiry_is_seen_as_one(env: &Env) -> Result<()> {
    let (timed, key) = (env.open().await?, env.key("k"));
    let mut watcher = timed.store.watch(env.prefix(), false, None).await?;
    watcher.snapshot().await?;
    timed.store.write(op::put(&key, "a").expiring(Expiry::After(timed.life()))).await?;
    seen_put(watcher.change().await?)?;
    // Nobody reads the key meanwhile: the store must find out by itself.
    timed.advance(timed.life() + std::time::Duration::from_secs(1));
    equal("the delete", seen_delete(watcher.change().await?)?, (key, true))?;
    timed.close().await;
    Ok(())
}

async fn only_the_prefix_is_seen(env: &Env) -> Result<()> {
    let store = env.store();
    store.put(&env.key("b:0"), "a").await?;
    let mut watcher = store.watch(env.key("a:").as_str(), false, None).await?;
    equal("the entries", watcher.snapshot().await?.0, Vec::new())?;
    for name in ["b:1", "a", "A:1", "a:1"] {
        store.put(&env.key(name), "a").await?;
    }
    equal("the key", seen_put(watcher.change().await?)?.key, env.key("a:1"))
}

async fn patterns_in_a_watched_prefix_are_plain_text(env: &Env) -> Result<()> {
    let store = env.store();
    for special in ["*", "?", "[ab]", "\\", "%", "_"] {
        let mut watcher = store.watch(env.key(special).as_str(), false, None).await?;
        watcher.snapshot().await?;
        for name in ["a-1", "b-1", "[-1"] {
            store.put(&env.key(name), "a").await?;
        }
        let key = env.key(&format!("{special}-1"));
        store.put(&key, "a").await?;
        equal(&format!("the key under {special:?}"), seen_put(watcher.change().await?)?.key, key)?;
    }
    Ok(())
}

async fn an_exact_watch_sees_only_its_key(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut watcher = store.watch(key.as_str(), true, None).await?;
    watcher.snapshot().await?;
    store.put(&env.key("k2"), "a").await?;
    store.put(&env.key(""), "a").await?;
    store.put(&key, "a").await?;
    equal("the key", seen_put(watcher.change().await?)?.key, key)
}

async fn an_exact_watch_begins_only_with_its_key(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&env.key("k2"), "a").await?;
    store.put(&key, "a").await?;
    let (entries, _) = store.watch(key.as_str(), true, None).await?.snapshot().await?;
    equal("the entries", entries, vec![store.entry(&key).await?])
}

async fn writes_of_a_transaction_are_seen(env: &Env) -> Result<()> {
    let (store, a, b, gone) = (env.store(), env.key("a"), env.key("b"), env.key("gone"));
    store.put(&gone, "a").await?;
    let mut watcher = watch(env).await?;
    let mut seen = Seen::default();
    seen.until(&mut watcher, &gone, "a").await?;
    store.apply(vec![op::put(&a, "1"), op::delete(&gone), op::put(&b, "1")], true).await?;
    store.put(&a, "end").await?;
    seen.until(&mut watcher, &a, "end").await?;
    seen.until(&mut watcher, &b, "1").await?;
    ensure!(!seen.picture.contains_key(&gone), "the delete was not seen");
    Ok(())
}

async fn writes_that_did_not_happen_are_not_seen(env: &Env) -> Result<()> {
    let (store, a, b) = (env.store(), env.key("a"), env.key("b"));
    let mut watcher = live(env).await?;
    let wrong = Condition::IfMatch(Version::bare(9));
    store.conflict(op::put(&b, "conflict").when(wrong.clone())).await?;
    store.apply(vec![op::put(&a, "aborted"), op::put(&b, "aborted").when(wrong)], true).await?;
    store.put(&a, "real").await?;
    equal("the value", seen_put(watcher.change().await?)?.value, "real".into())
}

async fn a_delete_of_nothing_is_not_seen(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut watcher = live(env).await?;
    store.delete(&env.key("none")).await?;
    store.put(&key, "a").await?;
    equal("the key", seen_put(watcher.change().await?)?.key, key)
}

async fn changes_of_one_key_come_in_order(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut watcher = live(env).await?;
    let mut seen = Seen::default();
    for round in 0..200 {
        store.put(&key, round.to_string()).await?;
        if round % 17 == 0 {
            store.delete(&key).await?;
        }
    }
    store.put(&key, "end").await?;
    seen.until(&mut watcher, &key, "end").await?;
    equal("the picture", seen.picture, picture_of(&store, [key]).await?)
}

async fn changes_during_the_beginning_are_not_lost(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..20).map(|number| env.key(&number.to_string())).collect();
    for round in 0..10 {
        let writer = tokio::spawn({
            let (store, keys) = (store.clone(), keys.clone());
            async move {
                for key in &keys {
                    store.put(key, format!("{round}")).await?;
                }
                anyhow::Ok(())
            }
        });
        let mut watcher = watch(env).await?;
        writer.await??;
        let wanted = picture_of(&store, keys.clone()).await?;
        let mut seen = Seen::default();
        while seen.picture != wanted {
            seen.take(watcher.next().await?)?;
        }
    }
    Ok(())
}

async fn the_beginning_takes_back_only_what_it_sent(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..8).map(|number| env.key(&number.to_string())).collect();
    let come_and_go = async {
        loop {
            for key in &keys {
                store.put(key, "here").await?;
                store.delete(key).await?;
                // A store in memory never waits.
                tokio::task::yield_now().await;
            }
        }
    };
    let begin = async {
        for _ in 0..100 {
            // Refuses a key that is taken back and was not sent.
            watch(env).await?.snapshot().await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = come_and_go => ended,
        begun = begin => begun,
    }
}

async fn two_watchers_see_the_same(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let (mut one, mut other) = (live(env).await?, live(env).await?);
    store.put(&key, "a").await?;
    let first = one.change().await?;
    equal("the event", other.change().await?, first)?;
    store.delete(&key).await?;
    let first = one.change().await?;
    equal("the event", other.change().await?, first)
}

async fn a_dropped_watcher_does_not_disturb_another(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut staying = live(env).await?;
    for round in 0..10 {
        let going = if round % 2 == 0 { watch(env).await? } else { live(env).await? };
        let value = round.to_string();
        store.put(&key, value.clone()).await?;
        drop(going);
        equal("the value", seen_put(staying.change().await?)?.value, value.into())?;
    }
    Ok(())
}

const FLOOD: usize = 5000;

/// Changes ten keys very often; the last change puts `end` at the key it returns.
async fn flood(env: &Env) -> Result<(Vec<Key>, Key)> {
    let store = env.store();
    let keys: Vec<Key> = (0..10).map(|number| env.key(&number.to_string())).collect();
    for start in (0..FLOOD).step_by(250) {
        let ops = (start..start + 250)
            .map(|number| {
                let key = &keys[number % keys.len()];
                if number % 13 == 0 { op::delete(key) } else { op::put(key, number.to_string()) }
            })
            .collect();
        store.apply(ops, false).await?;
    }
    let last = env.key("last");
    store.put(&last, "end").await?;
    Ok((keys, last))
}

async fn a_slow_watcher_ends_with_the_right_picture(env: &Env) -> Result<()> {
    let mut watcher = live(env).await?;
    let (mut keys, last) = flood(env).await?;
    keys.push(last.clone());
    let wanted = picture_of(&env.store(), keys).await?;
    let mut seen = Seen::default();
    // Its changes may come after those of the key that was written last.
    while seen.picture != wanted {
        seen.take(watcher.next().await?)?;
    }
    Ok(())
}

async fn a_slow_watcher_does_not_hold_up_another(env: &Env) -> Result<()> {
    let slow = live(env).await?;
    let mut quick = live(env).await?;
    let (_, last) = flood(env).await?;
    Seen::default().until(&mut quick, &last, "end").await?;
    drop(slow);
    Ok(())
}

async fn a_hundred_watchers_see_a_write(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut watchers = Vec::new();
    for _ in 0..100 {
        watchers.push(live(env).await?);
    }
    store.put(&key, "a").await?;
    for watcher in &mut watchers {
        equal("the key", seen_put(watcher.change().await?)?.key, key.clone())?;
    }
    Ok(())
}

async fn a_watch_too_many_is_refused(env: &Env) -> Result<()> {
    let (timed, most) = (env.open().await?, env.caps().max_watches);
    let open = || timed.store.watch(env.prefix(), false, None);
    let mut watchers = Vec::new();
    for _ in 0..most {
        watchers.push(open().await?);
    }
    let refusal = || async {
        let mut spec = WatchSpec::default();
        spec.prefix = env.prefix().to_owned();
        refused("one more", timed.store.raw().watch(spec).await, Kind::Exhausted)
    };
    ensure!(refusal().await?.advice_text().is_some(), "it does not say what to do");
    refusal().await?;
    watchers.pop();
    watchers.push(open().await?);
    refusal().await?;
    drop(watchers);
    open().await?.snapshot().await?;
    timed.close().await;
    Ok(())
}

const LARGE: usize = 1 << 20;

/// What the process holds beyond what it held before.
fn resident() -> Result<usize> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = text.split(' ').nth(1).context("a field of statm")?.parse()?;
    Ok(pages * rustix::param::page_size())
}

async fn a_watcher_that_does_not_read_holds_little(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..20).map(|number| env.key(&number.to_string())).collect();
    for key in &keys {
        store.put(key, vec![b'v'; LARGE]).await?;
    }
    let before = resident()?;
    let mut watchers = Vec::new();
    for _ in 0..40 {
        let mut watcher = watch(env).await?;
        seen_put(watcher.next().await?)?;
        watchers.push(watcher);
    }
    // What was overwritten must not be kept for them either.
    for key in &keys {
        store.put(key, vec![b'w'; LARGE]).await?;
    }
    let grown = resident()?.saturating_sub(before);
    // Two entries for each and some for the store; without a bound it is twenty for each.
    ensure!(grown < 200 * LARGE, "40 watchers that do not read hold {grown} bytes");
    let mut seen = Seen::default();
    while seen.picture.len() < keys.len() || seen.picture.values().any(|(_, value)| value[0] != b'w') {
        seen.take(watchers[0].next().await?)?;
    }
    Ok(())
}

async fn a_watch_ends_with_the_store(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    let mut live = timed.store.watch(env.prefix(), false, None).await?;
    live.snapshot().await?;
    let unread = timed.store.watch(env.prefix(), false, None).await?;
    timed.close().await;
    live.ended().await?;
    unread.ended().await
}

async fn writes_of_another_store_are_seen(env: &Env) -> Result<()> {
    let place = env.subject().fixture.place().await?;
    let (one, other, key) = (env.open_at(&place).await?, env.open_at(&place).await?, env.key("k"));
    let mut watcher = one.store.watch(env.prefix(), false, None).await?;
    watcher.snapshot().await?;
    other.store.put(&key, "a").await?;
    equal("the value", seen_put(watcher.change().await?)?.value, "a".into())?;
    other.store.delete(&key).await?;
    equal("the delete", seen_delete(watcher.change().await?)?, (key, false))?;
    one.close().await;
    other.close().await;
    Ok(())
}

fn revision_of(event: &WatchEvent) -> Option<u64> {
    match event {
        WatchEvent::Put { revision, .. } | WatchEvent::Delete { revision, .. } | WatchEvent::Synced { revision } => {
            Some(*revision)
        }
        WatchEvent::Resync => None,
    }
}

/// A revision other than 0 would be taken for one to resume from, which such a store refuses.
async fn a_watch_that_cannot_resume_says_so(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "1").await?;
    let mut watcher = watch(env).await?;
    let mut events = vec![watcher.next().await?, watcher.next().await?];
    store.put(&key, "2").await?;
    events.push(watcher.change().await?);
    store.delete(&key).await?;
    events.push(watcher.change().await?);
    for event in events {
        equal(&format!("the revision of {event:?}"), revision_of(&event), Some(0))?;
    }
    Ok(())
}

async fn revisions_never_fall(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut watcher = watch(env).await?;
    let mut before = watcher.snapshot().await?.1;
    for round in 0..50 {
        if round % 5 == 4 {
            store.delete(&key).await?;
        } else {
            store.put(&key, round.to_string()).await?;
        }
        let event = watcher.change().await?;
        let Some(revision) = revision_of(&event) else { bail!("{event:?}") };
        ensure!(revision > before, "revision {revision} came after {before}");
        before = revision;
    }
    Ok(())
}

async fn a_resumed_watch_continues_where_it_ended(env: &Env) -> Result<()> {
    let (store, a, b) = (env.store(), env.key("a"), env.key("b"));
    let mut watcher = live(env).await?;
    store.put(&a, "1").await?;
    let Some(revision) = revision_of(&watcher.change().await?) else { bail!("a write without revision") };
    drop(watcher);
    store.put(&b, "2").await?;
    let mut resumed = store.watch(env.prefix(), false, Some(revision)).await?;
    equal("the first change", seen_put(resumed.change().await?)?, store.entry(&b).await?)?;
    store.put(&a, "3").await?;
    equal("the next change", seen_put(resumed.change().await?)?, store.entry(&a).await?)
}

async fn a_resumed_watch_sees_deletes(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "1").await?;
    let (_, revision) = watch(env).await?.snapshot().await?;
    store.delete(&key).await?;
    let mut resumed = store.watch(env.prefix(), false, Some(revision)).await?;
    equal("the change", seen_delete(resumed.change().await?)?, (key, false))
}

async fn a_resumed_watch_sees_only_its_prefix(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("a:k"));
    let (_, revision) = watch(env).await?.snapshot().await?;
    store.put(&env.key("b:k"), "1").await?;
    store.put(&key, "1").await?;
    let mut resumed = store.watch(env.key("a:").as_str(), false, Some(revision)).await?;
    equal("the key", seen_put(resumed.change().await?)?.key, key)
}

async fn a_watch_resumed_too_late_begins_anew(env: &Env) -> Result<()> {
    let (store, stale) = (env.store(), env.key("stale"));
    store.put(&stale, "1").await?;
    let mut watcher = watch(env).await?;
    let mut seen = Seen::default();
    seen.until(&mut watcher, &stale, "1").await?;
    let revision = match watcher.next().await? {
        WatchEvent::Synced { revision } => revision,
        other => bail!("{other:?}"),
    };
    drop(watcher);
    store.delete(&stale).await?;
    // More changes than a store need keep. Whether it sends them or begins anew, who follows must
    // end with the right picture, and begin anew only with an announcement.
    let (mut keys, last) = (Vec::new(), env.key("last"));
    for _ in 0..4 {
        keys = flood(env).await?.0;
    }
    keys.extend([stale, last]);
    let wanted = picture_of(&store, keys).await?;
    let mut resumed = store.watch(env.prefix(), false, Some(revision)).await?;
    while seen.picture != wanted {
        seen.take(resumed.next().await?)?;
    }
    Ok(())
}

async fn a_watch_resumed_from_the_future_begins_anew(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "1").await?;
    let mut resumed = store.watch(env.prefix(), false, Some(u64::MAX)).await?;
    equal("the first event", resumed.next().await?, WatchEvent::Resync)?;
    equal("the entries", resumed.snapshot().await?.0, vec![store.entry(&key).await?])?;
    store.put(&key, "2").await?;
    equal("the change", seen_put(resumed.change().await?)?.value, "2".into())
}
