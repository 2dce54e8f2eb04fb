//! Watching what happens in a real server, whoever does it.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod redis_support;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use pillion_spi::caps::Watch;
use pillion_spi::state::{Condition, Expiry, StateStore, WatchEvent, WatchSpec, WatchStream};
use pillion_spi::{Component, Kind, OpenEnv};
use redis::Commands;
use redis_support::{Server, apply, delete, put, put_expiring, read, until, written};
use serde_json::json;

fn notifying() -> Server {
    Server::start(&["--notify-keyspace-events", "KEA"])
}

fn prefix(prefix: &str) -> WatchSpec {
    let mut spec = WatchSpec::default();
    spec.prefix = prefix.to_owned();
    spec
}

/// What a watcher believes, and what it was told last.
struct Watcher {
    stream: WatchStream,
    entries: BTreeMap<String, String>,
    synced: usize,
    resyncs: usize,
    expired: usize,
}

impl Watcher {
    fn new(stream: WatchStream) -> Self {
        Self { stream, entries: BTreeMap::new(), synced: 0, resyncs: 0, expired: 0 }
    }

    /// Takes the next event.
    #[allow(clippy::disallowed_methods, reason = "a test that waits in vain must end")]
    async fn step(&mut self) {
        let event = tokio::time::timeout(Duration::from_secs(30), self.stream.next()).await;
        let event = event.expect("no event").expect("the watch ended").unwrap();
        match event {
            WatchEvent::Put { entry, revision } => {
                assert_eq!(revision, 0, "it cannot be resumed from");
                let value = String::from_utf8(entry.value.to_vec()).unwrap();
                let before = self.entries.insert(entry.key.to_string(), value.clone());
                assert_ne!(before, Some(value), "the same was sent twice");
            }
            WatchEvent::Delete { key, expired, revision } => {
                assert_eq!(revision, 0, "it cannot be resumed from");
                self.entries.remove(key.as_str());
                self.expired += usize::from(expired);
            }
            WatchEvent::Resync => {
                self.entries.clear();
                self.resyncs += 1;
            }
            WatchEvent::Synced { .. } => self.synced += 1,
        }
    }

    async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.step().await;
        }
    }

    fn sees(&self, expected: &[(&str, &str)]) -> bool {
        let expected: BTreeMap<_, _> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.entries == expected
    }
}

#[tokio::test]
async fn a_watcher_sees_what_is_there_and_then_what_anyone_changes() {
    let server = notifying();
    let store = server.open().await;
    assert_eq!(store.caps().watch, Watch::Live);
    written(&store, put("a*1", "here", Condition::None)).await;
    written(&store, put("ab", "elsewhere", Condition::None)).await;
    let mut watcher = Watcher::new(store.watch(prefix("a*")).await.unwrap());
    watcher.until(|watcher| watcher.synced == 1).await;
    assert!(watcher.sees(&[("a*1", "here")]));

    written(&store, put("a*1", "changed", Condition::None)).await;
    watcher.until(|watcher| watcher.sees(&[("a*1", "changed")])).await;
    let mut client = server.client();
    let _: () = client.hset_multiple("a*2", &[("data", "theirs"), ("version", "1")]).unwrap();
    let _: () = client.set("a*3", "plain").unwrap();
    watcher.until(|watcher| watcher.sees(&[("a*1", "changed"), ("a*2", "theirs"), ("a*3", "plain")])).await;
    apply(&store, delete("a*1", Condition::None)).await;
    let _: () = client.del("a*3").unwrap();
    watcher.until(|watcher| watcher.sees(&[("a*2", "theirs")])).await;
    assert_eq!(watcher.expired, 0);

    let brief = Expiry::After(Duration::from_millis(1));
    written(&store, put_expiring("a*2", "brief", Condition::None, brief)).await;
    watcher.until(|watcher| watcher.sees(&[])).await;
    assert_eq!(watcher.expired, 1);
    assert_eq!((watcher.synced, watcher.resyncs), (1, 0));
    store.close().await;
}

#[tokio::test]
async fn one_key_can_be_watched() {
    let server = notifying();
    let store = server.open().await;
    let mut spec = prefix("k[1]");
    spec.exact = true;
    let mut watcher = Watcher::new(store.watch(spec).await.unwrap());
    watcher.until(|watcher| watcher.synced == 1).await;
    written(&store, put("k[1]2", "longer", Condition::None)).await;
    written(&store, put("k1", "matched by the pattern", Condition::None)).await;
    written(&store, put("k[1]", "v", Condition::None)).await;
    watcher.until(|watcher| !watcher.entries.is_empty()).await;
    assert!(watcher.sees(&[("k[1]", "v")]));
    store.close().await;
}

