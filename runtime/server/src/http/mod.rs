//! HTTP: everything that is not gRPC.

mod cors;
mod meaning;
mod media;
pub(crate) mod router;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode};
use hyper::body::Incoming;
use pillion_proto::codec::{Input, Method, Output};
use pillion_proto::http::{Reply, ReplyBody, Route, context};
use pillion_proto::{Access, Apis, CallInfo, Error, Events, Hooks, OPENAPI, Reason, Result, Shape, answer};
use tokio_util::sync::CancellationToken;

use self::router::{Fields, Router, Target};
use self::stream::Form;
use crate::answer::Body;
use crate::drain::{Signals, draining};
use crate::grpc::{judge, own};
use crate::inbound::Inbound;
use crate::options::{Deadlines, Limits, Options};

/// How many bytes of JSON an answer has, at most, for one of protobuf, where the limit counts: names
/// and digits take the place of numbers.
const JSON_SHARE: usize = 4;

/// The HTTP side of one worker.
pub(crate) struct Http {
    router: Router,
    apis: Apis,
    hooks: Hooks,
    limits: Limits,
    deadlines: Deadlines,
    cut: Arc<CancellationToken>,
}

/// Why a request is not answered as it wished.
struct Refusal {
    error: Error,
    allow: Option<String>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, allow: None }
    }
}

