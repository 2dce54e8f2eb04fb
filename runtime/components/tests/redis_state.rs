//! What `state.redis` stores and answers, on a real server.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod redis_support;

use std::collections::BTreeSet;
use std::time::Duration;

use pillion_components::redis::State;
use pillion_spi::caps::{FirstWrite, Transact, Ttl, Watch};
use pillion_spi::state::{
    Action, ApplyOptions, Condition, Expiry, Generation, Key, Op, ReadOptions, Scan, StateStore, Version,
};
use pillion_spi::{Component, Kind, OpenEnv, Outcome};
use redis::Commands;
use redis_support::{
    Fate, Server, apply, delete, fates, key, put, put_expiring, read, transact, try_read, until, written,
};
use serde_json::json;

#[tokio::test]
async fn what_was_written_is_read_with_its_version() {
    let server = Server::start(&[]);
    let store = server.open().await;
    assert_eq!(read(&store, "k").await, None);
    let first = written(&store, put("k", "one", Condition::None)).await;
    assert_eq!(first.counter, 1);
    assert!(first.generation.is_some());
    let second = written(&store, put("k", "two", Condition::IfMatch(first))).await;
    assert_eq!(second, Version { counter: 2, ..first });
    let entry = read(&store, "k").await.unwrap();
    assert_eq!((entry.value.as_ref(), entry.version, entry.expires_in), (b"two".as_slice(), second, None));
    assert_eq!(apply(&store, delete("k", Condition::None)).await, Fate::Applied(None, true));
    assert_eq!(apply(&store, delete("k", Condition::None)).await, Fate::Applied(None, false));
    assert_eq!(read(&store, "k").await, None);
    store.close().await;
}

/// The states in which a key can be found, and how to bring it there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Given {
    Nothing,
    Entry,
    Marked,
}

async fn given(store: &State, name: &str, given: Given) -> Option<Version> {
    match given {
        Given::Nothing => None,
        Given::Entry => Some(written(store, put(name, "old", Condition::None)).await),
        Given::Marked => Some(written(store, put(name, "old", Condition::FirstWrite(None))).await),
    }
}

#[tokio::test]
async fn each_condition_holds_when_it_should() {
    use Given::{Entry, Marked, Nothing};
    let server = Server::start(&[]);
    let store = server.open().await;
    let wrong = Version::bare(9);
    type Make = fn(Version) -> Condition;
    // For each condition: whether a put and a delete take effect on nothing, an entry, a marked one.
    let table: [(&str, Make, [bool; 3], [bool; 3]); 10] = [
        ("none", |_| Condition::None, [true, true, false], [true, true, true]),
        ("if absent", |_| Condition::IfAbsent, [true, false, false], [true, false, false]),
        ("if match", Condition::IfMatch, [false, true, true], [false, true, true]),
        ("if match, wrong", |_| Condition::IfMatch(Version::bare(9)), [false; 3], [false; 3]),
        ("if match or absent", Condition::IfMatchOrAbsent, [true; 3], [true; 3]),
        (
            "if match or absent, wrong",
            |_| Condition::IfMatchOrAbsent(Version::bare(9)),
            [true, false, false],
            [true, false, false],
        ),
        ("first write", |_| Condition::FirstWrite(None), [true, true, false], [true, true, false]),
        ("first write at", |version| Condition::FirstWrite(Some(version)), [true; 3], [true; 3]),
        (
            "first write at, wrong",
            |_| Condition::FirstWrite(Some(Version::bare(9))),
            [true, false, false],
            [true, false, false],
        ),
        (
            "if match, bare",
            |version| Condition::IfMatch(Version::bare(version.counter)),
            [false, true, true],
            [false, true, true],
        ),
    ];
    for (name, make, puts, deletes) in table {
        for (state, expected_put, expected_delete) in
            [(Nothing, puts[0], deletes[0]), (Entry, puts[1], deletes[1]), (Marked, puts[2], deletes[2])]
        {
            let case = format!("{name} on {state:?}");
            let before = given(&store, &case, state).await;
            let condition = make(before.unwrap_or(wrong));
            let fate = apply(&store, put(&case, "new", condition)).await;
            match fate {
                Fate::Applied(Some(version), existed) => {
                    assert!(expected_put, "put {case} took effect");
                    assert_eq!(existed, before.is_some(), "{case}");
                    assert_eq!(version.counter, before.map_or(1, |before| before.counter + 1), "{case}");
                }
                other => {
                    assert!(!expected_put, "put {case} did not take effect");
                    assert_eq!(other, Fate::Conflict(before), "{case}");
                }
            }
            let value = read(&store, &case).await.map(|entry| entry.value);
            let expected = if expected_put { Some("new") } else { before.map(|_| "old") };
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "put {case}");

            let case = format!("delete {case}");
            let before = given(&store, &case, state).await;
            let condition = make(before.unwrap_or(wrong));
            let fate = apply(&store, delete(&case, condition)).await;
            let expected = if expected_delete { Fate::Applied(None, before.is_some()) } else { Fate::Conflict(before) };
            assert_eq!(fate, expected, "{case}");
            assert_eq!(read(&store, &case).await.is_some(), before.is_some() && !expected_delete, "{case}");
        }
    }
    store.close().await;
}

