//! What happens to a request before it is gRPC or HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use pillion_proto::{Access, Error, Reason};
use tonic::Status;

use crate::answer::{Body, Cut};
use crate::drain::{Entered, Gauge, Signals, draining};
use crate::gate::Gate;
use crate::grpc::table::Table;
use crate::grpc::{Grpc, Taken};
use crate::guard::guarded;
use crate::http::{Http, problem};
use crate::options::{Limits, Options};

/// Everything that one worker needs to answer requests. Workers share no counter that a call
/// touches, so they do not slow each other.
pub(crate) struct Stack {
    grpc: Grpc,
    http: Arc<Http>,
    gate: Arc<Gate>,
    limits: Limits,
    pub(crate) signals: Signals,
    pub(crate) calls: Gauge,
}

impl Stack {
    pub(crate) fn new(options: &Options, table: Arc<Table>, gate: Arc<Gate>, signals: Signals) -> Self {
        Self {
            grpc: Grpc::new(options, table, &signals),
            http: Arc::new(Http::new(options, &signals)),
            gate,
            limits: options.limits,
            signals,
            calls: Gauge::default(),
        }
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// # Errors
    /// What keeps a request from being looked at.
    fn admit(&self, request: &Request<Incoming>, tcp: bool) -> Result<(), Error> {
        self.gate.admit(request, tcp)?;
        let count = request.headers().len();
        if count > self.limits.headers {
            let message = format!("the request has {count} headers; the limit is {}", self.limits.headers);
            return Err(Error::new(Reason::RequestTooLarge, message).with("limit", self.limits.headers));
        }
        Ok(())
    }
}

/// Answers the requests of one connection.
pub(crate) struct Caller {
    pub(crate) stack: Arc<Stack>,
    pub(crate) tcp: bool,
}

impl hyper::service::Service<Request<Incoming>> for Caller {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let stack = &self.stack;
        let admitted = stack.admit(&request, self.tcp);
        // Decided before any router: both kinds use `POST /package.Service/Method`.
        let kind = if is_grpc(&request) {
            match admitted.and_then(|()| guarded(Access::Write, || stack.grpc.call(request))?) {
                Ok(taken) => Kind::Grpc(taken),
                Err(error) => return Answering::ready(refusal(error)),
            }
        } else {
            match admitted {
                Ok(()) => Kind::Http(stack.http.clone().answer(request)),
                Err(error) => return Answering::ready(problem(&error)),
            }
        };
        let call = stack.calls.enter();
        Answering(State::Pending { kind, cut: Cut::new(stack.signals.cut.clone()), call: Some(call) })
    }
}

/// `application/grpc`, alone or with a codec or a parameter. Not gRPC-Web, which only sounds alike.
fn is_grpc<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && request.headers().get(CONTENT_TYPE).is_some_and(|value| {
            matches!(value.as_bytes().strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..]))
        })
}

/// An error without a message before it.
fn refusal(error: Error) -> Response<Body> {
    Status::from(error).into_http::<tonic::body::Body>().map(Body::Message)
}

/// An answer that is being made.
pub(crate) struct Answering(State);

enum State {
    Ready(Option<Response<Body>>),
    Pending { kind: Kind, cut: Cut, call: Option<Entered> },
}

enum Kind {
    Grpc(Taken),
    Http(BoxFuture<'static, Response<Body>>),
}

impl Answering {
    fn ready(response: Response<Body>) -> Self {
        Self(State::Ready(Some(response)))
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (kind, cut, call) = match &mut self.0 {
            State::Ready(response) => return Poll::Ready(Ok(response.take().unwrap_or_default())),
            State::Pending { kind, cut, call } => (kind, cut, call),
        };
        let response = match kind {
            Kind::Grpc(Taken { entry, answer }) => {
                let access = entry.access().unwrap_or(Access::Write);
                match guarded(access, || Pin::new(answer).poll(cx)) {
                    Ok(Poll::Ready(Ok(response))) if entry.streams => {
                        let (cut, call) = (cut.again(), call.take());
                        response.map(|body| Body::Messages { body, access, cut, _call: call })
                    }
                    Ok(Poll::Ready(Ok(response))) => response.map(Body::Message),
                    Ok(Poll::Ready(Err(never))) => match never {},
                    Ok(Poll::Pending) => {
                        ready!(cut.poll(cx));
                        refusal(draining(access))
                    }
                    Err(panicked) => refusal(panicked),
                }
            }
            Kind::Http(answer) => {
                let mut response = match guarded(Access::Write, || answer.as_mut().poll(cx)) {
                    Ok(answer) => ready!(answer),
                    Err(panicked) => problem(&panicked),
                };
                if let Body::Pieces { call: place, .. } = response.body_mut() {
                    *place = call.take();
                }
                response
            }
        };
        self.0 = State::Ready(None);
        Poll::Ready(Ok(response))
    }
}
