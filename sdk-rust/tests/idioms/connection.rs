use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pillion::proto::StateMock;
use pillion::proto::state::v1::{GetResponse, SetResponse};
use pillion::{Outcome, connect};
use tokio_util::sync::CancellationToken;

use crate::server::{Proxy, Server, eventually, mocks, nowhere, url};

#[tokio::test]
async fn connecting_succeeds_without_a_sidecar_and_calls_work_once_there_is_one() {
    let address = nowhere().await;
    let p = connect(url(address)).await.unwrap();
    for error in [p.state().get::<String>("a").await.unwrap_err(), p.state().set("a", "one").await.unwrap_err()] {
        assert_eq!(error.reason(), "runtime.unreachable");
        assert_eq!(error.outcome(), Outcome::Rejected);
    }

    let embedded = pillion::embedded().await.unwrap();
    let server = Server::at(address, embedded.apis()).await;
    p.state().set("a", "one").await.unwrap();

    let address = server.kill().await;
    eventually(async || p.state().get::<String>("a").await.is_err_and(|error| error.reason() == "runtime.unreachable"))
        .await;
    let _server = Server::at(address, embedded.apis()).await;
    // The first use of each connection may still find out that it is broken.
    eventually(async || p.state().get::<String>("a").await.is_ok()).await;
    for _ in 0..16 {
        assert_eq!(p.state().get::<String>("a").await.unwrap().as_deref(), Some("one"));
    }
}

#[tokio::test]
async fn a_unix_socket_that_is_not_there_is_unreachable_too() {
    let folder = tempfile::tempdir().unwrap();
    let p = connect(format!("unix://{}/none.sock", folder.path().display())).await.unwrap();
    let error = p.state().set("a", "one").await.unwrap_err();
    assert_eq!((error.reason(), error.outcome()), ("runtime.unreachable", Outcome::Rejected));
}

#[tokio::test]
async fn waiting_until_ready_outlasts_the_start_of_the_sidecar() {
    let address = nowhere().await;
    let p = connect(url(address)).await.unwrap();
    let error = p.wait_ready(Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.reason(), "runtime.unreachable");

    let waiting = tokio::spawn({
        let p = p.clone();
        async move { p.wait_ready(Duration::from_secs(30)).await }
    });
    let embedded = pillion::embedded().await.unwrap();
    let _server = Server::at(address, embedded.apis()).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_vanished_is_noticed_and_left() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let proxy = Proxy::to(server.address).await;
    let p = connect(url(proxy.address)).connections(1).keep_alive(Duration::from_millis(500)).retries(0).await.unwrap();
    p.state().set("a", "one").await.unwrap();

    proxy.freeze();
    let error = p.state().set("a", "two").await.unwrap_err();
    assert_eq!(error.reason(), "runtime.connection_lost");
    assert_eq!(error.outcome(), Outcome::Unknown);

    proxy.thaw();
    eventually(async || p.state().set("a", "three").await.is_ok()).await;
    assert!(proxy.accepted() >= 2);
}

/// Writes while the sidecar is ended and started again and again; gives the errors.
async fn writes_through_restarts(retries: u32, drain: bool) -> Vec<(String, Outcome)> {
    let seen = Arc::<Mutex<HashSet<String>>>::default();
    let record = seen.clone();
    let mock = StateMock::default().on_set(move |_, request| {
        assert!(record.lock().unwrap().insert(request.key), "a write was made twice");
        Ok(SetResponse::default())
    });
    let apis = mocks(mock);
    let mut server = Server::of(&apis).await;
    let p = server.connect().retries(retries).await.unwrap();
    let stop = CancellationToken::new();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (state, stop) = (p.state(), stop.clone());
            tokio::spawn(async move {
                let mut written = Vec::new();
                for i in 0.. {
                    if stop.is_cancelled() {
                        break;
                    }
                    let key = format!("{writer}:{i}");
                    written.push((key.clone(), state.set(key, "one").await.map(drop)));
                }
                written
            })
        })
        .collect();
    for _ in 0..10 {
        let before = seen.lock().unwrap().len();
        eventually(async || seen.lock().unwrap().len() > before + 100).await;
        let address = if drain { server.drain().await } else { server.kill().await };
        server = Server::at(address, &apis).await;
    }
    stop.cancel();
    let written = futures::future::try_join_all(writers).await.unwrap();
    let seen = seen.lock().unwrap();
    let mut errors = Vec::new();
    for (key, result) in written.into_iter().flatten() {
        match result {
            Ok(()) => assert!(seen.contains(&key), "{key} was acknowledged and never made"),
            Err(error) => {
                let made = seen.contains(&key);
                assert!(!made || error.outcome() == Outcome::Unknown, "{key} was made and called rejected: {error:?}");
                errors.push((error.to_string(), error.outcome()));
            }
        }
    }
    errors
}

#[tokio::test]
async fn what_is_called_rejected_was_not_done_and_nothing_is_done_twice_when_sidecars_are_killed() {
    let errors = writes_through_restarts(0, false).await;
    assert!(!errors.is_empty(), "no call met a kill");
    writes_through_restarts(3, false).await;
}

#[tokio::test]
async fn draining_leaves_no_outcome_unknown() {
    let errors = writes_through_restarts(0, true).await;
    let unknown: Vec<_> = errors.iter().filter(|(_, outcome)| *outcome != Outcome::Rejected).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn calls_are_spread_over_the_connections() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let proxy = Proxy::to(server.address).await;
    let p = connect(url(proxy.address)).connections(3).await.unwrap();
    assert_eq!(proxy.accepted(), 0, "connected before the first use");
    for _ in 0..9 {
        p.state().get::<String>("a").await.unwrap();
    }
    assert_eq!(proxy.accepted(), 3);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_an_error() {
    let entry = pillion::proto::state::v1::Entry {
        key: "a".into(),
        value: Some(pillion::Value { data: vec![0; 100_000].into(), content_type: String::new() }),
        ..Default::default()
    };
    let answer = GetResponse { entry: Some(entry) };
    let mock = StateMock::default().on_get(move |_, _| Ok(answer.clone()));
    let server = Server::of(&mocks(mock)).await;
    let large = server.connect().await.unwrap().state().get::<Vec<u8>>("a").await.unwrap();
    assert_eq!(large.map(|data| data.len()), Some(100_000));
    let p = server.connect().max_message(50_000).retries(0).await.unwrap();
    p.state().get::<Vec<u8>>("a").await.unwrap_err();
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_refused_with_the_reason() {
    for (endpoint, problem) in [
        ("127.0.0.1:34904", "scheme"),
        ("localhost", "scheme"),
        ("https://127.0.0.1", "TLS"),
        ("ftp://127.0.0.1", "scheme"),
        ("http://127.0.0.1:34904/v1", "path"),
        ("unix:relative", "absolute"),
        ("", "URL"),
        ("http://", "URL"),
        ("http://127.0.0.1", "port"),
        ("http://host:port", "port"),
        ("http://host:65536", "port"),
    ] {
        let error = connect(endpoint).await.unwrap_err();
        assert_eq!(error.reason(), "request.invalid", "{endpoint}");
        assert!(error.message().contains(problem), "{endpoint}: {error}");
    }
}
