//! What `state.redis` writes into the log when the server is away.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod redis_support;

use std::sync::Arc;
use std::time::Duration;

use pillion_components::redis::State;
use pillion_spi::state::{ApplyOptions, Condition, StateStore};
use pillion_spi::{Component, Error, Kind, OpenEnv, VirtualClock};
use redis_support::log::Log;
use redis_support::network::Holes;
use redis_support::{Server, put, until, written};
use rustix::process::Signal;
use serde_json::json;

/// Short timeouts: what is tested is that they exist.
fn quick() -> serde_json::Value {
    json!({"connect_timeout": "400ms", "response_timeout": "400ms"})
}

async fn try_put(store: &State, name: &str) -> Result<(), Error> {
    store.apply(vec![put(name, "v", Condition::None)], ApplyOptions::default()).await.map(drop)
}

#[tokio::test]
async fn the_log_is_told_of_an_outage_once_and_of_its_end() {
    let (log, _guard) = Log::begin();
    let mut server = Server::start(&[]);
    let (holes, clock) = (Holes::new(), Arc::new(VirtualClock::default()));
    let mut env = OpenEnv::new("orders");
    env.network = holes.clone();
    env.clock = clock.clone();
    let store = server.open_with(quick(), env).await.unwrap();
    written(&store, put("k", "v", Condition::None)).await;
    assert_eq!(log.take(), Vec::<String>::new());
    server.kill();
    let tried = async |times: usize| {
        let dials = holes.dials();
        until("it is tried again", async || {
            clock.advance(Duration::from_secs(1));
            holes.dials() >= dials + times
        })
        .await;
    };
    tried(20).await;
    let told = log.take();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with("WARN") && told[0].contains("orders"), "{told:?}");
    clock.advance(Duration::from_secs(300));
    tried(2).await;
    assert_eq!(log.take().len(), 1, "it lasts");
    server.resume_from_disk();
    until("the store works again", async || {
        clock.advance(Duration::from_secs(1));
        try_put(&store, "healed").await.is_ok()
    })
    .await;
    let told = log.take();
    assert!(told.last().unwrap().starts_with("INFO"), "{told:#?}");
    store.close().await;
}

#[tokio::test]
async fn a_frozen_server_is_told_of() {
    let (log, _guard) = Log::begin();
    let server = Server::start(&[]);
    let store = server.open_with(quick(), OpenEnv::new("orders")).await.unwrap();
    written(&store, put("k", "v", Condition::None)).await;
    server.signal(Signal::STOP);
    assert_eq!(try_put(&store, "k").await.unwrap_err().kind(), Kind::Deadline);
    let told = log.take();
    assert!(told.iter().any(|line| line.starts_with("WARN") && line.contains("in time")), "{told:#?}");
    server.signal(Signal::CONT);
    until("the store works again", async || try_put(&store, "healed").await.is_ok()).await;
    assert!(log.take().iter().any(|line| line.starts_with("INFO")));
    store.close().await;
}
