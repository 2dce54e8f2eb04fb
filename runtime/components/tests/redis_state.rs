//! What `state.redis` stores and answers, on a real server.

#![cfg(feature = "redis")]

mod redis_support;

use pillion_spi::Component;
use pillion_spi::state::{Condition, Version};
use redis_support::{Fate, Server, apply, delete, put, read, transact, written};

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
    assert_eq!(apply(&store, put("k", "three", Condition::IfMatch(first))).await, Fate::Conflict(Some(second)));
    assert_eq!(apply(&store, delete("k", Condition::None)).await, Fate::Applied(None, true));
    assert_eq!(read(&store, "k").await, None);
    store.close().await;
}

#[tokio::test]
async fn a_transaction_with_one_conflict_changes_nothing() {
    let server = Server::start(&[]);
    let store = server.open().await;
    written(&store, put("b", "old", Condition::None)).await;
    let fates = transact(&store, vec![put("a", "new", Condition::None), put("b", "new", Condition::IfAbsent)]).await;
    let found = read(&store, "b").await.unwrap().version;
    assert_eq!(fates, [Fate::Aborted, Fate::Conflict(Some(found))]);
    assert_eq!(read(&store, "a").await, None);
    store.close().await;
}
