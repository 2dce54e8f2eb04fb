//! What every server has beside the APIs: health, reflection, and the list of what it exposes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use http::Request;
use pillion_proto::actuator::v1::{CheckLiveResponse, CheckReadyResponse};
use pillion_proto::{Access, ActuatorMock, Error, Reason, TestingMock};
use pillion_server::{At, Door, GateKind, surface};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha;

use crate::support::{Seen, options, start, start_with};

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: name.into() }
}

#[tokio::test]
async fn health_is_readiness_of_the_whole_and_of_each_service() {
    let ready = Arc::new(AtomicBool::new(false));
    let running = start_with(None, |options| {
        let ready = ready.clone();
        options.apis.actuator =
            Arc::new(ActuatorMock::default().on_check_live(|_, _| Ok(CheckLiveResponse {})).on_check_ready(
                move |_, _| match ready.load(Ordering::Relaxed) {
                    true => Ok(CheckReadyResponse {}),
                    false => Err(Error::new(Reason::ActuatorNotReady, "not yet")),
                },
            ));
    })
    .await;
    let mut health = HealthClient::new(running.channel().await);
    let mut check = async |name| health.check(service(name)).await.map(|answer| answer.into_inner().status());
    assert_eq!(check("").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check("pillion.state.v1.StateService").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check("liveness").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check("nope").await.unwrap_err().code(), Code::NotFound);
    ready.store(true, Ordering::Relaxed);
    assert_eq!(check("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check("readiness").await.unwrap(), ServingStatus::Serving);
}

#[tokio::test]
async fn watched_health_tells_changes() {
    let ready = Arc::new(AtomicBool::new(false));
    let running = start_with(None, |options| {
        let ready = ready.clone();
        options.apis.actuator =
            Arc::new(ActuatorMock::default().on_check_ready(move |_, _| match ready.load(Ordering::Relaxed) {
                true => Ok(CheckReadyResponse {}),
                false => Err(Error::new(Reason::ActuatorNotReady, "not yet")),
            }));
    })
    .await;
    let mut health = HealthClient::new(running.channel().await);
    let mut changes = health.watch(service("")).await.unwrap().into_inner();
    assert_eq!(changes.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    ready.store(true, Ordering::Relaxed);
    assert_eq!(changes.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut unknown = health.watch(service("nope")).await.unwrap().into_inner();
    assert_eq!(unknown.next().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
}

#[tokio::test]
async fn reflection_names_every_service_and_gives_their_files() {
    let running = start().await;
    let mut client = ServerReflectionClient::new(running.channel().await);
    let mut ask = async |request| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
        answers.next().await.unwrap().unwrap().message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await else {
        panic!("no list");
    };
    let names: BTreeSet<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["pillion.state.v1.StateService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(names.contains(name), "{names:?}");
    }
    let symbol = MessageRequest::FileContainingSymbol("pillion.state.v1.StateService".into());
    assert!(matches!(ask(symbol).await, MessageResponse::FileDescriptorResponse(_)));
}

#[tokio::test]
async fn reflection_is_judged_by_the_hooks_in_both_versions() {
    let running = start_with(Some("secret"), |_| {}).await;
    let channel = running.channel().await;
    let error = ServerReflectionClient::new(channel.clone())
        .server_reflection_info(tokio_stream::iter([ServerReflectionRequest::default()]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    let error = v1alpha::server_reflection_client::ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([v1alpha::ServerReflectionRequest::default()]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    running.get("/openapi.json").await.assert_problem(401, "request.unauthenticated");
    let allowed = Request::get("/openapi.json").header("authorization", "Bearer secret");
    assert_eq!(running.http(allowed, "").await.status, 200);
    assert!(running.seen.endings.lock().unwrap().contains(&"server.get_openapi ok".to_owned()));
}

#[tokio::test]
async fn everything_exposed_but_the_public_list_needs_a_token() {
    const PUBLIC: [&str; 6] = [
        "gRPC /grpc.health.v1.Health/Check",
        "gRPC /grpc.health.v1.Health/Watch",
        "gRPC /pillion.actuator.v1.ActuatorService/CheckLive",
        "gRPC /pillion.actuator.v1.ActuatorService/CheckReady",
        "GET /livez",
        "GET /readyz",
    ];
    const PUBLIC_RPC: [&str; 2] =
        ["POST /pillion.actuator.v1.ActuatorService/CheckLive", "POST /pillion.actuator.v1.ActuatorService/CheckReady"];
    let exposed = surface(&options(&Arc::new(Seen::default()), None)).unwrap();
    assert!(exposed.len() > 30, "{}", exposed.len());
    let running = start_with(Some("secret"), |_| {}).await;
    for entry in &exposed {
        let name = entry.at.to_string();
        let public = PUBLIC.contains(&name.as_str()) || PUBLIC_RPC.contains(&name.as_str());
        assert_eq!(entry.access == Some(Access::Public), public, "{name}");
        let refused = match &entry.at {
            At::Http(verb, path) => {
                let path = path.replace("{count}", "1").replace("{*key}", "a").replace(['{', '}'], "");
                let reply = running.http(Request::builder().method(verb.as_str()).uri(path), "").await;
                reply.status == 401
            }
            At::Grpc(path) => {
                let mut client = tonic::client::Grpc::new(running.channel().await);
                client.ready().await.unwrap();
                let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
                let path = path.parse().unwrap();
                let request = tonic::Request::new(tokio_stream::iter([HealthCheckRequest::default()]));
                let answer = client.streaming(request, path, codec).await;
                answer.err().is_some_and(|status| status.code() == Code::Unauthenticated)
            }
        };
        assert_eq!(refused, !public, "{name}");
    }
}

#[tokio::test]
async fn the_test_kit_is_on_no_socket() {
    const FAIL: &str = "/pillion.testing.v1.TestingService/Fail";
    let running = start_with(None, |options| options.apis.testing = Some(Arc::new(TestingMock::default()))).await;
    let exposed = surface(&options(&Arc::new(Seen::default()), None)).unwrap();
    assert!(exposed.iter().all(|entry| !entry.at.to_string().contains("TestingService")), "{exposed:?}");
    running.http(Request::post(FAIL), "{}").await.assert_problem(404, "request.unknown_method");

    let channel = running.channel().await;
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
    let answer = client.unary(tonic::Request::new(service("")), FAIL.parse().unwrap(), codec).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);

    let symbol = MessageRequest::FileContainingSymbol("pillion.testing.v1.TestingService".into());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(symbol) };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::iter([request])).await;
    assert_eq!(answers.unwrap().into_inner().next().await.unwrap().unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_door_is_exposed_by_its_descriptors() {
    let mut options = options(&Arc::new(Seen::default()), None);
    let without = surface(&options).unwrap();
    options.doors.push(Door::new("other", tonic_health::pb::FILE_DESCRIPTOR_SET, |_| {}));
    // What the server has already stays its own.
    assert_eq!(surface(&options).unwrap(), without);

    options.doors = vec![Door::new("broken", b"nonsense", |_| {})];
    let error = surface(&options).unwrap_err().to_string();
    assert!(error.contains("broken"), "{error}");
    assert!(without.iter().any(|entry| entry.gate == GateKind::Server));
}
