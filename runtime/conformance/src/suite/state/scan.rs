//! Lists.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use pillion_spi::Kind;
use pillion_spi::state::{Entry, Expiry, Key, Scan};

use crate::env::{Env, Store, equal, refused};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    nothing_lists_as_nothing [List];
    entries_are_listed_whole [List];
    keys_alone_are_listed_without_values [List];
    a_prefix_takes_what_begins_so [List];
    a_key_that_is_the_prefix_belongs_to_it [List];
    patterns_in_a_prefix_are_plain_text [List];
    a_prefix_may_end_anywhere_in_unicode [List];
    a_prefix_respects_case [List];
    a_deleted_entry_is_not_listed [List];
    pages_together_hold_every_entry [List];
    a_page_may_hold_more_than_there_is [List];
    a_page_without_end_is_bounded [List];
    entries_that_stay_are_seen_while_others_change [List];
    a_cursor_outlives_the_entry_it_stands_at [List];
    a_made_up_cursor_is_refused [List];
    the_remaining_time_is_listed [List, Ttl];
    a_page_holds_at_most_its_limit [List];
    a_page_of_large_values_ends_early [List];
    keys_come_in_order [OrderedList];
    no_key_comes_twice [OrderedList];
}

async fn fill(env: &Env, names: impl IntoIterator<Item = String>) -> Result<BTreeSet<Key>> {
    let keys: BTreeSet<Key> = names.into_iter().map(|name| env.key(&name)).collect();
    let ops = keys.iter().map(|key| op::put(key, key.as_str().to_owned())).collect();
    env.store().apply(ops, false).await?;
    Ok(keys)
}

fn keys(entries: &[Entry]) -> BTreeSet<Key> {
    entries.iter().map(|entry| entry.key.clone()).collect()
}

async fn listed(store: &Store, prefix: &str) -> Result<BTreeSet<Key>> {
    Ok(keys(&store.list(prefix, 100, false).await?))
}

async fn nothing_lists_as_nothing(env: &Env) -> Result<()> {
    equal("the entries", env.store().list(env.prefix(), 10, false).await?, Vec::new())
}

async fn entries_are_listed_whole(env: &Env) -> Result<()> {
    let store = env.store();
    let (a, b) = (env.key("a"), env.key("b"));
    store.put(&a, "1").await?;
    store.put(&a, vec![0, 255]).await?;
    let op = op::put(&b, "");
    store.write(if env.caps().content_type { op.typed("text/plain") } else { op }).await?;
    let mut entries = store.list(env.prefix(), 10, false).await?;
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    equal("the entries", entries, vec![store.entry(&a).await?, store.entry(&b).await?])
}

async fn keys_alone_are_listed_without_values(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "value").await?;
    let entries = store.list(env.prefix(), 10, true).await?;
    equal("the number of entries", entries.len(), 1)?;
    equal("the key", &entries[0].key, &key)?;
    equal("the value", entries[0].value.clone(), Bytes::new())?;
    equal("the version", entries[0].version, version)
}

async fn a_prefix_takes_what_begins_so(env: &Env) -> Result<()> {
    fill(env, ["a", "ab", "abc", "ac", "b", "ba"].map(str::to_owned)).await?;
    let wanted = ["ab", "abc"].map(|name| env.key(name)).into();
    equal("the keys", listed(&env.store(), env.key("ab").as_str()).await?, wanted)?;
    equal("the keys", listed(&env.store(), env.key("zz").as_str()).await?, BTreeSet::new())
}

async fn a_key_that_is_the_prefix_belongs_to_it(env: &Env) -> Result<()> {
    fill(env, ["order", "order:1"].map(str::to_owned)).await?;
    let wanted = ["order", "order:1"].map(|name| env.key(name)).into();
    equal("the keys", listed(&env.store(), env.key("order").as_str()).await?, wanted)
}

async fn patterns_in_a_prefix_are_plain_text(env: &Env) -> Result<()> {
    let special = ["*", "?", "[ab]", "[^a]", "\\", "\\*", "%", "_", "{a,b}", "'", "\"", "\u{0}", "\n", "$", "."];
    // What the patterns would match.
    let plain = ["a", "b", "ab", "\\a", "x*", "x_", "aa,b"];
    let names: Vec<String> = special.iter().chain(&plain).map(|name| format!("{name}tail")).collect();
    fill(env, names.iter().cloned()).await?;
    for name in special {
        let found = listed(&env.store(), env.key(name).as_str()).await?;
        let wanted = names.iter().filter(|other| other.starts_with(name)).map(|other| env.key(other)).collect();
        equal(&format!("the keys under {name:?}"), found, wanted)?;
    }
    Ok(())
}

