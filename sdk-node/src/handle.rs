//! The handle on a runtime: how it is opened, and how its calls are made.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{ToNapiValue, Unknown};
use napi::{Env, Result};
use napi_derive::napi;
use pillion::proto::TraceContext;
use pillion::{Apis, Cx, Error, Events, Pillion, Reason};

use crate::bridge::{Answer, Bridge, Calls, plain};
use crate::convert::{
    Converted, Fields, Mismatch, Read, Write, answer, argument, boolean, double, request, settings, string, uint32,
};
use crate::error::{exception, guarded};
use crate::runtime::Background;
use crate::stream::{Stream, upload};

/// A runtime: in this process, or a sidecar. Its methods, one per method of the contract, are generated.
#[napi]
pub struct Handle {
    p: Background<Pillion>,
    calls: Arc<Calls>,
}

fn millis(value: Unknown<'_>) -> Converted<Duration> {
    let millis = double(value)?;
    Duration::try_from_secs_f64(millis / 1000.0)
        .map_err(|_| Mismatch::new(format!("must be a number of milliseconds from 0 on, but is {millis}")))
}

/// What a call may have beside its request.
#[derive(Default)]
pub struct CallOptions {
    timeout: Option<Duration>,
    app_id: Option<String>,
    token: Option<String>,
    traceparent: Option<String>,
    tracestate: Option<String>,
}

impl CallOptions {
    fn read(fields: &Fields<'_>) -> Converted<Self> {
        Ok(Self {
            timeout: fields.optional(c"timeoutMs", millis)?,
            app_id: fields.optional(c"appId", string)?,
            token: fields.optional(c"token", string)?,
            traceparent: fields.optional(c"traceparent", string)?,
            tracestate: fields.optional(c"tracestate", string)?,
        })
    }

    /// A handle whose calls have these options.
    fn handle(self, p: &Pillion) -> Pillion {
        let mut p = p.clone();
        if let Some(timeout) = self.timeout {
            p = p.with_timeout(timeout);
        }
        if let Some(app_id) = self.app_id {
            p = p.with_app_id(&app_id);
        }
        if let Some(token) = self.token {
            p = p.with_token(&token);
        }
        if let Some(parent) = self.traceparent {
            p = p.with_trace(&parent).with_tracestate(&self.tracestate.unwrap_or_default());
        }
        p
    }

    fn apply(self, mut cx: Cx) -> Cx {
        if let Some(timeout) = self.timeout {
            cx.deadline = None;
            cx = cx.within(timeout);
        }
        if let Some(app_id) = self.app_id {
            cx.app_id = Some(app_id.into());
        }
        if let Some(token) = self.token {
            cx.token = Some(token.into());
        }
        if let Some(parent) = self.traceparent {
            let state = self.tracestate.unwrap_or_default().into();
            cx.trace = Some(TraceContext { parent: parent.into(), state });
        }
        cx
    }
}

/// A runtime in this process: its handle.
#[napi]
pub fn embedded<'env>(env: &'env Env, bridge: &Bridge, options: Unknown<'env>) -> Result<Unknown<'env>> {
    guarded(|| {
        let mut embedded = pillion::embedded();
        let (folder, file, app_id, testing) = settings(options, |fields| {
            Ok((
                fields.optional(c"dataDir", string)?,
                fields.optional(c"configFile", string)?,
                fields.optional(c"appId", string)?,
                fields.single(c"testing", boolean)?,
            ))
        })?;
        if folder.is_some() && file.is_some() {
            let message = "`dataDir` and `configFile` were both given, and the file says where the data is";
            return Err(exception(&Error::new(Reason::RequestInvalid, message)));
        }
        if let Some(folder) = folder {
            embedded = embedded.data_dir(folder);
        }
        if let Some(file) = file {
            embedded = embedded.config_file(file);
        }
        if let Some(app_id) = app_id {
            embedded = embedded.app_id(app_id);
        }
        if testing {
            embedded = for_tests(embedded)?;
        }
        Handle::opened(env, bridge, async move { embedded.await })
    })
}

/// With the test kit.
#[cfg(feature = "testing")]
#[allow(clippy::unnecessary_wraps)] // as without it
fn for_tests(embedded: pillion::Embedded) -> Result<pillion::Embedded> {
    Ok(embedded.testing())
}

#[cfg(not(feature = "testing"))]
fn for_tests(_: pillion::Embedded) -> Result<pillion::Embedded> {
    let error = Error::new(Reason::ComponentUnsupported, "this build of the package has no test kit");
    Err(exception(&error.advice("install the package from npm, or build it with the feature `testing`")))
}

/// A sidecar: its handle.
#[napi]
pub fn connect<'env>(
    env: &'env Env,
    bridge: &Bridge,
    url: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Unknown<'env>> {
    guarded(|| {
        let url = argument("url", url, string)?;
        let connect = settings(options, |fields| {
            let mut connect = pillion::connect(url.as_str());
            if let Some(connections) = fields.optional(c"connections", uint32)? {
                connect = connect.connections(connections as usize);
            }
            if let Some(token) = fields.optional(c"token", string)? {
                connect = connect.token(token);
            }
            if let Some(app_id) = fields.optional(c"appId", string)? {
                connect = connect.app_id(app_id);
            }
            if let Some(timeout) = fields.optional(c"timeoutMs", millis)? {
                connect = connect.timeout(timeout);
            }
            if let Some(bytes) = fields.optional(c"maxMessage", uint32)? {
                connect = connect.max_message(bytes as usize);
            }
            if let Some(retries) = fields.optional(c"retries", uint32)? {
                connect = connect.retries(retries);
            }
            if let Some(interval) = fields.optional(c"keepAliveMs", millis)? {
                connect = connect.keep_alive(interval);
            }
            Ok(Some(connect))
        })?;
        let connect = connect.unwrap_or_else(|| pillion::connect(url.as_str()));
        Handle::opened(env, bridge, async move { connect.await })
    })
}

