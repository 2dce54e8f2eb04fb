//! The planted defects: each does what its name says, so that a suite which misses it is shown to
//! be blind. `cargo test --features redis,chaos`.

#![cfg(all(feature = "redis", feature = "chaos"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod redis_support;

use std::process::Command;

use pillion_spi::Component;
use pillion_spi::state::{Condition, Version};
use redis_support::{Fate, Server, apply, put, read, transact, try_read, written};
use rustix::process::Signal;

/// Runs the test called `name` of this program again with a failure point switched on. Switches
/// are read once in a process.
fn again_with(point: &str, name: &str) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored"])
        .env("PILLION_CHAOS", point)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn etags_can_be_ignored() {
    again_with("redis.ignore_etag", "with_etags_ignored");
}

#[tokio::test]
#[ignore = "run by `etags_can_be_ignored`"]
async fn with_etags_ignored() {
    let server = Server::start(&[]);
    let store = server.open().await;
    written(&store, put("k", "1", Condition::FirstWrite(None))).await;
    written(&store, put("k", "2", Condition::IfMatch(Version::bare(9)))).await;
    written(&store, put("k", "3", Condition::None)).await;
    store.close().await;
}

#[test]
fn transactions_can_be_torn() {
    again_with("redis.torn_transaction", "with_torn_transactions");
}

#[tokio::test]
#[ignore = "run by `transactions_can_be_torn`"]
async fn with_torn_transactions() {
    let server = Server::start(&[]);
    let store = server.open().await;
    written(&store, put("b", "old", Condition::None)).await;
    let fates = transact(&store, vec![put("a", "new", Condition::None), put("b", "new", Condition::IfAbsent)]).await;
    assert!(matches!(fates[..], [Fate::Aborted, Fate::Conflict(_)]));
    assert!(read(&store, "a").await.is_some());
    store.close().await;
}

#[test]
fn success_can_be_claimed_too_early() {
    again_with("redis.ack_before_reply", "with_success_claimed_too_early");
}

#[tokio::test]
#[ignore = "run by `success_can_be_claimed_too_early`"]
async fn with_success_claimed_too_early() {
    let mut server = Server::start(&[]);
    let store = server.open().await;
    assert_eq!(try_read(&store, "k").await.unwrap(), None);
    server.signal(Signal::STOP);
    assert!(matches!(apply(&store, put("k", "v", Condition::None)).await, Fate::Applied(..)));
    server.kill();
    store.close().await;
}