#[tokio::test]
async fn a_mark_lasts_until_the_entry_is_deleted() {
    let server = Server::start(&[]);
    let store = server.open().await;
    written(&store, put("k", "old", Condition::None)).await;
    let marked = written(&store, put("k", "mine", Condition::FirstWrite(None))).await;
    let again = written(&store, put("k", "mine", Condition::IfMatch(marked))).await;
    assert_eq!(apply(&store, put("k", "theirs", Condition::None)).await, Fate::Conflict(Some(again)));
    assert_eq!(apply(&store, delete("k", Condition::None)).await, Fate::Applied(None, true));
    written(&store, put("k", "theirs", Condition::None)).await;
    written(&store, put("k", "theirs", Condition::None)).await;
    store.close().await;
}

#[tokio::test]
async fn a_key_created_again_does_not_match_its_former_version() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let former = written(&store, put("k", "one", Condition::None)).await;
    apply(&store, delete("k", Condition::None)).await;
    let present = written(&store, put("k", "two", Condition::None)).await;
    assert_eq!((former.counter, present.counter), (1, 1));
    assert_eq!(apply(&store, put("k", "x", Condition::IfMatch(former))).await, Fate::Conflict(Some(present)));
    written(&store, put("k", "x", Condition::IfMatch(Version::bare(1)))).await;
    store.close().await;
}

/// What another runtime does to save: it counts the version and leaves fields it does not know.
fn save_elsewhere(client: &mut redis::Connection, name: &str, value: &str) {
    let _: () = client.hset(name, "data", value).unwrap();
    let _: i64 = client.hincr(name, "version", 1).unwrap();
}

#[tokio::test]
async fn other_runtimes_read_ours_and_we_read_theirs() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();

    save_elsewhere(&mut client, "app||theirs", "1");
    save_elsewhere(&mut client, "app||theirs", "2");
    let entry = read(&store, "app||theirs").await.unwrap();
    assert_eq!((entry.value.as_ref(), entry.version, entry.content_type), (b"2".as_slice(), Version::bare(2), None));

    written(&store, put("app||ours", "1", Condition::None)).await;
    written(&store, put("app||ours", "2", Condition::None)).await;
    let fields: (String, String) = client.hmget("app||ours", &["data", "version"]).unwrap();
    assert_eq!(fields, ("2".to_owned(), "2".to_owned()));
    let marked: bool = client.hexists("app||ours", "first-write").unwrap();
    assert!(!marked);
    written(&store, put("app||marked", "1", Condition::FirstWrite(None))).await;
    let marked: bool = client.hexists("app||marked", "first-write").unwrap();
    assert!(marked);

    // An entry that another runtime marked is marked for us, too.
    save_elsewhere(&mut client, "app||guarded", "1");
    let _: () = client.hset("app||guarded", "first-write", 0).unwrap();
    assert_eq!(apply(&store, put("app||guarded", "2", Condition::None)).await, Fate::Conflict(Some(Version::bare(1))));
    store.close().await;
}

#[tokio::test]
async fn what_we_noted_of_an_entry_is_not_believed_once_another_runtime_wrote_it() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    let mut op = put("k", "{}", Condition::None);
    let Action::Put { content_type, .. } = &mut op.action else { unreachable!() };
    *content_type = Some("application/json".to_owned());
    let ours = written(&store, op).await;
    save_elsewhere(&mut client, "k", "plain");
    let entry = read(&store, "k").await.unwrap();
    assert_eq!((entry.version, entry.content_type), (Version::bare(2), None));
    let pretended = Version { counter: 2, ..ours };
    assert_eq!(
        apply(&store, put("k", "x", Condition::IfMatch(pretended))).await,
        Fate::Conflict(Some(Version::bare(2)))
    );
    let next = written(&store, put("k", "x", Condition::IfMatch(Version::bare(2)))).await;
    assert_eq!(next.counter, 3);
    assert_ne!(next.generation, ours.generation);
    store.close().await;
}

