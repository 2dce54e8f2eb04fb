//! A runtime inside a program: no socket, the same APIs.

use std::sync::Arc;
use std::time::Duration;

use pillion_proto::common::v1::Value;
use pillion_proto::state::v1::{GetRequest, SetRequest};
use pillion_proto::{Cx, Reason};
use pillion_runtime::config::Config;
use pillion_runtime::{Runtime, registry};
use pillion_spi::VirtualClock;

fn set(key: &str, data: &'static [u8], ttl: Option<Duration>) -> SetRequest {
    SetRequest {
        key: key.to_owned(),
        value: Some(Value { data: data.into(), content_type: "text/plain".to_owned() }),
        ttl: ttl.map(Into::into),
        ..SetRequest::default()
    }
}

fn get(key: &str) -> GetRequest {
    GetRequest { key: key.to_owned(), ..GetRequest::default() }
}

#[tokio::test]
async fn what_is_set_is_read_back_until_its_time_is_up() {
    let clock = Arc::new(VirtualClock::default());
    let runtime = Runtime::builder(Config::dev(&registry()).unwrap()).clock(clock.clone()).start().unwrap();
    let (state, cx) = (&runtime.apis().state, Cx::default());
    state.set(&cx, set("cart", b"apple", None)).await.unwrap();
    state.set(&cx, set("session", b"x", Some(Duration::from_secs(600)))).await.unwrap();
    assert_eq!(state.get(&cx, get("cart")).await.unwrap().entry.unwrap().value.unwrap().data, "apple");
    assert!(state.get(&cx, get("session")).await.unwrap().entry.is_some());
    clock.advance(Duration::from_secs(600));
    assert!(state.get(&cx, get("session")).await.unwrap().entry.is_none());
    assert!(state.get(&cx, get("cart")).await.unwrap().entry.is_some());
    runtime.close(Duration::from_secs(5)).await;
    assert!(state.get(&cx, get("cart")).await.is_err(), "a closed runtime answers nothing");
}

#[tokio::test]
async fn two_runtimes_in_one_process_share_nothing() {
    let config = Config::dev(&registry()).unwrap();
    let (first, second) =
        (Runtime::builder(config.clone()).start().unwrap(), Runtime::builder(config).start().unwrap());
    let cx = Cx::default();
    first.apis().state.set(&cx, set("cart", b"apple", None)).await.unwrap();
    assert!(second.apis().state.get(&cx, get("cart")).await.unwrap().entry.is_none());
}

#[tokio::test]
async fn a_store_that_is_not_declared_is_named_with_those_that_are() {
    let runtime = Runtime::builder(Config::dev(&registry()).unwrap()).start().unwrap();
    let request = GetRequest { store: "nope".to_owned(), ..get("cart") };
    let error = runtime.apis().state.get(&Cx::default(), request).await.unwrap_err();
    assert!(error.is(Reason::ComponentNotDeclared));
    assert_eq!(error.detail("declared"), Some("state"));
    assert!(error.message().contains("nope") && error.message().contains("state"), "{error}");
}
