//! Reflection (`grpc.reflection.v1` and `v1alpha`), which takes memory only once somebody asks.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures::future::{self, Either, Ready};
use http::{Request, Response};
use pillion_proto::DESCRIPTORS;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic_reflection::server::{Builder, Error};
use tower::util::Oneshot;
use tower::{Service, ServiceExt as _};

use crate::options::Door;

/// Adds the services.
pub(super) fn mount(doors: &[Door], routes: &mut RoutesBuilder) {
    let sets: Arc<[&'static [u8]]> = [DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET]
        .into_iter()
        .chain(doors.iter().map(|door| door.descriptors))
        .collect();
    let described = sets.clone();
    routes.add_service(Late::new(move || builder(&described).build_v1()));
    routes.add_service(Late::new(move || builder(&sets).build_v1alpha()));
}

fn builder(sets: &[&'static [u8]]) -> Builder<'static> {
    sets.iter().fold(Builder::configure(), |builder, set| builder.register_encoded_file_descriptor_set(set))
}

/// A service that its first call builds. Decoded, the descriptors take over a megabyte, which a
/// sidecar that nobody explores should not hold.
struct Late<S, F> {
    build: Arc<F>,
    built: Arc<OnceLock<Result<S, Status>>>,
}

impl<S, F> Late<S, F>
where
    F: Fn() -> Result<S, Error>,
{
    fn new(build: F) -> Self {
        Self { build: Arc::new(build), built: Arc::default() }
    }
}

impl<S, F> Clone for Late<S, F> {
    fn clone(&self) -> Self {
        Self { build: self.build.clone(), built: self.built.clone() }
    }
}

impl<S: NamedService, F> NamedService for Late<S, F> {
    const NAME: &'static str = S::NAME;
}

impl<S, F> Service<Request<Body>> for Late<S, F>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    F: Fn() -> Result<S, Error>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Oneshot<S, Request<Body>>, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // Every set was read once before, for the table of methods: a failure is not to be expected.
        let built = self.built.get_or_init(|| {
            (self.build)().map_err(|cause| Status::internal(format!("the descriptors cannot be served: {cause}")))
        });
        match built {
            Ok(service) => Either::Left(service.clone().oneshot(request)),
            Err(status) => Either::Right(future::ready(Ok(status.clone().into_http()))),
        }
    }
}
