//! The gRPC services that every server has: health and reflection.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use pillion_proto::actuator::v1::{CheckLiveRequest, CheckReadyRequest};
use pillion_proto::{Access, Apis, CallInfo, Cx, METHODS as NATIVE, Shape};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::reflection;
use super::table::Judge;
use crate::deadline;
use crate::drain::draining;
use crate::options::Door;

/// How often a watched health is looked at.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Describes a method of the server's own, which stands in no table of methods: its index is the
/// first one after them.
macro_rules! own {
    ($service:literal, $method:literal, $operation:literal, $access:ident, $shape:ident) => {
        CallInfo {
            service: $service,
            method: $method,
            path: concat!("/", $service, "/", $method),
            operation: $operation,
            block: "server",
            access: Access::$access,
            idempotent: true,
            shape: Shape::$shape,
            index: NATIVE.len(),
        }
    };
}

static CHECK: CallInfo = own!("grpc.health.v1.Health", "Check", "server.check_health", Public, Unary);
static WATCH: CallInfo = own!("grpc.health.v1.Health", "Watch", "server.watch_health", Public, ServerStream);
static REFLECT: CallInfo =
    own!("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", "server.reflect", Read, Duplex);
static REFLECT_ALPHA: CallInfo =
    own!("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", "server.reflect", Read, Duplex);

/// `GET /openapi.json`.
pub(crate) static OPENAPI: CallInfo = CallInfo {
    service: "",
    method: "GetOpenapi",
    path: "/openapi.json",
    operation: "server.get_openapi",
    block: "server",
    access: Access::Read,
    idempotent: true,
    shape: Shape::Unary,
    index: NATIVE.len(),
};

pub(crate) static METHODS: &[&CallInfo] = &[&CHECK, &WATCH, &REFLECT, &REFLECT_ALPHA];

/// Health becomes calls of the actuator API, which the hooks judge there.
pub(crate) fn judge(info: &'static CallInfo) -> Judge {
    if info.access == Access::Public { Judge::Apis(info) } else { Judge::Server(info) }
}

/// Adds the services.
pub(crate) fn mount(
    apis: &Apis,
    doors: &[Door],
    services: &[String],
    drain: CancellationToken,
    routes: &mut RoutesBuilder,
) {
    routes.add_service(HealthServer::new(Prober { apis: apis.clone(), services: services.into(), drain }));
    reflection::mount(doors, routes);
}

/// `grpc.health.v1`: the empty name and every service stand for readiness, `liveness` for liveness.
#[derive(Clone)]
struct Prober {
    apis: Apis,
    services: std::sync::Arc<[String]>,
    drain: CancellationToken,
}

impl Prober {
    /// `None`: there is no such service.
    async fn probe(&self, cx: &Cx, service: &str) -> Option<ServingStatus> {
        let serves = match service {
            "liveness" => self.apis.actuator.check_live(cx, CheckLiveRequest {}).await.is_ok(),
            "" | "readiness" => self.is_ready(cx).await,
            name if self.services.iter().any(|service| service == name) => self.is_ready(cx).await,
            _ => return None,
        };
        Some(if serves { ServingStatus::Serving } else { ServingStatus::NotServing })
    }

    async fn is_ready(&self, cx: &Cx) -> bool {
        !self.drain.is_cancelled() && self.apis.actuator.check_ready(cx, CheckReadyRequest {}).await.is_ok()
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// What a watch goes through.
enum Watching {
    /// Look, and tell if it is other than this.
    Look(Option<ServingStatus>),
    /// The server stops: everything was said.
    End,
}

#[tonic::async_trait]
impl Health for Prober {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let cx = pillion_proto::grpc::server::context(&request)?;
        let service = request.into_inner().service;
        match self.probe(&cx, &service).await {
            Some(status) => Ok(Response::new(answer(status))),
            None => Err(Status::not_found(format!("unknown service {service}"))),
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let cx = pillion_proto::grpc::server::context(&request)?;
        // The deadline is of the watch, not of one look.
        let ends_in = cx.remaining();
        let cx = Cx { deadline: None, ..cx };
        let service = request.into_inner().service;
        let prober = self.clone();
        let changes = stream::unfold(Watching::Look(None), move |state| {
            let (prober, cx, service) = (prober.clone(), cx.clone(), service.clone());
            async move {
                let Watching::Look(told) = state else { return None };
                loop {
                    let found = prober.probe(&cx, &service).await.unwrap_or(ServingStatus::ServiceUnknown);
                    if Some(found) != told {
                        return Some((Ok(answer(found)), Watching::Look(Some(found))));
                    }
                    if prober.drain.is_cancelled() {
                        return Some((Err(draining(Access::Public).into()), Watching::End));
                    }
                    tokio::select! {
                        () = deadline::wait(HEALTH_INTERVAL) => {}
                        () = prober.drain.cancelled() => {}
                    }
                }
            }
        });
        Ok(Response::new(match ends_in {
            Some(time) => changes.take_until(deadline::wait(time)).boxed(),
            None => changes.boxed(),
        }))
    }
}
