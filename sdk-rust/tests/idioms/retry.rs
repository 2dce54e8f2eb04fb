use std::sync::{Arc, Mutex};
use std::time::Duration;

use pillion::proto::StateMock;
use pillion::proto::state::v1::{GetResponse, SetRequest, SetResponse, WatchResponse};
use pillion::{Error, Events, Outcome, Reason, Result};

use crate::server::Server;

/// What was asked, in order.
type Asked<T> = Arc<Mutex<Vec<T>>>;

/// A server whose `set` fails so often with what `error` gives, then succeeds.
async fn failing(times: usize, error: impl Fn() -> Error + Send + Sync + 'static) -> (Server, Asked<SetRequest>) {
    let asked = Asked::default();
    let record = asked.clone();
    let mock = StateMock::default().on_set(move |_, request| {
        let mut asked = record.lock().unwrap();
        asked.push(request);
        if asked.len() <= times { Err(error()) } else { Ok(SetResponse { etag: "1".into(), ..Default::default() }) }
    });
    (Server::mocking(mock).await, asked)
}

fn rejected() -> Error {
    Error::new(Reason::ComponentConnecting, "not yet")
}

fn unknown() -> Error {
    Error::new(Reason::ComponentUnavailable, "the answer was lost").outcome_unknown()
}

fn count<T>(asked: &Asked<T>) -> usize {
    asked.lock().unwrap().len()
}

#[tokio::test]
async fn a_write_that_surely_did_nothing_is_repeated() {
    let (server, asked) = failing(3, rejected).await;
    server.connect().await.unwrap().state().set("a", "one").await.unwrap();
    assert_eq!(count(&asked), 4);
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_is_never_repeated() {
    let (server, asked) = failing(1, unknown).await;
    let p = server.connect().await.unwrap();
    let error = p.state().set("a", "one").await.unwrap_err();
    assert_eq!((error.reason(), error.outcome()), ("component.unavailable", Outcome::Unknown));
    assert_eq!(count(&asked), 1);
}

#[tokio::test]
async fn with_an_idempotency_key_it_is_repeated_unchanged() {
    let (server, asked) = failing(2, unknown).await;
    let p = server.connect().await.unwrap();
    p.state().set("a", "one").ttl(Duration::from_secs(5)).idempotency_key("order-7").await.unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].idempotency_key, "order-7");
    assert!(asked.iter().all(|request| *request == asked[0]));
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_write_does_not_repeat_it() {
    let (server, asked) = failing(usize::MAX, || panic!("the connection is torn down")).await;
    let p = server.connect().await.unwrap();
    let error = p.state().set("a", "one").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
    // The poisoned lock is proof of the one attempt; its contents are still there.
    assert_eq!(asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len(), 1);
}

#[tokio::test]
async fn what_repeating_cannot_heal_is_not_repeated() {
    let (server, asked) = failing(1, || Error::new(Reason::StateEtagMismatch, "changed")).await;
    let error = server.connect().await.unwrap().state().set("a", "one").await.unwrap_err();
    assert!(error.is(Reason::StateEtagMismatch));
    assert_eq!(count(&asked), 1);
}

#[tokio::test]
async fn a_read_is_repeated_and_its_last_error_reported() {
    let asked = Asked::default();
    let record = asked.clone();
    let mock = StateMock::default().on_get(move |_, request| -> Result<GetResponse> {
        let mut asked = record.lock().unwrap();
        asked.push(request);
        Err(unknown().with("attempt", asked.len()))
    });
    let server = Server::mocking(mock).await;
    let error = server.connect().await.unwrap().state().get::<String>("a").await.unwrap_err();
    assert_eq!(error.detail("attempt"), Some("4"));
    assert_eq!(count(&asked), 4);
}

#[tokio::test]
async fn retries_can_be_turned_off() {
    let (server, asked) = failing(1, rejected).await;
    server.connect().retries(0).await.unwrap().state().set("a", "one").await.unwrap_err();
    assert_eq!(count(&asked), 1);
}

#[tokio::test]
async fn an_outage_uses_the_budget_up_and_success_restores_it() {
    let (server, asked) = failing(1000, rejected).await;
    let p = server.connect().await.unwrap();
    for _ in 0..10 {
        p.state().set("a", "one").await.unwrap_err();
    }
    let before = count(&asked);
    p.state().set("a", "one").await.unwrap_err();
    assert_eq!(count(&asked), before + 1, "retries are the load now");

    while count(&asked) < 1000 {
        p.state().set("a", "one").await.unwrap_err();
    }
    for _ in 0..100 {
        p.state().set("a", "one").await.unwrap();
    }
    // A full budget pays for a whole series again; this server never fails any more, another does.
    let (server, asked) = failing(3, rejected).await;
    server.connect().await.unwrap().state().set("a", "one").await.unwrap();
    assert_eq!(count(&asked), 4);
}

#[tokio::test]
async fn an_error_that_asks_for_more_time_than_there_is_comes_at_once() {
    let (server, asked) = failing(1, || rejected().retry_after(Duration::from_secs(60))).await;
    let p = server.connect().timeout(Duration::from_secs(20)).await.unwrap();
    let error = p.state().set("a", "one").await.unwrap_err();
    assert!(error.is(Reason::ComponentConnecting), "{error}");
    assert_eq!(count(&asked), 1);
}

#[tokio::test]
async fn of_a_stream_only_the_opening_is_repeated() {
    let asked = Asked::default();
    let record = asked.clone();
    let mock = StateMock::default().on_watch(move |_, request| {
        let mut asked = record.lock().unwrap();
        asked.push(request);
        if asked.len() < 3 {
            return Err(rejected());
        }
        let events = [Ok(WatchResponse::default()), Err(unknown())];
        Ok(Events::new(futures::stream::iter(events)))
    });
    let server = Server::mocking(mock).await;
    let p = server.connect().await.unwrap();
    let mut events = p.apis().state.watch(&p.cx(), Default::default()).await.unwrap();
    assert_eq!(events.next().await.unwrap(), Some(WatchResponse::default()));
    assert_eq!(events.next().await.unwrap_err().reason(), "component.unavailable");
    assert_eq!(count(&asked), 3);
}

#[tokio::test]
async fn calls_in_the_process_are_not_repeated() {
    let asked = Asked::default();
    let record = asked.clone();
    let mock = StateMock::default().on_get(move |_, request| -> Result<GetResponse> {
        record.lock().unwrap().push(request);
        Err(rejected())
    });
    let p = pillion::Pillion::from_apis(crate::server::mocks(mock));
    p.state().get::<String>("a").await.unwrap_err();
    assert_eq!(count(&asked), 1);
}
