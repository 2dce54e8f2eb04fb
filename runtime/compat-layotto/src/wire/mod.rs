//! What a Layotto client sees of the transport: answers to methods that are not served or not
//! known, to messages that cannot be read, and to messages that are too large. tonic's own texts
//! and, for the last, its own code differ.

mod codec;
mod limit;

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

pub use codec::Codec;
use limit::Limited;

use crate::{METHODS, SERVICE};

/// The answer of a method that the service has and this door does not serve.
pub fn unserved(method: &str) -> Status {
    Status::unimplemented(format!("method {method} of {SERVICE} is not served by this runtime yet"))
}

/// Puts the transport's answers in front of the generated service.
#[derive(Clone, Debug)]
pub struct Wire<S> {
    inner: S,
    largest: usize,
}

impl<S> Wire<S> {
    /// Refuses messages of more than `largest` bytes.
    pub fn new(inner: S, largest: usize) -> Self {
        Self { inner, largest }
    }
}

impl<S: NamedService> NamedService for Wire<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Wire<S>
where
    S: Service<Request<Limited>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let method = path.rsplit_once('/').map_or(path, |(_, method)| method);
        if !METHODS.contains(&method) {
            let text = format!("unknown method {} for service {SERVICE}", crate::errors::shown(method));
            return Either::Left(ready(Ok(Status::unimplemented(text).into_http())));
        }
        Either::Right(self.inner.call(request.map(|body| Limited::new(body, self.largest))))
    }
}