#[tokio::test]
async fn plain_strings_are_entries_of_version_zero() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    let _: () = client.pset_ex("k", "plain", 100_000).unwrap();
    let entry = read(&store, "k").await.unwrap();
    assert_eq!((entry.value.as_ref(), entry.version), (b"plain".as_slice(), Version::bare(0)));
    assert!(entry.expires_in.is_some());
    assert_eq!(apply(&store, put("k", "x", Condition::IfAbsent)).await, Fate::Conflict(Some(Version::bare(0))));
    let version = written(&store, put_expiring("k", "hash", Condition::IfMatch(Version::bare(0)), Expiry::Keep)).await;
    assert_eq!(version.counter, 1);
    let entry = read(&store, "k").await.unwrap();
    assert_eq!(entry.value.as_ref(), b"hash");
    assert!(entry.expires_in.is_some_and(|left| left <= Duration::from_secs(100)));
    store.close().await;
}

#[tokio::test]
async fn values_and_keys_are_kept_byte_for_byte() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for name in ["plain", "with blank", "*?[x]\\", "ключ", "a\nb", "a\0b"] {
        for value in [&b""[..], b"\r\n", &every_byte, &large] {
            written(&store, put(name, value.to_vec(), Condition::None)).await;
            assert!(read(&store, name).await.unwrap().value == value, "{name:?}, {} bytes", value.len());
        }
    }
    store.close().await;
}

#[tokio::test]
async fn content_types_are_kept() {
    let server = Server::start(&[]);
    let store = server.open().await;
    for wanted in [None, Some(""), Some("text/plain"), Some("text/plain; charset=utf-8")] {
        let wanted = wanted.map(str::to_owned);
        let action = Action::Put { value: "v".into(), content_type: wanted.clone(), expiry: Expiry::Never };
        written(&store, Op { key: key("k"), condition: Condition::None, action }).await;
        assert_eq!(read(&store, "k").await.unwrap().content_type, wanted);
    }
    store.close().await;
}

#[tokio::test]
async fn versions_that_no_double_can_hold_are_counted_exactly() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    for start in [(1 << 53) - 1, 1_u64 << 53, (1 << 53) + 1, 999_999_999_999_999_998] {
        let _: () = client.del("k").unwrap();
        let _: () = client.hset_multiple("k", &[("data", "v".to_owned()), ("version", start.to_string())]).unwrap();
        let wrong = Version::bare(start - 1);
        assert_eq!(
            apply(&store, put("k", "x", Condition::IfMatch(wrong))).await,
            Fate::Conflict(Some(Version::bare(start)))
        );
        let version = written(&store, put("k", "x", Condition::IfMatch(Version::bare(start)))).await;
        assert_eq!(version.counter, start + 1);
        assert_eq!(read(&store, "k").await.unwrap().version, version);
    }
    for unusable in ["-1", "abc", "1000000000000000000", "18446744073709551615"] {
        let _: () = client.hset("k", "version", unusable).unwrap();
        assert_eq!(apply(&store, put("k", "y", Condition::None)).await, Fate::Failed(Kind::Corrupt), "{unusable}");
    }
    store.close().await;
}

#[tokio::test]
async fn entries_expire_when_they_were_told_to() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let hour = Duration::from_secs(3600);
    let left = async |store: &State| read(store, "k").await.unwrap().expires_in;

    written(&store, put_expiring("k", "v", Condition::None, Expiry::After(hour))).await;
    assert!(left(&store).await.is_some_and(|left| left <= hour && left > hour / 2));
    written(&store, put_expiring("k", "v", Condition::None, Expiry::Keep)).await;
    assert!(left(&store).await.is_some_and(|left| left <= hour && left > hour / 2));
    written(&store, put("k", "v", Condition::None)).await;
    assert_eq!(left(&store).await, None);
    written(&store, put_expiring("k", "v", Condition::None, Expiry::Keep)).await;
    assert_eq!(left(&store).await, None);
    written(&store, put_expiring("k", "v", Condition::None, Expiry::After(Duration::MAX))).await;
    assert!(left(&store).await.is_some());

    written(&store, put_expiring("k", "v", Condition::None, Expiry::After(Duration::from_nanos(1)))).await;
    until("the entry expires", async || read(&store, "k").await.is_none()).await;
    assert_eq!(written(&store, put("k", "v", Condition::IfAbsent)).await.counter, 1);
    store.close().await;
}