async fn a_prefix_may_end_anywhere_in_unicode(env: &Env) -> Result<()> {
    // The characters whose successor is not the next number, or is longer, or does not exist.
    let ends = ["\u{7f}", "\u{7ff}", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10ffff}", "\u{10ffff}\u{10ffff}", "é"];
    fill(env, ends.iter().flat_map(|end| [format!("k{end}"), format!("k{end}1"), format!("k{end}\u{10ffff}")])).await?;
    fill(env, ["k".to_owned(), "l".to_owned()]).await?;
    let all = listed(&env.store(), env.prefix()).await?;
    for end in ends {
        let prefix = env.key(&format!("k{end}"));
        let wanted = all.iter().filter(|key| key.as_str().starts_with(prefix.as_str())).cloned().collect();
        equal(&format!("the keys under {end:?}"), listed(&env.store(), prefix.as_str()).await?, wanted)?;
    }
    // The keys under `\u{10ffff}` twice are also those under it once.
    equal("the number of keys", all.len(), 3 * ends.len() + 1)
}

async fn a_prefix_respects_case(env: &Env) -> Result<()> {
    fill(env, ["Key1", "key2", "KEY3", "É4", "é5"].map(str::to_owned)).await?;
    equal("the keys", listed(&env.store(), env.key("key").as_str()).await?, [env.key("key2")].into())?;
    equal("the keys", listed(&env.store(), env.key("é").as_str()).await?, [env.key("é5")].into())
}

async fn a_deleted_entry_is_not_listed(env: &Env) -> Result<()> {
    let mut wanted = fill(env, ["a", "b", "c"].map(str::to_owned)).await?;
    let gone = env.key("b");
    env.store().delete(&gone).await?;
    wanted.remove(&gone);
    equal("the keys", listed(&env.store(), env.prefix()).await?, wanted)
}

async fn pages_together_hold_every_entry(env: &Env) -> Result<()> {
    let wanted = fill(env, (0..257).map(|number| number.to_string())).await?;
    for limit in [1, 2, 100, 256, 257, 258] {
        let entries = env.store().list(env.prefix(), limit, true).await?;
        equal(&format!("the keys in pages of {limit}"), keys(&entries), wanted.clone())?;
    }
    Ok(())
}

async fn a_page_may_hold_more_than_there_is(env: &Env) -> Result<()> {
    let wanted = fill(env, ["a", "b"].map(str::to_owned)).await?;
    let entries = env.store().list(env.prefix(), usize::MAX, false).await?;
    equal("the keys", keys(&entries), wanted)
}

async fn a_page_without_end_is_bounded(env: &Env) -> Result<()> {
    let wanted = fill(env, (0..3000).map(|number| number.to_string())).await?;
    let entries = env.store().list(env.prefix(), 1000, true).await?;
    equal("the number of keys", keys(&entries).len(), wanted.len())
}

async fn entries_that_stay_are_seen_while_others_change(env: &Env) -> Result<()> {
    let store = env.store();
    let staying = fill(env, (0..200).map(|number| format!("{number:03}-stays"))).await?;
    fill(env, (0..200).map(|number| format!("{number:03}-goes"))).await?;
    let mut seen = BTreeSet::new();
    let mut cursor = None;
    for round in 0.. {
        let page = store.page(env.prefix(), cursor, 10, true).await?;
        seen.extend(keys(&page.entries));
        if page.next.is_none() {
            break;
        }
        ensure!(round < 10_000, "the list has no end");
        cursor = page.next;
        store.delete(&env.key(&format!("{:03}-goes", round % 200))).await?;
        store.put(&env.key(&format!("{:03}-comes", 199 - round % 200)), "new").await?;
    }
    let missed: Vec<&Key> = staying.difference(&seen).collect();
    ensure!(missed.is_empty(), "{} entries were there all the time and not listed: {missed:?}", missed.len());
    Ok(())
}