#[tokio::test]
async fn what_happened_during_a_break_is_seen_after_it() {
    let server = notifying();
    let store = server.open().await;
    for name in ["a", "b", "c"] {
        written(&store, put(name, "old", Condition::None)).await;
    }
    let mut watcher = Watcher::new(store.watch(prefix("")).await.unwrap());
    watcher.until(|watcher| watcher.synced == 1).await;
    // In one step, so that no notification of the writes can get through.
    let mut client = server.client();
    let _: () = redis::pipe()
        .atomic()
        .cmd("CLIENT")
        .arg(&["KILL", "TYPE", "pubsub"])
        .del("a")
        .hset("b", "data", "new")
        .hincr("b", "version", 1)
        .query::<redis::Value>(&mut client)
        .map(|_| ())
        .unwrap();
    watcher.until(|watcher| watcher.synced == 2).await;
    assert_eq!(watcher.resyncs, 1);
    assert!(watcher.sees(&[("b", "new"), ("c", "old")]), "{:?}", watcher.entries);
    written(&store, put("d", "later", Condition::None)).await;
    watcher.until(|watcher| watcher.sees(&[("b", "new"), ("c", "old"), ("d", "later")])).await;
    store.close().await;
}

#[tokio::test]
async fn a_watcher_that_does_not_look_catches_up_with_the_latest() {
    const KEYS: usize = 12_000; // more than hints are kept for
    let server = notifying();
    let store = server.open().await;
    let mut watcher = Watcher::new(store.watch(prefix("k")).await.unwrap());
    watcher.until(|watcher| watcher.synced == 1).await;
    let mut client = server.client();
    for value in ["first", "last"] {
        let mut pipeline = redis::pipe();
        for number in 0..KEYS {
            pipeline.set(format!("k{number}"), value).ignore();
        }
        let _: () = pipeline.query(&mut client).unwrap();
    }
    watcher
        .until(|watcher| watcher.entries.len() == KEYS && watcher.entries.values().all(|value| value == "last"))
        .await;
    assert!(read(&store, "k0").await.is_some(), "others are not held up");
    store.close().await;
}

#[tokio::test]
async fn watching_takes_the_right_to_subscribe() {
    let server = notifying();
    let user = |name: &str, channels: &[&str]| {
        let mut command = redis::cmd("ACL");
        command.arg(&["SETUSER", name, "on", ">secret", "~*", "+@all"]).arg(channels);
        command.exec(&mut server.client()).unwrap();
        let login = json!({"url": format!("{}/1", server.url()), "username": name, "password": "secret"});
        async { server.open_with(login, OpenEnv::new("test")).await.unwrap() }
    };
    let store = user("all-ears", &["allchannels"]).await;
    let mut watcher = Watcher::new(store.watch(prefix("")).await.unwrap());
    watcher.until(|watcher| watcher.synced == 1).await;
    written(&store, put("k", "v", Condition::None)).await;
    watcher.until(|watcher| watcher.sees(&[("k", "v")])).await;
    store.close().await;
    let store = user("deaf", &["resetchannels"]).await;
    assert_eq!(store.watch(prefix("")).await.err().unwrap().kind(), Kind::Denied);
    store.close().await;
}

#[tokio::test]
async fn a_dropped_watch_leaves_nothing() {
    let server = notifying();
    let env = OpenEnv::new("test");
    let store = server.open_with(json!({}), env.clone()).await.unwrap();
    let watches = futures::future::join_all((0..5).map(|_| store.watch(prefix("")))).await;
    assert_eq!(env.task_count(), 5);
    drop(watches);
    until("their tasks have ended", async || env.task_count() == 0).await;
    until("their connections are closed", async || {
        let count: String = redis::cmd("CLIENT").arg(&["LIST", "TYPE", "pubsub"]).query(&mut server.client()).unwrap();
        count.is_empty()
    })
    .await;
    store.close().await;
}

#[tokio::test]
async fn a_server_that_reports_too_little_is_not_watched_nor_changed() {
    for events in ["", "KA", "Eh$gxe", "Kh$gx", "Kh$gxe"] {
        let server = Server::start(&["--notify-keyspace-events", events]);
        let setting = || -> Vec<String> {
            redis::cmd("CONFIG").arg("GET").arg("notify-keyspace-events").query(&mut server.client()).unwrap()
        };
        let before = setting();
        let store = server.open().await;
        let enough = ["KA", "Kh$gxe"].contains(&events);
        assert_eq!(store.caps().watch, if enough { Watch::Live } else { Watch::None }, "{events:?}");
        match store.watch(prefix("")).await {
            Ok(_) => assert!(enough, "{events:?}"),
            Err(error) => assert_eq!((error.kind(), enough), (Kind::Unsupported, false), "{events:?}: {error}"),
        }
        assert_eq!(setting(), before);
        store.close().await;
    }
}