impl Http {
    pub(crate) fn new(options: &Options, signals: &Signals) -> Self {
        Self {
            router: Router::new(),
            apis: options.apis.clone(),
            hooks: options.hooks.clone(),
            limits: options.limits,
            deadlines: options.deadlines,
            cut: signals.cut.clone(),
        }
    }

    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    /// Answers a request.
    pub(crate) fn answer(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        async move {
            let (head, body) = request.into_parts();
            let origin = cors::Origin::of(&head);
            let without_body = head.method == Verb::HEAD;
            let body = Inbound::new(body, head.version, Some(self.deadlines.body));
            let mut response = self.serve(head, body).await.unwrap_or_else(|refusal| {
                let mut response = problem(&refusal.error);
                if let Some(allow) = refusal.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
                    response.headers_mut().insert(ALLOW, allow);
                }
                response
            });
            origin.invite(response.headers_mut());
            if without_body && let Body::Whole(Some(bytes)) = std::mem::take(response.body_mut()) {
                response.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
            }
            response
        }
        .boxed()
    }

    async fn serve(&self, head: Parts, body: Inbound) -> Result<Response<Body>, Refusal> {
        let Some((resource, fields)) = self.router.find(head.uri.path()) else {
            return Err(unknown_path(&head).into());
        };
        if head.method == Verb::OPTIONS {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            if let Ok(allow) = HeaderValue::try_from(resource.allow()) {
                response.headers_mut().insert(ALLOW, allow);
            }
            return Ok(response);
        }
        let Some(target) = resource.target(&head.method) else {
            let message = format!("{} does not answer {}", resource.path, head.method);
            let error = Error::new(Reason::RequestMethodNotAllowed, message);
            return Err(Refusal { error, allow: Some(resource.allow()) });
        };
        let call = async {
            match target {
                Target::Method(method) => self.call(method, head, body).await,
                Target::Route(route) => self.route(route, fields, head, body).await,
                Target::Openapi => {
                    judge(&self.hooks, &own::OPENAPI, &Request::from_parts(head, ()))?;
                    Ok(whole(Bytes::from_static(OPENAPI.as_bytes()), "application/json"))
                }
            }
        };
        tokio::select! {
            biased;
            answer = call => Ok(answer?),
            () = self.cut.cancelled() => Err(draining(target.info().access).into()),
        }
    }

    /// `POST /package.Service/Method`.
    async fn call(&self, method: &Method, head: Parts, body: Inbound) -> Result<Response<Body>> {
        let cx = context(&head.headers)?;
        meaning::understand(&head.headers, method.info.access, &[])?;
        let input = match method.info.shape {
            Shape::Unary | Shape::ServerStream => {
                media::require_json(&head.headers, http_body::Body::is_end_stream(&body))?;
                Input::One(body.collect(self.limits.message).await?)
            }
            Shape::ClientStream | Shape::Duplex => {
                media::require_lines(&head.headers, http_body::Body::is_end_stream(&body))?;
                Input::Many(stream::read(body, self.limits.message))
            }
        };
        match (method.json)(&self.apis, cx, input).await? {
            Output::One(json) => {
                self.judge_size(method.info, json.len() / JSON_SHARE)?;
                Ok(whole(json, "application/json"))
            }
            Output::Many(events) => Ok(self.stream(events, &head.headers)),
        }
    }

    async fn route(&self, route: &Route, path: Fields, head: Parts, body: Inbound) -> Result<Response<Body>> {
        let cx = context(&head.headers)?;
        meaning::understand(&head.headers, route.info.access, route.headers)?;
        let body = if route.body {
            media::refuse_forms(&head.headers)?;
            body.collect(self.limits.message).await?
        } else {
            Bytes::new()
        };
        let query = head.uri.query().map(str::to_owned);
        let form = Form::accepted(&head.headers);
        let request = pillion_proto::http::Request { path, query, headers: head.headers, body };
        let Reply { headers, body } = (route.call)(&self.apis, cx, request).await?;
        let mut response = match body {
            ReplyBody::Json(json) => {
                self.judge_size(route.info, json.len() / JSON_SHARE)?;
                whole(json, "application/json")
            }
            ReplyBody::Raw(bytes) => {
                self.judge_size(route.info, bytes.len())?;
                let mut response = whole(bytes, "application/octet-stream");
                // What was stored may be a page: shown by a browser it must not run as ours.
                response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
                response
            }
            ReplyBody::Stream(events) => self.pieces(events, form),
        };
        // `extend` of a header map replaces what is there.
        response.headers_mut().extend(headers);
        Ok(response)
    }

    /// Refuses an answer that the API behind it should not have given. Those to writes are as long as
    /// their requests; refusing one would hide what was written.
    fn judge_size(&self, info: &CallInfo, bytes: usize) -> Result<()> {
        let limit = self.limits.answer;
        if bytes > limit && info.access != Access::Write { Err(answer::too_large(limit)) } else { Ok(()) }
    }

    fn stream(&self, events: Events<Bytes>, headers: &HeaderMap) -> Response<Body> {
        self.pieces(events, Form::accepted(headers))
    }

    fn pieces(&self, events: Events<Bytes>, form: Form) -> Response<Body> {
        let limit = self.limits.answer;
        let events =
            events.try_map(
                move |json| {
                    if json.len() / JSON_SHARE > limit { Err(answer::too_large(limit)) } else { Ok(json) }
                },
            );
        let pieces = stream::write(events, form, self.deadlines.keep_alive, self.cut.clone());
        answered(StatusCode::OK, Body::Pieces { pieces, call: None }, form.content_type())
    }
}

fn unknown_path(head: &Parts) -> Error {
    let grpc = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        return media::not_grpc();
    }
    Error::new(Reason::RequestUnknownMethod, format!("there is nothing at {}", head.uri.path()))
}

/// The answer that an error is: RFC 9457.
pub(crate) fn problem(error: &Error) -> Response<Body> {
    let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = pillion_proto::http::problem(error).to_string();
    let mut response = answered(status, Body::Whole(Some(text.into())), "application/problem+json");
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(wait) = error.wait() {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn whole(bytes: Bytes, content_type: &'static str) -> Response<Body> {
    answered(StatusCode::OK, Body::Whole(Some(bytes)), content_type)
}

fn answered(status: StatusCode, body: Body, content_type: &'static str) -> Response<Body> {
    const FIXED: [(HeaderName, HeaderValue); 2] = [
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Answers are about now, and some are secret.
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().extend(FIXED);
    response
}