async fn a_cursor_outlives_the_entry_it_stands_at(env: &Env) -> Result<()> {
    let store = env.store();
    let all = fill(env, (0..60).map(|number| format!("{number:02}"))).await?;
    let first = store.page(env.prefix(), None, 20, true).await?;
    for entry in &first.entries {
        store.delete(&entry.key).await?;
    }
    let mut seen = keys(&first.entries);
    let mut cursor = first.next;
    while let Some(at) = cursor {
        let page = store.page(env.prefix(), Some(at), 20, true).await?;
        seen.extend(keys(&page.entries));
        cursor = page.next;
    }
    equal("the keys", seen, all)
}

async fn a_made_up_cursor_is_refused(env: &Env) -> Result<()> {
    fill(env, ["a"].map(str::to_owned)).await?;
    for cursor in ["no cursor of yours", "-1", "", "99999999999999999999999", "\u{0}"] {
        let mut scan = Scan::default();
        scan.prefix = env.prefix().to_owned();
        scan.cursor = Some(cursor.to_owned());
        scan.limit = 10;
        refused(&format!("the cursor {cursor:?}"), env.store().raw().scan(scan).await, Kind::Invalid)?;
    }
    Ok(())
}

async fn the_remaining_time_is_listed(env: &Env) -> Result<()> {
    let (store, key, hour) = (env.store(), env.key("k"), Duration::from_secs(3600));
    store.write(op::put(&key, "a").expiring(Expiry::After(hour))).await?;
    let entries = store.list(env.prefix(), 10, false).await?;
    let left = entries.first().and_then(|entry| entry.expires_in);
    ensure!(left.is_some_and(|left| left <= hour && left > hour / 2), "of an hour, {left:?} are left");
    Ok(())
}

async fn a_page_holds_at_most_its_limit(env: &Env) -> Result<()> {
    let wanted = fill(env, (0..25).map(|number| number.to_string())).await?;
    for limit in [1, 2, 7, 24, 25, 26] {
        for keys_only in [false, true] {
            let (mut found, mut cursor) = (BTreeSet::new(), None);
            for round in 0.. {
                let page = env.store().page(env.prefix(), cursor, limit, keys_only).await?;
                ensure!(page.entries.len() <= limit, "a page of {limit} has {} entries", page.entries.len());
                let full = page.entries.len() == limit.min(25);
                ensure!(full || !env.caps().ordered_list || round > 0, "{} of {limit}", page.entries.len());
                found.extend(keys(&page.entries));
                ensure!(round < 10_000, "the list has no end");
                let Some(next) = page.next else { break };
                cursor = Some(next);
            }
            equal("the keys", &found, &wanted)?;
        }
    }
    Ok(())
}

async fn a_page_of_large_values_ends_early(env: &Env) -> Result<()> {
    const VALUE: usize = 1 << 20;
    let (store, count) = (env.store(), 24);
    let all: BTreeSet<Key> = (0..count).map(|number| env.key(&number.to_string())).collect();
    for key in &all {
        store.put(key, vec![b'v'; VALUE]).await?;
    }
    let (mut found, mut cursor) = (BTreeSet::new(), None);
    for round in 0.. {
        let page = store.page(env.prefix(), cursor, 1000, false).await?;
        ensure!(page.entries.len() < 12, "a page has {} values of {VALUE} bytes", page.entries.len());
        found.extend(keys(&page.entries));
        ensure!(round < 10_000, "the list has no end");
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    equal("the keys", found, all)
}

async fn keys_come_in_order(env: &Env) -> Result<()> {
    let wanted =
        fill(env, ["é", "z", "a", "Z", "10", "9", "\u{10ffff}", "\u{e000}", "a/b", "a.b"].map(str::to_owned)).await?;
    for limit in [1, 3, 100] {
        let entries = env.store().list(env.prefix(), limit, true).await?;
        let found: Vec<&Key> = entries.iter().map(|entry| &entry.key).collect();
        equal("the keys", found, wanted.iter().collect())?;
    }
    Ok(())
}

async fn no_key_comes_twice(env: &Env) -> Result<()> {
    let wanted = fill(env, (0..100).map(|number| number.to_string())).await?;
    for limit in [1, 7, 100] {
        equal("the number of entries", env.store().list(env.prefix(), limit, true).await?.len(), wanted.len())?;
    }
    Ok(())
}
