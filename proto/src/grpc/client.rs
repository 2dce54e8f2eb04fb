//! What the generated client adapters share.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::Stream;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Request, Response, Status, Streaming, TimeoutExpired};

use super::details;
use super::link::Breaker;
use crate::call::{CallInfo, Cx};
use crate::error::{Error, Reason, Result};
use crate::intercept::{Running, deadline_exceeded, unknown_if};
use crate::stream::Events;

pub use super::link::Link;
pub use crate::r#gen::grpc_client::*;

/// Gives the connection for the next call.
pub trait Channels: Send + Sync + 'static {
    /// A channel; it may connect only when it is used.
    fn pick(&self) -> Channel;
}

impl Channels for Channel {
    fn pick(&self) -> Channel {
        self.clone()
    }
}

/// A request that carries the call context in its metadata.
pub fn request<T>(cx: &Cx, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    let mut put = |name: &'static str, value: &str| {
        // What no header can hold cannot have come from a header; leaving it out is all there is.
        if let Ok(value) = MetadataValue::try_from(value) {
            metadata.insert(MetadataKey::from_static(name), value);
        }
    };
    if let Some(remaining) = cx.remaining() {
        put("grpc-timeout", &grpc_timeout(remaining));
    }
    if let Some(app_id) = &cx.app_id {
        put("pillion-app-id", app_id);
    }
    if let Some(token) = &cx.token {
        put("authorization", &format!("Bearer {token}"));
    }
    if let Some(trace) = &cx.trace {
        put("traceparent", &trace.parent);
        if !trace.state.is_empty() {
            put("tracestate", &trace.state);
        }
    }
    request
}

/// At most eight digits and a unit, rounded up: the server must not give up before the caller.
fn grpc_timeout(timeout: Duration) -> String {
    const UNITS: [(u128, char); 5] =
        [(1_000, 'u'), (1_000_000, 'm'), (1_000_000_000, 'S'), (60_000_000_000, 'M'), (3_600_000_000_000, 'H')];
    UNITS
        .iter()
        .map(|(nanos, unit)| (timeout.as_nanos().div_ceil(*nanos), unit))
        .find(|(amount, _)| *amount <= 99_999_999)
        .map_or_else(|| "99999999H".to_owned(), |(amount, unit)| format!("{amount}{unit}"))
}

/// Makes a call whose answer is one message.
///
/// # Errors
/// Those of the call; the deadline is timed here, so that it means the same as in-process.
pub async fn unary<T>(
    cx: &Cx,
    info: &'static CallInfo,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T> {
    Running::plain(info)
        .unary(cx, async { call.await.map(Response::into_inner).map_err(|status| error(info, cx, status)) })
        .await
}

/// Makes a call whose answer is a stream.
///
/// # Errors
/// As [`unary`], for the opening.
pub async fn server_stream<T: Send + 'static>(
    cx: &Cx,
    info: &'static CallInfo,
    call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
) -> Result<Events<T>> {
    let context = cx.clone();
    Running::plain(info)
        .stream(cx, async move {
            let response = call.await.map_err(|status| error(info, &context, status))?;
            Ok(Events::new(response.into_inner().map(move |item| item.map_err(|status| error(info, &context, status)))))
        })
        .await
}

/// A request that uploads, and word of the upload's failure.
///
/// When the caller's stream fails, the call must be abandoned, never half-closed: a clean end would
/// make the server take the truncated data for the whole. So the stream that tonic sees goes silent
/// at an error, and whoever awaits the answer drops the [`Failure`], which resets the call.
pub fn upload<T: Send + 'static>(
    cx: &Cx,
    messages: Events<T>,
) -> (Request<impl Stream<Item = T> + Send + 'static>, Failure) {
    let (failed, failure) = oneshot::channel();
    let stream = futures::stream::unfold((messages, Some(failed)), |(mut messages, mut failed)| async move {
        match messages.next().await {
            Ok(Some(message)) => Some((message, (messages, failed))),
            Ok(None) => None,
            Err(error) => {
                if let Some(failed) = failed.take() {
                    let _ = failed.send(error);
                }
                std::future::pending().await
            }
        }
    });
    let broken = CancellationToken::new();
    let mut request = request(cx, stream);
    request.extensions_mut().insert(Breaker(broken.clone()));
    (request, Failure { failed: failure, _breaker: broken.drop_guard() })
}

/// Resolves when the caller's upload failed. Dropped, it breaks off what is still being uploaded.
#[derive(Debug)]
pub struct Failure {
    failed: oneshot::Receiver<Error>,
    _breaker: DropGuard,
}

