//! The same calls over gRPC, RPC-style HTTP, REST-shaped HTTP and a Unix socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Request;
use pillion_proto::grpc::client::{ActuatorClient, StateClient};
use pillion_proto::state::v1::{Entry, GetRequest, GetResponse, SetRequest};
use pillion_proto::{ActuatorApi as _, Cx, Reason, StateApi as _, StateMock};
use serde_json::json;

use crate::support::{start, start_with};

fn get(key: &str) -> GetRequest {
    GetRequest { store: "orders".into(), key: key.into(), ..Default::default() }
}

#[tokio::test]
async fn a_call_is_answered_over_grpc() {
    let running = start().await;
    let state = StateClient::new(Arc::new(running.channel().await), 4 << 20);
    let answer = state.get(&Cx::default().for_app("billing"), get("a")).await.unwrap();
    let entry = answer.entry.unwrap();
    assert_eq!(entry.value.unwrap().data, "orders/a for billing");
    assert_eq!(entry.etag, "7-x");
}

#[tokio::test]
async fn an_error_is_whole_over_grpc() {
    let running = start().await;
    let state = StateClient::new(Arc::new(running.channel().await), 4 << 20);
    let request = SetRequest { store: "orders".into(), key: "taken".into(), ..Default::default() };
    let error = state.set(&Cx::default(), request).await.unwrap_err();
    assert!(error.is(Reason::StateKeyExists));
    assert_eq!(error.message(), "somebody was first");
}

#[tokio::test]
async fn a_call_is_answered_as_a_resource() {
    let running = start().await;
    let reply = running.http(Request::get("/v1/state/orders/a").header("pillion-app-id", "billing"), "").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "orders/a for billing"));
    assert_eq!(reply.header("etag"), "\"7-x\"");
    assert_eq!(reply.header("content-type"), "text/plain");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("content-security-policy"), "sandbox");

    let put = running.http(Request::put("/v1/state/orders/a?ttl=5s"), "12345").await;
    assert_eq!((put.status.as_u16(), put.header("etag")), (200, "\"5\""));

    running.get("/v1/state/orders/absent").await.assert_problem(404, "state.key_not_found");
}

#[tokio::test]
async fn a_call_is_answered_rpc_style() {
    let running = start().await;
    let path = "/pillion.state.v1.StateService/Get";
    let reply = running.post(path, "application/json; charset=UTF-8", r#"{"store":"orders","key":"a"}"#).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["entry"]["etag"], "7-x");

    let absent = running.post(path, "application/json", r#"{"key":"absent"}"#).await;
    assert_eq!((absent.status.as_u16(), absent.json()), (200, json!({})));

    let path = "/pillion.state.v1.StateService/Set";
    let problem = running.post(path, "application/json", r#"{"key":"taken"}"#).await;
    let problem = problem.assert_problem(412, "state.key_exists");
    assert_eq!(problem["outcome"], "rejected");
}

#[tokio::test]
async fn the_actuator_answers_at_its_well_known_paths() {
    let running = start().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(running.get(path).await.status, 200, "{path}");
    }
    let metrics = running.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text");
    assert_eq!(running.get("/v1/status").await.json()["version"], "1.2.3");
    let openapi = running.get("/openapi.json").await.json();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"), "{openapi}");
    let actuator = ActuatorClient::new(Arc::new(running.channel().await), 4 << 20);
    assert_eq!(actuator.get_status(&Cx::default(), Default::default()).await.unwrap().version, "1.2.3");
}

#[tokio::test]
async fn connections_are_spread_evenly() {
    let running = start_with(None, |options| {
        options.workers = 3;
        options.apis.state = Arc::new(StateMock::default().on_get(|_, _| {
            let entry = Entry { key: std::thread::current().name().unwrap().into(), ..Default::default() };
            Ok(GetResponse { entry: Some(entry) })
        }));
    })
    .await;
    let mut served = BTreeMap::new();
    let mut open = Vec::new();
    for _ in 0..6 {
        let channel = running.channel().await;
        let state = StateClient::new(Arc::new(channel.clone()), 4 << 20);
        let thread = state.get(&Cx::default(), get("a")).await.unwrap().entry.unwrap().key;
        *served.entry(thread).or_insert(0) += 1;
        open.push(channel);
    }
    let expected = ["pillion-worker-0", "pillion-worker-1", "pillion-worker-2"];
    assert_eq!(served, expected.map(|thread| (thread.to_owned(), 2)).into());
}

/// The hooks catch panics; here there are none, so it is the server's turn.
#[tokio::test]
async fn a_panic_outside_every_boundary_costs_one_call() {
    let running = start_with(None, |options| {
        options.apis.state = Arc::new(StateMock::default().on_get(|_, request| match request.key.as_str() {
            "panic" => panic!("as asked"),
            _ => Ok(GetResponse::default()),
        }));
    })
    .await;
    let state = StateClient::new(Arc::new(running.channel().await), 4 << 20);
    let error = state.get(&Cx::default(), get("panic")).await.unwrap_err();
    assert!(error.is(Reason::RuntimePanic), "{error:?}");
    state.get(&Cx::default(), get("a")).await.unwrap();

    running.get("/v1/state/o/panic").await.assert_problem(500, "runtime.panic");
    let both = b"GET /v1/state/o/panic HTTP/1.1\r\nhost: localhost\r\n\r\n\
        GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answers = running.raw(both).await;
    assert_eq!((answers.matches("HTTP/1.1 500").count(), answers.matches("HTTP/1.1 200").count()), (1, 1), "{answers}");
}

#[tokio::test]
async fn many_calls_on_many_connections_and_workers_are_answered() {
    let running = start_with(None, |options| options.workers = 3).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let state = Arc::new(StateClient::new(Arc::new(running.channel().await), 4 << 20));
        for call in 0..40 {
            let state = state.clone();
            calls.spawn(async move {
                let key = format!("k{call}");
                let answer = state.get(&Cx::default(), get(&key)).await.unwrap();
                assert_eq!(answer.entry.unwrap().key, key);
            });
        }
    }
    assert_eq!(calls.join_all().await.len(), 320);
}
