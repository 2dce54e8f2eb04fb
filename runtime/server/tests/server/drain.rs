//! Stopping with nothing, one thing and many things under way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use pillion_proto::error::Outcome;
use pillion_proto::grpc::client::ShapesClient;
use pillion_proto::testing::v1::act_request::Act;
use pillion_proto::testing::v1::expand_request::Then;
use pillion_proto::testing::v1::{ActRequest, ExpandRequest};
use pillion_proto::{Cx, Reason, ShapesApi as _};
use tokio::net::TcpStream;
use tonic::transport::Channel;

use crate::support::{PATIENCE, Running, rest, start, start_with};

fn act(after: Duration) -> ActRequest {
    ActRequest { act: Act::Answer.into(), after: Some(after.into()), ..Default::default() }
}

/// Makes calls that last, on one connection, and waits until all are under way.
async fn calls(
    running: &Running,
    count: usize,
    after: Duration,
) -> Vec<tokio::task::JoinHandle<pillion_proto::Result<()>>> {
    let channel: Channel = running.channel().await;
    let calls = (0..count)
        .map(|_| {
            let shapes = ShapesClient::new(Arc::new(channel.clone()), 4 << 20);
            tokio::spawn(async move { shapes.act(&Cx::default(), act(after)).await.map(|_| ()) })
        })
        .collect();
    running.seen.until(|seen| seen.begun.lock().unwrap().len() == count).await;
    calls
}

async fn assert_closed(running: &Running) {
    let error = TcpStream::connect(running.address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!((running.server.connections(), running.server.calls()), (0, 0));
}

#[tokio::test]
async fn nothing_under_way_is_waited_for() {
    let running = start().await;
    let _idle_grpc = running.channel().await;
    let mut idle_http = running.connect().await;
    let mut used_http = running.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut used_http, b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    running.seen.until(|seen| seen.endings.lock().unwrap().len() == 1).await;
    // The grace is far longer than the test may take: idle connections must not use it.
    let drained = tokio::time::timeout(PATIENCE, running.server.drain(Duration::from_secs(3600))).await.unwrap();
    assert_eq!(drained.unfinished, 0);
    assert_eq!(rest(&mut idle_http).await, "");
    assert!(rest(&mut used_http).await.starts_with("HTTP/1.1 200"));
    assert_closed(&running).await;
}

#[tokio::test]
async fn what_is_under_way_ends_within_the_grace() {
    for count in [1, 50] {
        let running = start_with(None, |options| options.workers = 2).await;
        let calls = calls(&running, count, Duration::from_millis(300)).await;
        let drained = running.server.drain(PATIENCE).await;
        assert_eq!(drained.unfinished, 0);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_closed(&running).await;
    }
}

#[tokio::test]
async fn what_does_not_end_is_cut_and_told_so() {
    for count in [1, 50] {
        let running = start().await;
        let calls = calls(&running, count, Duration::from_secs(3600)).await;
        let drained = running.server.drain(Duration::from_millis(100)).await;
        assert_eq!(drained.unfinished, count);
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert!(error.is(Reason::RuntimeDraining), "{error:?}");
            assert_eq!(error.outcome(), Outcome::Unknown);
        }
        assert_closed(&running).await;
    }
}

#[tokio::test]
async fn streams_end_with_the_reason() {
    let running = start().await;
    let shapes = ShapesClient::new(Arc::new(running.channel().await), 4 << 20);
    let expand = ExpandRequest { count: 1, then: Then::Hang.into(), ..Default::default() };
    let mut events = shapes.expand(&Cx::default(), expand).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().index, 0);
    let request = |accept: &str| {
        Request::get("/v1/testing/expand/1?then=hang")
            .header("host", "localhost")
            .header("accept", accept)
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let lines = running.open(request("*/*")).await.into_body();
    let sse = running.open(request("text/event-stream")).await.into_body();

    let drained = running.server.drain(Duration::from_millis(100)).await;
    assert_eq!(drained.unfinished, 3);
    assert!(events.next().await.unwrap_err().is(Reason::RuntimeDraining));
    let lines = lines.collect().await.unwrap().to_bytes();
    let last = std::str::from_utf8(&lines).unwrap().lines().last().unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["error"]["reason"], "runtime.draining");
    let sse = sse.collect().await.unwrap().to_bytes();
    assert!(std::str::from_utf8(&sse).unwrap().contains("event: error\ndata: "), "{sse:?}");
    assert_closed(&running).await;
}

#[tokio::test]
async fn an_http_call_is_cut_with_a_problem() {
    let running = start().await;
    let body = r#"{"act":"ACT_ANSWER","after":"3600s"}"#;
    let request = Request::post("/pillion.testing.v1.ShapesService/Act")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let (answer, drained) = tokio::join!(running.open(request), async {
        running.seen.until(|seen| seen.begun.lock().unwrap().len() == 1).await;
        running.server.drain(Duration::from_millis(50)).await
    });
    assert_eq!((answer.status().as_u16(), drained.unfinished), (503, 1));
    let problem: serde_json::Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!((&problem["reason"], &problem["outcome"]), (&"runtime.draining".into(), &"unknown".into()));
}

#[tokio::test]
async fn watched_health_does_not_hold_a_drain_up() {
    let running = start().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(running.channel().await);
    let mut changes = health.watch(tonic_health::pb::HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().status, 1);
    let drained = tokio::time::timeout(PATIENCE, running.server.drain(Duration::from_secs(3600))).await.unwrap();
    assert_eq!(drained.unfinished, 0);
    assert_eq!(changes.message().await.unwrap().unwrap().status, 2);
    assert_eq!(changes.message().await.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn a_second_drain_waits_for_the_first() {
    let running = start().await;
    let calls = calls(&running, 1, Duration::from_millis(200)).await;
    let (first, second) = tokio::join!(running.server.drain(PATIENCE), running.server.drain(Duration::ZERO));
    assert_eq!((first.unfinished, second.unfinished), (0, 0));
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_drain_leaves_no_thread() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let running = start_with(None, |options| {
        options.workers = 3;
        let ids = ids.clone();
        // "<process>/task/<thread>"
        options.on_worker_start =
            Arc::new(move |_| ids.lock().unwrap().push(std::fs::read_link("/proc/thread-self").unwrap()));
    })
    .await;
    let ids = std::mem::take(&mut *ids.lock().unwrap());
    let left = || ids.iter().filter(|id| std::path::Path::new("/proc").join(id).exists()).count();
    assert_eq!((ids.len(), left()), (3, 3));
    running.server.drain(PATIENCE).await;
    assert_eq!(left(), 0);
}