#[tokio::test]
async fn a_transaction_changes_everything_or_nothing() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let old = written(&store, put("b", "old", Condition::None)).await;
    let refused = vec![put("a", "new", Condition::None), put("b", "new", Condition::IfAbsent)];
    assert_eq!(transact(&store, refused).await, [Fate::Aborted, Fate::Conflict(Some(old))]);
    assert_eq!(read(&store, "a").await, None);

    let _: () = server.client().rpush("list", "x").unwrap();
    let refused = vec![put("a", "new", Condition::None), put("list", "new", Condition::None)];
    assert_eq!(transact(&store, refused).await, [Fate::Aborted, Fate::Failed(Kind::Corrupt)]);
    assert_eq!(read(&store, "a").await, None);
    let length: usize = server.client().llen("list").unwrap();
    assert_eq!(length, 1);

    let fates = transact(
        &store,
        vec![
            put("a", "new", Condition::IfAbsent),
            put("b", "new", Condition::IfMatch(old)),
            delete("c", Condition::None),
        ],
    )
    .await;
    let applied: Vec<bool> = fates.iter().map(|fate| matches!(fate, Fate::Applied(..))).collect();
    assert_eq!(applied, [true; 3]);
    assert_eq!(read(&store, "a").await.unwrap().value.as_ref(), b"new");
    assert_eq!(read(&store, "b").await.unwrap().value.as_ref(), b"new");
    store.close().await;
}

#[tokio::test]
async fn writes_that_are_not_atomic_stand_each_for_itself_and_in_order() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let ops = vec![
        put("k", "1", Condition::IfAbsent),
        put("k", "2", Condition::IfAbsent),
        put("k", "3", Condition::IfMatch(Version::bare(1))),
        delete("other", Condition::IfMatch(Version::bare(1))),
    ];
    let fates = fates(store.apply(ops, ApplyOptions::default()).await.unwrap());
    let generation = read(&store, "k").await.unwrap().version.generation;
    let version = |counter| Some(Version { counter, generation });
    assert_eq!(
        fates,
        [
            Fate::Applied(version(1), false),
            Fate::Conflict(version(1)),
            Fate::Applied(version(2), true),
            Fate::Conflict(None),
        ]
    );
    assert_eq!(read(&store, "k").await.unwrap().value.as_ref(), b"3");
    assert!(store.apply(Vec::new(), ApplyOptions::default()).await.unwrap().outcomes.is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_repeated_call_is_applied_once() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut options = ApplyOptions::default();
    options.idempotency_key = Some("call-1".to_owned());
    let ops = || vec![put("k", "v", Condition::None), put("l", "v", Condition::IfMatch(Version::bare(4)))];
    let first = fates(store.apply(ops(), options.clone()).await.unwrap());
    let other = server.open().await;
    assert_eq!(fates(other.apply(ops(), options.clone()).await.unwrap()), first);
    assert_eq!(read(&store, "k").await.unwrap().version.counter, 1);

    let error = store.apply(ops()[..1].to_vec(), options.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Reused, Outcome::Rejected));

    // What is remembered is forgotten in time, and nobody else sees it.
    let remembered: Vec<String> = server.client().keys("*call-1*").unwrap();
    let left: i64 = server.client().pttl(&remembered[0]).unwrap();
    assert!(left > 0 && remembered.len() == 1);
    assert_eq!(list(&store, "", false).await.0, ["k"]);

    options.idempotency_key = Some("call-2".to_owned());
    store.apply(ops(), options).await.unwrap();
    assert_eq!(read(&store, "k").await.unwrap().version.counter, 2);
    other.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_server_that_forgot_the_script_is_told_again() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    for _ in 0..3 {
        written(&store, put("k", "v", Condition::None)).await;
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut client).unwrap();
    }
    assert_eq!(read(&store, "k").await.unwrap().version.counter, 3);
    store.close().await;
}

/// All keys with a prefix, sorted, and whether each came with a value.
async fn list(store: &State, prefix: &str, keys_only: bool) -> (Vec<String>, bool) {
    let mut keys = BTreeSet::new();
    let mut values = true;
    let mut scan = Scan::default();
    (scan.prefix, scan.keys_only, scan.limit) = (prefix.to_owned(), keys_only, 10);
    for _ in 0..10_000 {
        let page = store.scan(scan.clone()).await.unwrap();
        for entry in page.entries {
            values &= !entry.value.is_empty();
            keys.insert(entry.key.to_string());
        }
        scan.cursor = page.next;
        if scan.cursor.is_none() {
            return (keys.into_iter().collect(), values);
        }
    }
    panic!("the list has no end");
}

