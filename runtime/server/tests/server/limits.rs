//! Too much, too slow, or nonsense: each has its answer, and nothing else suffers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use pillion_proto::grpc::client::{ShapesClient, StateClient};
use pillion_proto::state::v1::{GetRequest, SetRequest};
use pillion_proto::testing::v1::CollectRequest;
use pillion_proto::testing::v1::collect_request::Part;
use pillion_proto::{Cx, Events, Reason, ShapesApi as _, StateApi as _};
use tokio::io::AsyncWriteExt;
use tonic::Code;

use crate::support::{Running, rest, start, start_with};

const SET: &str = "/pillion.state.v1.StateService/Set";

fn set(size: usize) -> SetRequest {
    let value = pillion_proto::common::v1::Value { data: vec![b'x'; size].into(), ..Default::default() };
    SetRequest { key: "a".into(), value: Some(value), ..Default::default() }
}

async fn assert_alive(running: &Running) {
    assert_eq!(running.get("/livez").await.status, 200);
    let state = StateClient::new(Arc::new(running.channel().await), 4 << 20);
    state.get(&Cx::default(), GetRequest { key: "a".into(), ..Default::default() }).await.unwrap();
}

/// Calls a method over a connection of its own; see [`grpc_over`].
pub async fn grpc(running: &Running, path: &str, headers: &[(&str, &str)], body: &[u8]) -> tonic::Status {
    grpc_over(&mut http2(running).await, path, headers, body).await
}

