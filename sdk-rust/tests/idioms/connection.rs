use std::time::Duration;

use pillion::proto::StateMock;
use pillion::proto::state::v1::GetResponse;
use pillion::{Outcome, connect};

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
