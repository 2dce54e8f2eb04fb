//! Streams in both directions, and the rules that hold for them on every transport.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use pillion_proto::grpc::client::ShapesClient;
use pillion_proto::testing::v1::collect_request::Part;
use pillion_proto::testing::v1::expand_request::Then;
use pillion_proto::testing::v1::{CollectRequest, ConverseRequest, ExpandRequest};
use pillion_proto::{Cx, Error, Events, Reason, ShapesApi as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{PATIENCE, Running, start, start_with};

const EXPAND: &str = "/pillion.testing.v1.ShapesService/Expand";
const COLLECT: &str = "/pillion.testing.v1.ShapesService/Collect";
const CONVERSE: &str = "/pillion.testing.v1.ShapesService/Converse";

async fn shapes(running: &Running) -> ShapesClient {
    ShapesClient::new(Arc::new(running.channel().await), 4 << 20)
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "cut off: {text:?}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_stream_comes_as_json_lines() {
    let running = start().await;
    let reply = running.get("/v1/testing/expand/3").await;
    assert_eq!(reply.header("content-type"), "application/jsonl");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(lines(reply.text()), [json!({}), json!({"index": 1}), json!({"index": 2})]);

    let rpc = running.post(EXPAND, "application/json", r#"{"count": 2}"#).await;
    assert_eq!(lines(rpc.text()), [json!({}), json!({"index": 1})]);
}

#[tokio::test]
async fn a_stream_comes_as_events_to_who_asks_for_them() {
    let running = start().await;
    let request = Request::get("/v1/testing/expand/2?then=fail").header("accept", "text/event-stream;q=0.9, */*");
    let reply = running.http(request, "").await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let events: Vec<_> = reply.text().split_terminator("\n\n").collect();
    assert_eq!(events[..2], ["data: {}", "data: {\"index\":1}"]);
    let problem = events[2].strip_prefix("event: error\ndata: ").unwrap();
    let problem: Value = serde_json::from_str(problem).unwrap();
    assert_eq!((&problem["reason"], &problem["status"]), (&json!("state.etag_mismatch"), &json!(412)));
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn a_silent_stream_of_events_is_kept_open_by_comments() {
    let running = start_with(None, |options| options.deadlines.keep_alive = Duration::from_millis(10)).await;
    let request = Request::get("/v1/testing/expand/1?then=hang")
        .header("host", "localhost")
        .header("accept", "text/event-stream")
        .body(Full::<Bytes>::default())
        .unwrap();
    let mut body = running.open(request).await.into_body();
    let mut text = String::new();
    while !text.ends_with(":\n\n:\n\n") {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
        text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
    }
    assert!(text.starts_with("data: {}\n\n"), "{text:?}");
}

#[tokio::test]
async fn a_stream_ends_at_its_first_error_on_every_transport() {
    let running = start().await;
    for then in ["fail", "fail_and_go_on"] {
        let reply = running.get(&format!("/v1/testing/expand/1?then={then}")).await;
        let items = lines(reply.text());
        assert_eq!(items.len(), 2, "{items:?}");
        assert_eq!(items[1]["error"]["reason"], "state.etag_mismatch");
    }
    let request = ExpandRequest { count: 1, then: Then::FailAndGoOn.into(), ..Default::default() };
    let mut events = shapes(&running).await.expand(&Cx::default(), request).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().index, 0);
    assert!(events.next().await.unwrap_err().is(Reason::StateEtagMismatch));
    assert!(events.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_deadline_ends_a_stream_in_the_same_way_everywhere() {
    let running = start().await;
    let request = Request::get("/v1/testing/expand/1?then=hang").header("pillion-timeout", "50ms");
    let items = lines(running.http(request, "").await.text());
    assert_eq!(items[1]["error"]["reason"], "request.deadline_exceeded");

    let request = ExpandRequest { count: 1, then: Then::Hang.into(), ..Default::default() };
    let cx = Cx::default().within(Duration::from_millis(300));
    let mut events = shapes(&running).await.expand(&cx, request).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().index, 0);
    assert!(events.next().await.unwrap_err().is(Reason::RequestDeadlineExceeded));
}

#[tokio::test]
async fn a_guard_ends_when_the_caller_goes_away() {
    let running = start().await;
    let expand = ExpandRequest { count: 1, then: Then::Hang.into(), ..Default::default() };
    let mut events = shapes(&running).await.expand(&Cx::default(), expand).await.unwrap();
    events.next().await.unwrap();
    drop(events);
    running.seen.until(|seen| seen.endings.lock().unwrap().contains(&"shapes.expand dropped".to_owned())).await;

    // Over HTTP, before the answer: the connection says it all.
    let mut stream = running.connect().await;
    let body = r#"{"act":"ACT_ANSWER","after":"3600s"}"#;
    let request = format!(
        "POST /pillion.testing.v1.ShapesService/Act HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    running.seen.until(|seen| seen.begun.lock().unwrap().contains(&"shapes.act")).await;
    drop(stream);
    running.seen.until(|seen| seen.endings.lock().unwrap().contains(&"shapes.act dropped".to_owned())).await;
}

#[tokio::test]
async fn a_panic_costs_one_call() {
    let running = start().await;
    let act = "/pillion.testing.v1.ShapesService/Act";
    running.post(act, "application/json", r#"{"act":"ACT_PANIC"}"#).await.assert_problem(500, "runtime.panic");
    let items = running.get("/v1/testing/expand/1?then=panic").await;
    assert_eq!(lines(items.text())[1]["error"]["reason"], "runtime.panic");
    assert_eq!(running.get("/livez").await.status, 200);
}

#[tokio::test]
async fn an_upload_is_json_lines() {
    let running = start().await;
    for (body, received) in [
        ("{\"chunk\":\"aGVs\"}\n{\"chunk\":\"bG8=\"}\n{\"total\":\"5\"}\n", "5"),
        ("{\"chunk\":\"aGVs\"}\r\n\r\n{\"chunk\":\"bG8=\"}\r\n{\"total\":\"5\"}", "5"),
    ] {
        let reply = running.post(COLLECT, "application/jsonl", body).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "received": received })));
    }
    assert_eq!(running.post(COLLECT, "application/x-ndjson", "").await.json(), json!({}));
    let reply = running.post(CONVERSE, "application/jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n").await;
    assert_eq!(lines(reply.text()), [json!({"text": "A"}), json!({"text": "B"})]);
}

#[tokio::test]
async fn answers_come_before_the_upload_has_ended() {
    let running = start().await;
    let (say, said) = tokio::sync::mpsc::channel::<Bytes>(4);
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let body = StreamBody::new(said.map(|text| Ok::<_, Error>(Frame::data(text))));
    let request = Request::post(CONVERSE).header("host", "localhost").header("content-type", "application/jsonl");
    say.send("{\"text\":\"a\"}\n{\"te".into()).await.unwrap();
    let mut answer = running.open(request.body(body).unwrap()).await.into_body();
    let mut next = async || answer.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(next().await, "{\"text\":\"A\"}\n");
    say.send("xt\":\"b\"}\n".into()).await.unwrap();
    assert_eq!(next().await, "{\"text\":\"B\"}\n");
}

#[tokio::test]
async fn an_upload_with_a_bad_line_fails() {
    let running = start().await;
    for body in ["{\"chunk\":\"aGVs\"}\n{\"chu", "{\"chunk\":\"aGVs\"}\nnonsense\n", "{\"chunk\":\"aGVs\"}\n\u{1}\n"] {
        running.post(COLLECT, "application/jsonl", body).await.assert_problem(400, "request.invalid");
    }
    let long = vec![b' '; (4 << 20) + 1];
    running.post(COLLECT, "application/jsonl", long).await.assert_problem(413, "request.too_large");
    assert_eq!(
        *running.seen.uploads.lock().unwrap(),
        ["request.invalid", "request.invalid", "request.invalid", "request.too_large"]
    );
}

#[tokio::test]
async fn an_http_upload_that_breaks_off_never_looks_finished() {
    let running = start().await;
    let line = "{\"chunk\":\"aGVsbG8=\"}\n";
    let bodies = [
        format!("content-length: 1000\r\n\r\n{line}"),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{line}\r\n", line.len()),
    ];
    for (count, body) in bodies.iter().enumerate() {
        let mut stream = running.connect().await;
        let head = format!("POST {COLLECT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jsonl\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        running
            .seen
            .until(|seen| seen.begun.lock().unwrap().iter().filter(|call| **call == "shapes.collect").count() > count)
            .await;
        drop(stream);
        // Either the service is told, or its call is dropped; it never counts five bytes.
        running.seen.until(|seen| seen.endings.lock().unwrap().len() > count).await;
    }
    assert!(!running.seen.uploads.lock().unwrap().contains(&"5".to_owned()), "{:?}", running.seen);
    assert!(!running.seen.endings.lock().unwrap().contains(&"shapes.collect ok".to_owned()), "{:?}", running.seen);
}

#[tokio::test]
async fn a_grpc_upload_that_fails_never_looks_finished() {
    let running = start().await;
    let client = shapes(&running).await;
    let chunk = CollectRequest { part: Some(Part::Chunk("hello".into())) };
    let failing = stream::iter([Ok(chunk), Err(Error::new(Reason::RequestInvalid, "the disk is gone"))]);
    let error = client.collect(&Cx::default(), Events::new(failing)).await.unwrap_err();
    assert_eq!(error.message(), "the disk is gone");
    running.seen.until(|seen| seen.endings.lock().unwrap().len() == 1).await;
    assert!(!running.seen.endings.lock().unwrap().contains(&"shapes.collect ok".to_owned()));
}

/// A client that takes its upload back with the reset that says "no error", or any other: no
/// library does this, so it is done by hand.
#[tokio::test]
async fn a_grpc_upload_that_is_reset_never_looks_finished() {
    for reason in [h2::Reason::NO_ERROR, h2::Reason::CANCEL, h2::Reason::INTERNAL_ERROR] {
        let running = start().await;
        let (mut client, connection) = h2::client::handshake(running.connect().await).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("http://localhost{COLLECT}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (_answer, mut body) = client.send_request(request, false).unwrap();
        // One message: a chunk (field 1) of five bytes.
        body.send_data(Bytes::from_static(b"\0\0\0\0\x07\x0a\x05hello"), false).unwrap();
        running.seen.until(|seen| seen.begun.lock().unwrap().contains(&"shapes.collect")).await;
        body.send_reset(reason);
        running.seen.until(|seen| seen.endings.lock().unwrap().len() == 1).await;
        let uploads = running.seen.uploads.lock().unwrap().clone();
        assert!(uploads.is_empty() || uploads == ["request.cancelled"], "{reason:?}: {uploads:?}");
        assert_ne!(*running.seen.endings.lock().unwrap(), ["shapes.collect ok"], "{reason:?}");
    }
}

#[tokio::test]
async fn a_conversation_goes_both_ways_over_grpc() {
    let running = start().await;
    let (say, said) = tokio::sync::mpsc::channel(4);
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let texts = Events::new(said.map(|text: &str| Ok(ConverseRequest { text: text.into() })));
    let client = shapes(&running).await;
    say.send("a").await.unwrap();
    let mut answers = client.converse(&Cx::default(), texts).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().text, "A");
    say.send("b").await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().text, "B");
    drop(say);
    assert!(answers.next().await.unwrap().is_none());
}