/// A connection that speaks HTTP/2.
pub async fn http2(running: &Running) -> h2::client::SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(running.connect().await).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Calls a method over HTTP/2 with these bytes as its body; gives the status and its details.
pub async fn grpc_over(
    client: &mut h2::client::SendRequest<Bytes>,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> tonic::Status {
    let mut request = Request::post(format!("http://localhost{path}")).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (answer, mut send) = client.send_request(request.body(()).unwrap(), body.is_empty()).unwrap();
    if !body.is_empty() {
        send.send_data(Bytes::copy_from_slice(body), true).unwrap();
    }
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    if let Some(status) = tonic::Status::from_header_map(answer.headers()) {
        return status;
    }
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        let length = data.unwrap().len();
        let _ = body.flow_control().release_capacity(length);
    }
    tonic::Status::from_header_map(&body.trailers().await.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_with_its_size() {
    let running = start_with(None, |options| options.limits.message = 1000).await;
    let state = StateClient::new(Arc::new(running.channel().await), 4 << 20);
    // The message has a few bytes beside the value.
    state.set(&Cx::default(), set(980)).await.unwrap();
    let error = state.set(&Cx::default(), set(2000)).await.unwrap_err();
    assert!(error.is(Reason::RequestTooLarge), "{error:?}");
    assert_eq!((error.detail("limit"), error.detail("size")), (Some("1000"), Some("2009")));
    assert_eq!(tonic::Status::from(error).code(), Code::ResourceExhausted);

    let http = running.post(SET, "application/json", vec![b' '; 1001]).await;
    http.assert_problem(413, "request.too_large");
    running.http(Request::put("/v1/state/o/a"), vec![b'x'; 1001]).await.assert_problem(413, "request.too_large");
    assert_eq!(running.http(Request::put("/v1/state/o/a"), vec![b'x'; 1000]).await.status, 200);
}

/// The same answer, whoever asks how.
#[tokio::test]
async fn an_answer_above_the_limit_is_refused_with_our_own_reason() {
    let running = start_with(None, |options| options.limits.answer = 1000).await;
    let get = |size: usize| GetRequest { key: "k".repeat(size), ..Default::default() };
    let state = StateClient::new(Arc::new(running.channel().await), 4 << 20);
    // The answer holds the key twice.
    state.get(&Cx::default(), get(400)).await.unwrap();
    let error = state.get(&Cx::default(), get(600)).await.unwrap_err();
    assert!(error.is(Reason::RequestAnswerTooLarge), "{error:?}");
    assert_eq!(error.detail("limit"), Some("1000"));
    assert!(error.advice_text().contains("limits.answer"), "{error:?}");
    assert_eq!(tonic::Status::from(error).code(), Code::ResourceExhausted);

    let raw = async |size: usize| running.get(&format!("/v1/state/o/{}", "k".repeat(size))).await;
    assert_eq!(raw(900).await.status, 200);
    raw(1001).await.assert_problem(413, "request.answer_too_large");
    let json = serde_json::json!({ "key": "k".repeat(4000) }).to_string();
    let json = running.post("/pillion.state.v1.StateService/Get", "application/json", json).await;
    json.assert_problem(413, "request.answer_too_large");
    // An answer to a write is not refused: the write was made.
    let key = "k".repeat(2000);
    assert_eq!(running.http(Request::put(format!("/v1/state/o/{key}")), "x").await.status, 200);
}

#[tokio::test]
async fn a_message_of_a_stream_above_the_limit_ends_the_upload() {
    let running = start_with(None, |options| options.limits.message = 1000).await;
    let shapes = ShapesClient::new(Arc::new(running.channel().await), 4 << 20);
    let chunk = |size: usize| CollectRequest { part: Some(Part::Chunk(vec![b'x'; size].into())) };
    let whole = shapes.collect(&Cx::default(), Events::from_vec(vec![chunk(900), chunk(900)])).await.unwrap();
    assert_eq!(whole.received, 1800);
    let error = shapes.collect(&Cx::default(), Events::from_vec(vec![chunk(900), chunk(1001)])).await.unwrap_err();
    assert!(error.is(Reason::RequestTooLarge), "{error:?}");
    assert_eq!(*running.seen.uploads.lock().unwrap(), ["1800", "request.too_large"]);
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn a_hundred_mebibytes_are_refused_without_being_kept() {
    let running = start().await;
    let message = Bytes::from(vec![b'x'; 100 << 20]);
    let before = resident();

    // Over HTTP, told at the beginning.
    let head = format!("PUT /v1/state/o/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", message.len());
    let mut stream = running.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(&message).await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("request.too_large"), "{answer}");

    // Over HTTP, found out on the way: without a length.
    let mut stream = running.connect().await;
    let head = "PUT /v1/state/o/a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n6400000\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(&message).await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("request.too_large"), "{answer}");

    // Over gRPC.
    let mut framed = vec![0];
    framed.extend_from_slice(&(100_u32 << 20).to_be_bytes());
    framed.extend_from_slice(&message);
    let status = grpc(&running, SET, &[], &framed).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the message has 104857600 bytes; the limit is 4194304");
    drop(framed);

    assert_alive(&running).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes were kept");
}

/// On other systems than Linux a reset would even take the answer away that was sent before it.
#[tokio::test]
async fn who_is_answered_while_still_sending_is_not_cut_off() {
    let running = start().await;
    let mut stream = running.connect().await;
    let body = vec![b'x'; 16 << 20];
    let head = format!("PUT /v1/state/o/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_method_that_is_not_there_is_named() {
    let running = start().await;
    for (path, text) in [
        ("/pillion.state.v1.StateService/Nope", "unknown method Nope for service pillion.state.v1.StateService"),
        ("/x.y.Z/Get", "unknown service x.y.Z"),
        ("/x", "malformed method name: \"/x\""),
    ] {
        let status = grpc(&running, path, &[], b"\0\0\0\0\0").await;
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, text));
        assert!(!status.details().is_empty());
    }
}

#[tokio::test]
async fn a_message_that_is_none_is_the_callers_fault() {
    let running = start().await;
    for (what, body) in [
        ("nothing", &b""[..]),
        ("half a prefix", b"\0\0"),
        ("half a message", b"\0\0\0\0\x09\x0a"),
        ("no protobuf", b"\0\0\0\0\x02\xff\xff"),
        ("text that is none", b"\0\0\0\0\x03\x12\x01\xff"),
    ] {
        let status = grpc(&running, "/pillion.state.v1.StateService/Get", &[], body).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        assert!(!status.details().is_empty(), "{what}: {status:?}");
    }
    assert_alive(&running).await;
}

#[tokio::test]
async fn hosts_and_origins_are_judged_over_grpc_too() {
    let running = start().await;
    let (path, get) = ("/pillion.state.v1.StateService/Get", b"\0\0\0\0\x03\x12\x01a");
    let page = grpc(&running, path, &[("origin", "https://evil.example")], get).await;
    assert_eq!(page.code(), Code::PermissionDenied);
    let foreign = grpc(&running, path, &[("host", "evil.example")], get).await;
    assert_eq!(
        (foreign.code(), foreign.message()),
        (Code::PermissionDenied, "this runtime is not called \"evil.example\"")
    );

    let channel = tonic::transport::Channel::from_shared(format!("http://{}", running.address)).unwrap();
    let channel = channel.origin("http://evil.example".parse().unwrap()).connect().await.unwrap();
    let state = StateClient::new(Arc::new(channel), 4 << 20);
    let error = state.get(&Cx::default(), GetRequest { key: "a".into(), ..Default::default() }).await.unwrap_err();
    assert!(error.is(Reason::RequestHostRefused), "{error:?}");
    assert!(running.seen.begun.lock().unwrap().is_empty());
}

#[tokio::test]
async fn ten_thousand_headers_are_refused() {
    let running = start().await;
    let headers: String = (0..10_000).map(|index| format!("x-{index}: {index}\r\n")).collect();
    let answer = running.raw(format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    // Few and long.
    let long = "x".repeat(17 << 10);
    let answer = running.raw(format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    // Over HTTP/2, where a server may refuse the stream or the connection.
    let (mut client, connection) = h2::client::handshake(running.connect().await).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post("http://localhost/pillion.state.v1.StateService/Get");
    for index in 0..10_000 {
        request = request.header(format!("x-{index}"), "1");
    }
    match client.send_request(request.body(()).unwrap(), true).unwrap().0.await {
        Ok(answer) => assert_eq!(answer.status(), 431),
        Err(error) => assert!(error.is_go_away() || error.is_reset() || error.is_io(), "{error:?}"),
    }
    connection.abort();

    // A hundred and one small ones pass every limit in bytes.
    let headers: Vec<_> = (0..101).map(|index| format!("x-{index}")).collect();
    let headers: Vec<_> = headers.iter().map(|name| (name.as_str(), "1")).collect();
    let status = grpc(&running, "/pillion.state.v1.StateService/Get", &headers, b"\0\0\0\0\x03\x12\x01a").await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_alive(&running).await;
}

/// Decision 9: such a head never becomes a request, so hyper answers it.
#[tokio::test]
async fn what_is_refused_before_it_is_a_request_has_its_status_and_no_body() {
    let running = start().await;
    let long = "x".repeat(17 << 10);
    for (request, status) in [
        (format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"), "431"),
        ("GET /livez HTTP/1.1\r\nhost: localhost\r\nx y: z\r\n\r\n".to_owned(), "400"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = running.raw(request.as_bytes()).await.to_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
        assert!(answer.contains("connection: close") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    assert_alive(&running).await;
}

#[tokio::test]
async fn random_bytes_end_the_connection_and_nothing_else() {
    let running = start_with(None, |options| {
        options.deadlines.first_bytes = Duration::from_millis(100);
        options.deadlines.header = Duration::from_millis(100);
    })
    .await;
    // A fixed sequence, so that a failure can be repeated: xorshift.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..200 {
        let mut bytes = Vec::new();
        for _ in 0..40 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        let mut sent = match round % 4 {
            0 => Vec::new(),
            1 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            // A valid, empty SETTINGS frame, and then nonsense.
            2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            _ => b"GET / HTTP/1.1\r\n".to_vec(),
        };
        sent.extend_from_slice(&bytes);
        let mut stream = running.connect().await;
        let _ = stream.write_all(&sent).await;
        let _ = stream.shutdown().await;
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    }
    assert_alive(&running).await;
}

#[tokio::test]
async fn who_falls_silent_is_not_waited_for() {
    let short = Duration::from_millis(50);
    let running = start_with(None, |options| {
        options.deadlines.first_bytes = short;
        options.deadlines.header = short;
        options.deadlines.body = short;
    })
    .await;
    let post = "PUT /v1/state/o/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n123";
    for (sent, answer) in
        [("", ""), ("PRI * HTT", ""), ("G", ""), ("GET /livez HTTP/1.1\r\nhost: loc", ""), (post, "request.invalid")]
    {
        let mut stream = running.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answered = rest(&mut stream).await;
        assert!(answered.contains(answer) && (answer.is_empty() == answered.is_empty()), "{sent:?}: {answered:?}");
    }
    // A gRPC message that stops in the middle; its connection goes on.
    let (mut client, connection) = h2::client::handshake(running.connect().await).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://localhost{SET}")).header("content-type", "application/grpc");
    let (answer, mut send) = client.send_request(request.body(()).unwrap(), false).unwrap();
    send.send_data(Bytes::from_static(b"\0\0\0\0\x09\x12"), false).unwrap();
    let answer = answer.await.unwrap();
    let status = tonic::Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_alive(&running).await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_a_ping_is_let_go() {
    let running = start_with(None, |options| {
        options.deadlines.ping = Duration::from_millis(50);
        options.deadlines.pong = Duration::from_millis(50);
    })
    .await;
    let mut stream = running.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    // It reads what comes and never answers.
    rest(&mut stream).await;
}

#[tokio::test]
async fn a_peer_that_takes_no_answer_is_let_go() {
    let running = start_with(None, |options| options.deadlines.write = Duration::from_millis(100)).await;
    let mut stream = running.connect().await;
    // Answers without end, of which it reads none.
    let request = "GET /v1/testing/expand/2000000000 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    running.seen.until(|seen| seen.endings.lock().unwrap().contains(&"shapes.expand dropped".to_owned())).await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_in_its_own_protocol() {
    let running = start_with(None, |options| options.limits.connections = 2).await;
    let held = [running.connect().await, running.connect().await];
    while running.server.connections() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let answer = running.raw(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("request.overloaded"), "{answer}");

    let (client, connection) = h2::client::handshake(running.connect().await).await.unwrap();
    let error = connection.await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
    drop((client, held));
    while running.server.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_alive(&running).await;
}

#[tokio::test]
async fn two_hundred_calls_are_in_flight_on_one_connection() {
    let running = start().await;
    let channel = running.channel().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let shapes = ShapesClient::new(Arc::new(channel.clone()), 4 << 20);
        let expand = pillion_proto::testing::v1::ExpandRequest {
            count: 1,
            then: pillion_proto::testing::v1::expand_request::Then::Hang.into(),
            ..Default::default()
        };
        calls.spawn(async move {
            let mut events = shapes.expand(&Cx::default(), expand).await.unwrap();
            assert_eq!(events.next().await.unwrap().unwrap().index, 0);
            events
        });
    }
    let open = calls.join_all().await;
    assert_eq!((open.len(), running.server.calls()), (200, 200));
    drop(open);
    running.seen.until(|seen| seen.endings.lock().unwrap().len() == 200).await;
    while running.server.calls() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_they_are_opened_cost_nobody_else() {
    let running = start().await;
    let (client, connection) = h2::client::handshake(running.connect().await).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    for _ in 0..20_000 {
        let request = Request::post("http://localhost/pillion.testing.v1.ShapesService/Collect")
            .header("content-type", "application/grpc");
        // The server may have had enough of this connection.
        let Ok((answer, mut body)) = client.send_request(request.body(()).unwrap(), false) else { break };
        body.send_reset(h2::Reason::CANCEL);
        drop(answer);
        let Ok(ready) = client.ready().await else { break };
        client = ready;
    }
    assert_alive(&running).await;
    connection.abort();
    running.server.drain(Duration::from_secs(10)).await;
    let (begun, ended) = (running.seen.begun.lock().unwrap().len(), running.seen.endings.lock().unwrap().len());
    assert_eq!(begun, ended, "calls were left behind");
}
