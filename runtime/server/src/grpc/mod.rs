//! gRPC: which calls reach which service, and what is refused before.

mod body;
pub(crate) mod own;
mod reflection;
pub(crate) mod table;

use std::sync::Arc;

use futures::FutureExt as _;
use http::Request;
use hyper::body::Incoming;
use pillion_proto::grpc::server::{MessageLimits, mount};
use pillion_proto::http::context;
use pillion_proto::{CallInfo, Error, Hooks, Reason, Result};
use tonic::service::{Routes, RoutesBuilder};
use tower::Service as _;

use self::body::Messages;
use self::table::{Entry, Judge, Table, split};
use crate::drain::Signals;
use crate::inbound::Inbound;
use crate::options::{Deadlines, Limits, Options};

/// The gRPC side of one worker.
pub(crate) struct Grpc {
    table: Arc<Table>,
    routes: Routes,
    hooks: Hooks,
    limits: Limits,
    deadlines: Deadlines,
}

/// A call that a service has taken.
pub(crate) struct Taken {
    pub(crate) entry: Entry,
    pub(crate) answer: <Routes as tower::Service<Request<axum::body::Body>>>::Future,
}

impl Grpc {
    pub(crate) fn new(options: &Options, table: Arc<Table>, signals: &Signals) -> Self {
        let mut routes = RoutesBuilder::default();
        // The limit on requests is enforced before tonic sees them, with our own answer.
        let messages = MessageLimits { request: usize::MAX, response: options.limits.answer };
        mount(&options.apis, messages, &mut routes);
        own::mount(&options.apis, &options.doors, table.services(), signals.drain.clone(), &mut routes);
        for door in &options.doors {
            (door.mount)(&mut routes);
        }
        Self {
            table,
            routes: routes.routes().prepare(),
            hooks: options.hooks.clone(),
            limits: options.limits,
            deadlines: options.deadlines,
        }
    }

    /// Hands a call to its service.
    ///
    /// # Errors
    /// `request.unknown_method`, and what the hooks say to calls that the server answers itself.
    pub(crate) fn call(&self, request: Request<Incoming>) -> Result<Taken> {
        let path = request.uri().path();
        let Some(&entry) = self.table.find(path) else { return Err(self.unknown(path)) };
        if let Judge::Server(info) = entry.judge {
            judge(&self.hooks, info, &request)?;
        }
        // Streams of requests may rest: a subscriber has nothing to say for hours.
        let patience = (!entry.uploads).then_some(self.deadlines.body);
        let request = request.map(|body| {
            let body = Inbound::new(body, http::Version::HTTP_2, patience);
            axum::body::Body::new(Messages::new(body, entry, self.limits.message))
        });
        Ok(Taken { entry, answer: self.routes.clone().call(request) })
    }

    fn unknown(&self, path: &str) -> Error {
        let message = match split(path) {
            Some((service, method)) if self.table.has_service(service) => {
                format!("unknown method {method} for service {service}")
            }
            Some((service, _)) => format!("unknown service {service}"),
            None => format!("malformed method name: {path:?}"),
        };
        Error::new(Reason::RequestUnknownMethod, message)
    }
}

/// Asks the hooks about a call that the server answers itself.
///
/// # Errors
/// Theirs, and those of the request's headers.
pub(crate) fn judge<B>(hooks: &Hooks, info: &'static CallInfo, request: &Request<B>) -> Result<()> {
    let cx = context(request.headers())?;
    let (cx, running) = hooks.begin(info.call("", ""), &cx)?;
    // The answer is at hand, so the call has ended well as soon as it was allowed.
    running.unary(&cx, std::future::ready(Ok(()))).now_or_never().unwrap_or(Ok(()))
}
