//! A compatibility door: its services stand beside ours and keep their own answers.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use pillion_server::{At, Door, GateKind, surface};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;

use crate::limits::{grpc, grpc_over, http2};
use crate::support::{options, start_with};

/// `other.v1.Mirror/Show` gives back what it gets; `Hide` is described and not served.
#[derive(Clone)]
struct Mirror;

struct Show;

impl UnaryService<HealthCheckRequest> for Show {
    type Response = HealthCheckRequest;
    type Future = std::future::Ready<Result<Response<HealthCheckRequest>, Status>>;

    fn call(&mut self, request: Request<HealthCheckRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl NamedService for Mirror {
    const NAME: &'static str = "other.v1.Mirror";
}

impl tower::Service<http::Request<tonic::body::Body>> for Mirror {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        assert!(!request.headers().contains_key("panic-at-once"), "as asked");
        Box::pin(async move {
            assert!(!request.headers().contains_key("panic"), "as asked");
            let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
            Ok(Grpc::new(codec).max_decoding_message_size(usize::MAX).unary(Show, request).await)
        })
    }
}

fn door() -> Door {
    let method = |name: &str| MethodDescriptorProto { name: Some(name.into()), ..Default::default() };
    let service = ServiceDescriptorProto {
        name: Some("Mirror".into()),
        method: vec![method("Show"), method("Hide")],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("other.proto".into()),
        package: Some("other.v1".into()),
        service: vec![service],
        ..Default::default()
    };
    let descriptors = FileDescriptorSet { file: vec![file] }.encode_to_vec();
    Door::new("other", descriptors.leak(), |routes| {
        routes.add_service(Mirror);
    })
    .too_large(|size, limit| Status::resource_exhausted(format!("larger than max ({size} vs. {limit})")))
}

#[tokio::test]
async fn a_door_answers_in_its_own_words() {
    let running = start_with(None, |options| {
        options.doors.push(door());
        options.limits.message = 1000;
    })
    .await;
    // "hi" as field 1.
    let status = grpc(&running, "/other.v1.Mirror/Show", &[], b"\0\0\0\0\x04\x0a\x02hi").await;
    assert_eq!(status.code(), Code::Ok);

    let mut large = vec![0, 0, 0, 0x07, 0xd3, 0x0a, 0xd0, 0x0f];
    large.extend_from_slice(&Bytes::from(vec![b'x'; 2000]));
    let status = grpc(&running, "/other.v1.Mirror/Show", &[], &large).await;
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "larger than max (2003 vs. 1000)"));

    let status = grpc(&running, "/other.v1.Mirror/Nope", &[], b"\0\0\0\0\0").await;
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unimplemented, "unknown method Nope for service other.v1.Mirror")
    );
    // What its codec says of bytes that are no message stays as it is.
    let status = grpc(&running, "/other.v1.Mirror/Show", &[], b"\0\0\0\0\x02\xff\xff").await;
    assert_eq!(status.code(), Code::Internal);
    assert!(status.details().is_empty());
}

#[tokio::test]
async fn a_panic_in_a_door_ends_only_its_call() {
    let running = start_with(None, |options| options.doors.push(door())).await;
    let mut client = http2(&running).await;
    for header in ["panic", "panic-at-once"] {
        let status = grpc_over(&mut client, "/other.v1.Mirror/Show", &[(header, "1")], b"\0\0\0\0\0").await;
        assert_eq!((status.code(), status.message()), (Code::Internal, "the request ended by a panic"), "{header}");
        let status = grpc_over(&mut client, "/other.v1.Mirror/Show", &[], b"\0\0\0\0\0").await;
        assert_eq!(status.code(), Code::Ok, "on the same connection");
    }
}

#[tokio::test]
async fn a_door_is_healthy_exposed_and_reflected_by_its_descriptors() {
    let running = start_with(None, |options| options.doors.push(door())).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(running.channel().await);
    let request = HealthCheckRequest { service: "other.v1.Mirror".into() };
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);

    let mut options = options(&running.seen, None);
    options.doors.push(door());
    let exposed = surface(&options).unwrap();
    let show = exposed.iter().find(|entry| entry.at == At::Grpc("/other.v1.Mirror/Show".into())).unwrap();
    assert_eq!((show.operation, show.gate, show.access), ("other", GateKind::Door, None));
}