impl Failure {
    async fn wait(&mut self) -> Error {
        match (&mut self.failed).await {
            Ok(error) => error,
            // The upload ended well.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Makes a call that uploads and is answered with one message.
///
/// # Errors
/// As [`unary`], and the upload's own error.
pub async fn client_stream<T>(
    cx: &Cx,
    info: &'static CallInfo,
    mut failure: Failure,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T> {
    Running::plain(info)
        .unary(cx, async {
            tokio::select! {
                biased;
                failed = failure.wait() => Err(failed),
                answer = call => answer.map(Response::into_inner).map_err(|status| error(info, cx, status)),
            }
        })
        .await
}

/// Makes a call that uploads and is answered with a stream.
///
/// # Errors
/// As [`client_stream`], for the opening; later failures of the upload end the answer.
pub async fn duplex<T: Send + 'static>(
    cx: &Cx,
    info: &'static CallInfo,
    mut failure: Failure,
    call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
) -> Result<Events<T>> {
    let context = cx.clone();
    Running::plain(info)
        .stream(cx, async move {
            let response = tokio::select! {
                biased;
                failed = failure.wait() => return Err(failed),
                answer = call => answer.map_err(|status| error(info, &context, status))?,
            };
            let answers = response.into_inner().map(move |item| item.map_err(|status| error(info, &context, status)));
            let failed = futures::stream::once(async move { Err(failure.wait().await) });
            // The failure must not keep the stream open after the answers have ended.
            let ended = futures::stream::iter([None]);
            let answers = answers.map(Some).chain(ended);
            let both = futures::stream::select(answers, failed.map(Some));
            Ok(Events::new(both.take_while(|item| std::future::ready(item.is_some())).filter_map(std::future::ready)))
        })
        .await
}

/// The error that a status stands for.
fn error(info: &'static CallInfo, cx: &Cx, status: Status) -> Error {
    if let Some(error) = details(&status) {
        return error;
    }
    if timed_out(&status) || (status.code() == Code::Cancelled && cx.remaining().is_some_and(|left| left.is_zero())) {
        return deadline_exceeded(info, true);
    }
    if let Some(cause) = never_sent(&status) {
        let message = format!("no connection to the runtime: {cause}");
        return Error::new(Reason::RuntimeUnreachable, message);
    }
    if causes(&status).any(refused) {
        let message = "the runtime closed the connection and did not begin the call";
        return Error::new(Reason::RuntimeDraining, message).source(status);
    }
    // What the runtime answered is a status without a cause. Where there is one, it is of this side.
    if let Some(cause) = causes(&status).last() {
        let message = format!("the connection to the runtime broke: {cause}");
        return unknown_if(true, info, Error::new(Reason::RuntimeConnectionLost, message));
    }
    let reason = reason_of(status.code());
    let sure = matches!(
        reason,
        Reason::RequestInvalid | Reason::RequestUnknownMethod | Reason::RequestDenied | Reason::RequestUnauthenticated
    );
    unknown_if(!sure, info, Error::new(reason, status.message().to_owned()).source(status))
}

/// The nearest reason for a status without our details: from a proxy, or from the transport.
fn reason_of(code: Code) -> Reason {
    match code {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => Reason::RequestInvalid,
        Code::NotFound | Code::Unimplemented => Reason::RequestUnknownMethod,
        Code::PermissionDenied => Reason::RequestDenied,
        Code::Unauthenticated => Reason::RequestUnauthenticated,
        Code::ResourceExhausted => Reason::RequestOverloaded,
        Code::DeadlineExceeded => Reason::RequestDeadlineExceeded,
        Code::Cancelled => Reason::RequestCancelled,
        Code::Unavailable => Reason::RuntimeConnectionLost,
        _ => Reason::Unspecified,
    }
}

fn timed_out(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded || causes(status).any(|cause| cause.is::<TimeoutExpired>())
}

/// The cause, if the request surely did not leave this process.
fn never_sent(status: &Status) -> Option<String> {
    // Whatever kept a connection from being made (refused, timed out, no such socket), a request
    // that waited for it was not sent. The innermost cause is the one that people can act on.
    let mut rest = causes(status).skip_while(|cause| !cause.is::<ConnectError>());
    if let Some(connect) = rest.next() {
        return Some(rest.last().unwrap_or(connect).to_string());
    }
    // The connection ended before the request was begun to be sent: the transport cancelled it, not
    // the peer (an HTTP/2 reset) and not its own body (a status).
    let cancelled = status.code() == Code::Cancelled
        && !causes(status).any(|cause| cause.is::<h2::Error>() || cause.is::<Status>());
    causes(status).last().filter(|_| cancelled).map(ToString::to_string)
}

/// Whether the peer says that it did nothing: it refused the stream (RFC 9113, 8.7), or the stream
/// is younger than the last one of an orderly GOAWAY (6.8), which older streams survive.
fn refused(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<h2::Error>().is_some_and(|error| {
        error.is_remote()
            && (error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || (error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)))
    })
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(status), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_written_in_eight_digits_and_never_shortened() {
        for (timeout, expected) in [
            (Duration::ZERO, "0u"),
            (Duration::from_nanos(1), "1u"),
            (Duration::from_millis(1500), "1500000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(grpc_timeout(timeout), expected);
        }
    }
}
