//! HTTP as HTTP: paths, verbs, kinds of body, who may call.

use http::Request;
use serde_json::json;

use crate::support::{start, start_with};

const GET: &str = "/pillion.state.v1.StateService/Get";

#[tokio::test]
async fn a_key_is_taken_from_the_raw_path_and_decoded_once() {
    let running = start().await;
    for (raw, key) in [
        ("a/b", "a/b"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("/a//b/", "/a//b/"),
        ("a%2Fb%252F", "a/b%2F"),
        ("%2e%2e/x", "../x"),
        ("a+b%20c", "a+b c"),
        ("%C3%A4", "ä"),
    ] {
        let reply = running.get(&format!("/v1/state/orders/{raw}")).await;
        assert_eq!(reply.text(), format!("orders/{key} for nobody"), "{raw}");
    }
    for raw in ["%FF", "a%C3", "%ED%A0%80"] {
        running.get(&format!("/v1/state/orders/{raw}")).await.assert_problem(400, "request.invalid");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let running = start().await;
    for path in ["/", "/nothing", "/v1", "/livez/", "/pillion.state.v1.StateService/Nope", "/a.B/C", "/%00"] {
        let problem = running.get(path).await.assert_problem(404, "request.unknown_method");
        assert_eq!(problem["type"], "urn:pillion:error:request.unknown_method");
    }
}

#[tokio::test]
async fn a_verb_that_is_not_there_is_told_which_are() {
    let running = start().await;
    let reply = running.post("/v1/state/orders/a", "application/json", "{}").await;
    reply.assert_problem(405, "request.method_not_allowed");
    assert_eq!(reply.header("allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
    let reply = running.get(GET).await;
    reply.assert_problem(405, "request.method_not_allowed");
    assert_eq!(reply.header("allow"), "POST, OPTIONS");

    let reply = running.http(Request::options("/livez"), "").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (204, "GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let running = start().await;
    let get = running.get("/v1/state/orders/a").await;
    let head = running.http(Request::head("/v1/state/orders/a"), "").await;
    assert_eq!((head.status, head.header("etag")), (get.status, get.header("etag")));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert!(head.body.is_empty());
    let absent = running.http(Request::head("/v1/state/orders/absent"), "").await;
    assert_eq!((absent.status.as_u16(), absent.body.len()), (404, 0));
    assert_eq!(running.http(Request::head("/v1/testing/expand/1?then=hang"), "").await.status, 200);
}

#[tokio::test]
async fn other_kinds_of_body_are_refused() {
    let running = start().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonl",
        "application/json; charset=latin1",
        "application/grpc",
        "application/protobuf",
        "",
    ] {
        running.post(GET, kind, "{}").await.assert_problem(415, "request.unsupported_media_type");
    }
    running.http(Request::post(GET), "{}").await.assert_problem(415, "request.unsupported_media_type");
    // Without a body there is nothing to name the kind of.
    assert_eq!(running.http(Request::post(GET), "").await.status, 200);

    let collect = "/pillion.testing.v1.ShapesService/Collect";
    running.post(collect, "application/json", "{}").await.assert_problem(415, "request.unsupported_media_type");

    let form = Request::put("/v1/state/orders/a").header("content-type", "application/x-www-form-urlencoded");
    running.http(form, "v=1").await.assert_problem(415, "request.unsupported_media_type");
    let any = Request::put("/v1/state/orders/a").header("content-type", "image/png");
    assert_eq!(running.http(any, "v=1").await.status, 200);
}

#[tokio::test]
async fn conditions_that_exclude_each_other_are_refused() {
    let running = start().await;
    let both = Request::put("/v1/state/orders/a").header("if-match", "\"7-x\"").header("if-none-match", "*");
    running.http(both, "x").await.assert_problem(400, "request.invalid");
    assert!(running.seen.begun.lock().unwrap().is_empty());
    for one in [("if-match", "\"7-x\""), ("if-none-match", "*")] {
        let request = Request::put("/v1/state/orders/a").header(one.0, one.1);
        assert_eq!(running.http(request, "x").await.status, 200, "{one:?}");
    }
}

/// Whatever sets it: the body, a parameter, a header.
#[tokio::test]
async fn what_sets_one_oneof_twice_is_refused() {
    let running = start().await;
    let echo = async |query: &str, paint: Option<&str>, body: &str| {
        let mut request =
            Request::post(format!("/v1/testing/echo/l{query}")).header("content-type", "application/json");
        if let Some(paint) = paint {
            request = request.header("paint", paint);
        }
        running.http(request, body.to_owned()).await
    };
    for (query, paint, body) in
        [("?text=a", Some("red"), "{}"), ("?text=a", None, r#"{"text":"b"}"#), ("", Some("red"), r#"{"text":"b"}"#)]
    {
        let problem = echo(query, paint, body).await.assert_problem(400, "request.invalid");
        assert!(problem["detail"].as_str().unwrap().contains("excludes"), "{problem}");
    }
    assert_eq!(echo("?text=a", None, "{}").await.json()["kinds"]["text"], "a");
    assert_eq!(echo("", Some("red"), r#"{"label":"x"}"#).await.status, 400);
    assert_eq!(echo("", Some("red"), "{}").await.json()["kinds"]["paint"], "COLOR_RED");
}

#[tokio::test]
async fn a_header_that_would_change_the_meaning_of_a_request_is_refused() {
    let running = start().await;
    let set = "/pillion.state.v1.StateService/Set";
    let refused = async |request: http::request::Builder, status: u16, reason: &str| {
        running.http(request, "{}").await.assert_problem(status, reason);
    };
    let put = || Request::put("/v1/state/orders/a");
    let delete = || Request::delete("/v1/state/orders/a");
    let post = || Request::post(set).header("content-type", "application/json");
    for request in [put(), delete(), post()] {
        refused(request.header("content-encoding", "gzip"), 415, "request.unsupported_media_type").await;
    }
    for coding in ["identity, gzip", "br", ""] {
        refused(put().header("content-encoding", coding), 415, "request.unsupported_media_type").await;
    }
    refused(put().header("content-range", "bytes 0-1/10"), 400, "request.invalid").await;
    for (request, name, value) in [
        (delete(), "if-none-match", "*"),
        (delete(), "if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        (put(), "if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        (post(), "if-match", "\"7-x\""),
        (post(), "idempotency-key", "a"),
    ] {
        refused(request.header(name, value), 400, "request.invalid").await;
    }
    refused(Request::put("/v1/state/orders/a?ttl=5s&ttl=6s"), 400, "request.invalid").await;
    assert!(running.seen.begun.lock().unwrap().is_empty());

    let identity = put().header("content-encoding", "identity").header("idempotency-key", "a");
    assert_eq!(running.http(identity, "x").await.status, 200);
    // A cache may ask so; the whole answer is right as well.
    let cached = Request::get("/v1/state/orders/a").header("if-none-match", "\"7-x\"");
    assert_eq!(running.http(cached, "").await.status, 200);
}

#[tokio::test]
async fn json_that_is_none_is_a_problem() {
    let running = start().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(r#"{{"kinds":{}1{}}}"#, r#"{"nested":{"inner":"#.repeat(50_000), "}}".repeat(50_000));
    for body in ["{", "[]", "nonsense", r#"{"key":1}"#, r#"{"unknown":1}"#, &deep, "\"", "{\"key\":\"\\ud800\"}"] {
        running.post(GET, "application/json", body.to_owned()).await.assert_problem(400, "request.invalid");
    }
    let echo = "/pillion.testing.v1.ShapesService/Echo";
    running.post(echo, "application/json", nested).await.assert_problem(400, "request.invalid");
    let not_utf8 = b"{\"key\":\"\xff\"}".as_slice();
    running.post(GET, "application/json", not_utf8).await.assert_problem(400, "request.invalid");
}

#[tokio::test]
async fn a_request_for_another_host_is_refused() {
    let running = start_with(None, |options| options.hosts = vec!["orders.test".into()]).await;
    for host in ["evil.example", "evil.example:34904", "localhost.evil.example"] {
        running.http(Request::get("/livez").header("host", host), "").await.assert_problem(421, "request.host_refused");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:80", "orders.test", &running.address.to_string()] {
        assert_eq!(running.http(Request::get("/livez").header("host", host), "").await.status, 200, "{host}");
    }
    for head in ["", "host: localhost\r\nhost: localhost\r\n"] {
        let answer = running.raw(format!("GET /livez HTTP/1.1\r\n{head}connection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("request.invalid"), "{answer}");
    }
    let answer = running.raw(b"GET /livez HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
}

#[tokio::test]
async fn a_page_may_call_only_if_it_was_invited() {
    let running = start_with(None, |options| options.origins = vec!["https://app.example".into()]).await;
    for origin in ["https://evil.example", "null", "http://app.example", "http://localhost:3000"] {
        let put = Request::put("/v1/state/orders/a").header("origin", origin);
        running.http(put, "x").await.assert_problem(403, "request.origin_refused");
    }
    assert!(running.seen.begun.lock().unwrap().is_empty());

    let get = running.http(Request::get("/livez").header("origin", "https://app.example"), "").await;
    assert_eq!((get.status.as_u16(), get.header("access-control-allow-origin")), (200, "https://app.example"));
    let preflight = Request::options("/v1/state/orders/a")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT");
    let preflight = running.http(preflight, "").await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    assert!(preflight.header("access-control-allow-headers").contains("if-match"));
    assert_eq!(running.get("/livez").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_wrong_context_is_refused_before_the_call() {
    let running = start().await;
    for (name, value) in [("pillion-timeout", "soon"), ("grpc-timeout", "1")] {
        let request = Request::get("/v1/state/orders/a").header(name, value);
        running.http(request, "").await.assert_problem(400, "request.invalid");
    }
    let request = Request::get("/v1/state/orders/a").header("pillion-app-id", "a").header("pillion-app-id", "b");
    running.http(request, "").await.assert_problem(400, "request.invalid");
    running.get("/v1/state/orders/a?tll=5s").await.assert_problem(400, "request.invalid");
    assert!(running.seen.begun.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_call_without_its_token_is_told_how_to_bring_it() {
    let running = start_with(Some("secret"), |_| {}).await;
    let reply = running.get("/v1/state/orders/a").await;
    reply.assert_problem(401, "request.unauthenticated");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    let request = Request::get("/v1/state/orders/a").header("authorization", "Bearer secret");
    assert_eq!(running.http(request, "").await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = start().await;
    let one = |key: &str| format!("GET /v1/state/o/{key} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let last = "GET /v1/state/o/c HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = running.raw(format!("{}{}{last}", one("a"), one("b")).as_bytes()).await;
    let keys: Vec<_> = answer.matches("o/").count().to_string().chars().collect();
    assert_eq!(keys, ['3'], "{answer}");
    let places: Vec<_> = ["o/a for", "o/b for", "o/c for"].iter().map(|key| answer.find(key).unwrap()).collect();
    assert!(places.is_sorted());
    assert_eq!(json!(places.len()), json!(3));
}