#[tokio::test]
async fn lists_hold_what_begins_with_the_prefix_and_is_an_entry() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    let mut expected = Vec::new();
    for number in 0..500 {
        let name = format!("a*[{number:03}");
        written(&store, put(&name, "v", Condition::None)).await;
        expected.push(name);
        written(&store, put(&format!("ab[{number}"), "v", Condition::None)).await;
    }
    let _: () = client.set("a*plain", "v").unwrap();
    let _: () = client.hset("a*uncounted", "data", "v").unwrap();
    let _: () = client.rpush("a*list", "v").unwrap();
    let _: () = client.hset("a*hash", "other", "v").unwrap();
    let _: () = client.pset_ex("a*gone", "v", 1).unwrap();
    expected.extend(["a*plain".to_owned(), "a*uncounted".to_owned()]);
    expected.sort();
    until("the entry expires", async || read(&store, "a*gone").await.is_none()).await;

    assert_eq!(list(&store, "a*", false).await, (expected.clone(), true));
    assert_eq!(list(&store, "a*", true).await, (expected, false));
    assert_eq!(list(&store, "", true).await.0.len(), 1002);
    assert_eq!(list(&store, "nothing", false).await.0, Vec::<String>::new());
    for cursor in ["x", "", "0", "-1", "1 "] {
        let mut scan = Scan::default();
        (scan.cursor, scan.limit) = (Some(cursor.to_owned()), 10);
        assert_eq!(store.scan(scan).await.unwrap_err().kind(), Kind::Invalid, "{cursor:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_no_entry_is_reported_for_its_key_alone() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let _: () = server.client().rpush("list", "x").unwrap();
    let _: () = server.client().set("plain", "p").unwrap();
    written(&store, put("k", "v", Condition::None)).await;
    let keys: Vec<Key> = ["list", "k", "plain", "nothing"].map(Key::new).into();
    let mut found = store.read(&keys, ReadOptions::default()).await.unwrap().into_iter();
    assert_eq!(found.next().unwrap().unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(found.next().unwrap().unwrap().unwrap().value.as_ref(), b"v");
    assert_eq!(found.next().unwrap().unwrap().unwrap().value.as_ref(), b"p");
    assert_eq!(found.next().unwrap().unwrap(), None);
    assert!(store.read(&[], ReadOptions::default()).await.unwrap().is_empty());
    assert_eq!(try_read(&store, "list").await.unwrap_err().kind(), Kind::Corrupt);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_that_compare_and_set_lose_no_increment() {
    const WRITERS: usize = 16;
    const EACH: usize = 25;
    let server = Server::start(&[]);
    let store = std::sync::Arc::new(server.open().await);
    written(&store, put("n", "0", Condition::None)).await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for _ in 0..EACH {
                loop {
                    let entry = read(&store, "n").await.unwrap();
                    let number: usize = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                    let next = put("n", (number + 1).to_string(), Condition::IfMatch(entry.version));
                    if let Fate::Applied(..) = apply(&store, next).await {
                        break;
                    }
                }
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let entry = read(&store, "n").await.unwrap();
    assert_eq!(entry.value, (WRITERS * EACH).to_string());
    assert_eq!(entry.version.counter, (WRITERS * EACH + 1) as u64);
    store.close().await;
}

#[tokio::test]
async fn it_declares_what_it_can_do() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let caps = store.caps();
    assert!(caps.conditions && caps.list && caps.content_type && caps.strong_reads);
    assert!(!caps.ordered_list);
    assert_eq!(
        (caps.first_write, caps.ttl, caps.transact, caps.watch),
        (FirstWrite::Sticky, Ttl::Exact, Transact::All, Watch::None)
    );
    assert!(caps.idempotency.is_some());
    store.close().await;
}

#[tokio::test]
async fn databases_of_a_server_are_apart() {
    let server = Server::start(&[]);
    let first = server.open().await;
    let second = server.open_with(json!({"url": format!("{}/3", server.url())}), OpenEnv::new("test")).await.unwrap();
    written(&first, put("k", "first", Condition::None)).await;
    assert_eq!(read(&second, "k").await, None);
    let missing = server.open_with(json!({"url": format!("{}/99", server.url())}), OpenEnv::new("test")).await;
    assert_eq!(missing.err().unwrap().kind(), Kind::Config);
    first.close().await;
    second.close().await;
}

#[test]
fn a_generation_is_told_apart_from_a_version_without() {
    // The text that stands in the field `pillion`: what the script takes apart must be what is written.
    let version = Version { counter: 7, generation: Some(Generation::from_random(33)) };
    assert_eq!(version.to_string(), "7-000011");
}
