//! The test kit.

use std::time::Duration;

use futures::FutureExt;
use pillion::state::Change;
use pillion::{Outcome, Pillion, Reason};

use crate::server::Server;

async fn opened() -> (Pillion, pillion::testing::Testing) {
    let p = pillion::embedded().testing().await.unwrap();
    let kit = p.testing().unwrap();
    (p, kit)
}

/// The reasons with which three writes fail; empty for one that succeeds.
async fn three_writes(p: &Pillion) -> Vec<String> {
    let mut ended = Vec::new();
    for _ in 0..3 {
        let written = p.state().set("a", "1").await;
        ended.push(written.err().map(|error| error.reason().to_owned()).unwrap_or_default());
    }
    ended
}

#[tokio::test]
async fn what_expires_by_then_is_expired_and_watchers_hear_of_it() {
    let (p, kit) = opened().await;
    let state = p.state();
    state.set("a", "1").ttl(Duration::from_secs(600)).await.unwrap();
    state.set("b", "1").ttl(Duration::from_secs(601)).await.unwrap();
    let mut changes = state.watch_key::<String>("a").await.unwrap();
    while changes.next().await.unwrap() != Some(Change::Synced) {}
    kit.advance(Duration::from_secs(600)).await.unwrap();
    assert_eq!(state.get::<String>("a").await.unwrap(), None);
    assert!(state.get::<String>("b").await.unwrap().is_some());
    assert_eq!(changes.next().await.unwrap(), Some(Change::Deleted { key: "a".into(), expired: true }));
}

#[tokio::test]
async fn the_clock_goes_forward_only_and_not_for_ever() {
    let (_p, kit) = opened().await;
    for by in [Duration::ZERO, Duration::from_secs(101 * 366 * 86_400), Duration::MAX] {
        assert_eq!(kit.advance(by).await.unwrap_err().reason(), "request.invalid", "{by:?}");
    }
}

#[tokio::test]
async fn a_fault_lets_calls_through_then_fails_as_often_as_it_was_told_to() {
    let (p, kit) = opened().await;
    kit.fail("state").after(1).times(1).await.unwrap();
    assert_eq!(three_writes(&p).await, ["", "component.unavailable", ""]);
    kit.fail("state").await.unwrap();
    assert_eq!(three_writes(&p).await, ["component.unavailable"; 3]);
    kit.reset().await.unwrap();
    assert_eq!(three_writes(&p).await, [""; 3]);
}

#[tokio::test]
async fn a_failed_call_did_nothing_and_looks_as_if_its_component_had_failed() {
    let (p, kit) = opened().await;
    kit.fail("state").component("state").operation("set").reason(Reason::StateEtagMismatch).await.unwrap();
    let error = p.state().set("a", "1").await.unwrap_err();
    assert!(error.is(Reason::StateEtagMismatch));
    assert_eq!((error.outcome(), error.component_name()), (Outcome::Rejected, "state"));
    assert!(!error.retryable());
    // Neither other methods nor another runtime are concerned.
    assert_eq!(p.state().get::<String>("a").await.unwrap(), None);
    opened().await.0.state().set("a", "1").await.unwrap();
}

#[tokio::test]
async fn faults_count_for_themselves_and_the_first_that_fails_a_call_decides() {
    let (p, kit) = opened().await;
    kit.fail("state").after(1).reason(Reason::ComponentDenied).await.unwrap();
    kit.fail("state").times(1).reason(Reason::ComponentExhausted).await.unwrap();
    assert_eq!(three_writes(&p).await, ["component.exhausted", "component.denied", "component.denied"]);
}

#[tokio::test]
async fn a_fault_that_could_never_happen_is_refused() {
    let (_p, kit) = opened().await;
    for (fault, named) in [
        (kit.fail("sate"), "`sate`"),
        (kit.fail(""), "building block"),
        (kit.fail("testing"), "`testing`"),
        (kit.fail("state").operation("put"), "`put`"),
        (kit.fail("state").component("orders"), "`orders`"),
    ] {
        let error = fault.await.unwrap_err();
        assert_eq!(error.reason(), "request.invalid");
        assert!(error.message().contains(named), "{error}");
    }
}

#[tokio::test]
async fn faults_are_bounded() {
    let (_p, kit) = opened().await;
    let refused = async {
        loop {
            if let Err(error) = kit.fail("state").await {
                return error;
            }
        }
    };
    assert_eq!(refused.await.reason(), "component.exhausted");
    kit.reset().await.unwrap();
    kit.fail("state").await.unwrap();
}

#[tokio::test]
async fn only_a_runtime_in_this_process_that_was_opened_for_tests_has_it() {
    let plain = pillion::embedded().await.unwrap();
    assert_eq!(plain.testing().unwrap_err().reason(), "request.unknown_method");
    let (p, _kit) = opened().await;
    let server = Server::of(p.apis()).await;
    let remote = server.connect().await.unwrap();
    let error = remote.testing().unwrap_err();
    assert!(error.advice_text().contains("embedded().testing()"), "{error:?}");
    // The calls of the others are failed too, wherever they come from.
    p.testing().unwrap().fail("state").reason(Reason::ComponentDenied).await.unwrap();
    assert_eq!(remote.state().get::<String>("a").await.unwrap_err().reason(), "component.denied");
}

#[tokio::test]
async fn sleeping_work_wakes_up_when_its_time_has_come() {
    let (p, kit) = opened().await;
    let act = pillion::proto::testing::v1::ActRequest {
        after: Some(Duration::from_secs(3600).into()),
        ..pillion::proto::testing::v1::ActRequest::default()
    };
    let shapes = p.apis().shapes.clone().unwrap();
    let cx = p.cx();
    let mut sleeping = std::pin::pin!(shapes.act(&cx, act));
    assert!(sleeping.as_mut().now_or_never().is_none());
    kit.advance(Duration::from_secs(3600)).await.unwrap();
    sleeping.await.unwrap();
}