/// Whichever runtime there is: its handle.
#[napi]
pub fn open<'env>(env: &'env Env, bridge: &Bridge) -> Result<Unknown<'env>> {
    guarded(|| Handle::opened(env, bridge, pillion::open()))
}

#[napi]
impl Handle {
    /// Closes the connection, or stops the embedded runtime.
    #[napi]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        guarded(|| {
            let p = Pillion::clone(&self.p);
            self.calls.begin(env, async move {
                p.close().await;
                Ok(plain(()))
            })
        })
    }

    /// Waits until everything can be used.
    #[napi]
    pub fn wait_ready<'env>(&self, env: &'env Env, timeout: Unknown<'env>) -> Result<Unknown<'env>> {
        guarded(|| {
            let p = Pillion::clone(&self.p);
            let timeout = argument("timeoutMs", timeout, millis)?;
            self.calls.begin(env, async move {
                p.wait_ready(timeout).await?;
                Ok(plain(()))
            })
        })
    }
}

impl Handle {
    fn opened<'env>(
        env: &'env Env,
        bridge: &Bridge,
        opening: impl Future<Output = pillion::Result<Pillion>> + Send + 'static,
    ) -> Result<Unknown<'env>> {
        let calls = bridge.calls();
        bridge.calls().begin(env, async move {
            let handle = Self { p: Background::new(opening.await?), calls };
            let answer: Answer = Box::new(move |env| handle.into_unknown(env));
            Ok(answer)
        })
    }

    fn cx(&self, options: Unknown<'_>, streaming: bool) -> Result<Cx> {
        let mut cx = self.p.cx();
        if streaming {
            // A stream may last: only who says so limits it.
            cx.deadline = None;
        }
        Ok(settings(options, CallOptions::read)?.apply(cx))
    }

    /// A handle of the crate `pillion` for calls with these options.
    pub fn pillion(&self, options: Unknown<'_>) -> Result<Pillion> {
        Ok(settings(options, CallOptions::read)?.handle(&self.p))
    }

    /// A stream of what `opening` gives.
    pub fn stream<A, F>(&self, opening: F) -> Stream
    where
        A: Write + Send + 'static,
        F: Future<Output = pillion::Result<Events<A>>> + Send + 'static,
    {
        Stream::answers(self.calls.clone(), Box::pin(async move { Ok(answers(opening.await?)) }))
    }

    /// A call with one request and one answer.
    pub fn unary<'env, Q, A, F>(
        &self,
        env: &'env Env,
        request_object: Unknown<'env>,
        options: Unknown<'env>,
        call: impl FnOnce(Apis, Cx, Q) -> F,
    ) -> Result<Unknown<'env>>
    where
        Q: Read,
        A: Write + Send + 'static,
        F: Future<Output = pillion::Result<A>> + Send + 'static,
    {
        guarded(|| {
            let running = call(self.p.apis().clone(), self.cx(options, false)?, request(request_object)?);
            self.calls.begin(env, async move { Ok(answer(running.await?)) })
        })
    }

    /// A call with one request and a stream of answers.
    pub fn server_stream<Q, A, F>(
        &self,
        request_object: Unknown<'_>,
        options: Unknown<'_>,
        call: impl FnOnce(Apis, Cx, Q) -> F,
    ) -> Result<Stream>
    where
        Q: Read,
        A: Write + Send + 'static,
        F: Future<Output = pillion::Result<Events<A>>> + Send + 'static,
    {
        guarded(|| {
            let opening = call(self.p.apis().clone(), self.cx(options, true)?, request(request_object)?);
            Ok(self.stream(opening))
        })
    }

    /// A call with a stream of requests and one answer.
    pub fn client_stream<Q, A, F>(
        &self,
        options: Unknown<'_>,
        call: impl FnOnce(Apis, Cx, Events<Q>) -> F,
    ) -> Result<Stream>
    where
        Q: Read + Send + 'static,
        A: Write + Send + 'static,
        F: Future<Output = pillion::Result<A>> + Send + 'static,
    {
        guarded(|| {
            let (sender, requests) = upload();
            let running = call(self.p.apis().clone(), self.cx(options, true)?, requests);
            let opening = async move { Ok(answers(Events::from_vec(vec![running.await?]))) };
            Ok(Stream::uploads(self.calls.clone(), Box::pin(opening), sender))
        })
    }

    /// A call with streams on both sides.
    pub fn duplex<Q, A, F>(&self, options: Unknown<'_>, call: impl FnOnce(Apis, Cx, Events<Q>) -> F) -> Result<Stream>
    where
        Q: Read + Send + 'static,
        A: Write + Send + 'static,
        F: Future<Output = pillion::Result<Events<A>>> + Send + 'static,
    {
        guarded(|| {
            let (sender, requests) = upload();
            let opening = call(self.p.apis().clone(), self.cx(options, true)?, requests);
            let opening = async move { Ok(answers(opening.await?)) };
            Ok(Stream::uploads(self.calls.clone(), Box::pin(opening), sender))
        })
    }
}

fn answers<A: Write + Send + 'static>(events: Events<A>) -> Events<Answer> {
    events.try_map(|message| Ok(answer(message)))
}

/// The API of a service that only some builds have.
#[cfg(any(feature = "shapes", feature = "testing"))]
pub fn served<T: ?Sized>(api: Option<Arc<T>>) -> pillion::Result<Arc<T>> {
    api.ok_or_else(|| Error::new(Reason::RequestUnknownMethod, "this runtime does not serve that API"))
}
