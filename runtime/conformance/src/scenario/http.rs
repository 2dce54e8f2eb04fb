//! Calls over plain HTTP/1.1: `POST /package.Service/Method` with proto3 JSON, streams as JSON lines.
//! No SDK of ours is involved.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request as HttpRequest, Response, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::session::{Answer, Pending, Request, Session, Stream};
use super::step::Method;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Where the APIs of the contract are.
const SERVICES: [(&str, &str); 4] = [
    ("actuator", "pillion.actuator.v1.ActuatorService"),
    ("shapes", "pillion.testing.v1.ShapesService"),
    ("state", "pillion.state.v1.StateService"),
    ("testing", "pillion.testing.v1.TestingService"),
];

/// The methods that take an upload.
const UPLOADS: [&str; 2] = ["shapes.collect", "shapes.converse"];

/// Messages of an upload that the connection has not taken yet.
const QUEUE: usize = 16;

/// A client of one sidecar.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpConnector, Body>,
    base: Arc<str>,
}

impl Http {
    /// A client of the sidecar at `base`: `http://127.0.0.1:34904`.
    pub fn new(base: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()), base: base.into() }
    }

    /// Makes a request with an empty body and returns the status; for readiness.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn get(&self, path: &str) -> Result<StatusCode> {
        let request = HttpRequest::get(format!("{}{path}", self.base)).body(full(Bytes::new()))?;
        Ok(self.client.request(request).await?.status())
    }

    fn post(&self, request: &Request, content_type: &str, body: Body) -> Result<HttpRequest<Body>> {
        let mut post = HttpRequest::post(format!("{}{}", self.base, path(&request.method)?))
            .header(header::CONTENT_TYPE, content_type);
        if let Some(timeout) = request.timeout {
            post = post.header("pillion-timeout", format!("{}ms", timeout.as_millis()));
        }
        if let Some(app) = &request.app {
            post = post.header("pillion-app-id", app);
        }
        Ok(post.body(body)?)
    }
}

/// `/pillion.state.v1.StateService/GetMany`.
fn path(method: &Method) -> Result<String> {
    let service = SERVICES.iter().find(|(api, _)| *api == method.api);
    let (_, service) = service.with_context(|| format!("there is no API `{}`", method.api))?;
    let words = method.name.split('_').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    });
    Ok(format!("/{service}/{}", words.collect::<String>()))
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

#[async_trait]
impl Session for Http {
    fn shown(&self, request: &Request) -> String {
        let path = path(&request.method).unwrap_or_else(|error| error.to_string());
        let mut shown = format!("POST {path}");
        if let Some(timeout) = request.timeout {
            shown.push_str(&format!(" pillion-timeout: {}ms", timeout.as_millis()));
        }
        if let Some(app) = &request.app {
            shown.push_str(&format!(" pillion-app-id: {app}"));
        }
        format!("{shown} {}", request.args)
    }

    async fn start(&self, request: Request) -> Result<Box<dyn Pending>> {
        let post = self.post(&request, "application/json", full(request.args.to_string()))?;
        let client = self.client.clone();
        Ok(Box::new(Started(tokio::spawn(async move { whole(client.request(post).await?).await }))))
    }

    async fn open(&self, request: Request) -> Result<Box<dyn Stream>> {
        let client = self.client.clone();
        if !UPLOADS.contains(&request.method.to_string().as_str()) {
            let post = self.post(&request, "application/json", full(request.args.to_string()))?;
            let mut stream = Opened::new(None, tokio::spawn(async move { Ok(client.request(post).await?) }));
            // The opening is over when the answer begins, so that what comes next comes after it.
            stream.answered().await?;
            return Ok(Box::new(stream));
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        let frames = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async {
            Some((receiver.recv().await?, receiver))
        });
        let post = self.post(&request, "application/jsonl", StreamBody::new(frames).boxed_unsync())?;
        Ok(Box::new(Opened::new(Some(sender), tokio::spawn(async move { Ok(client.request(post).await?) }))))
    }

    async fn advance(&self, _: Duration) -> Result<()> {
        bail!("the clock of a sidecar cannot be moved")
    }

    async fn end(&self, _: bool) -> Result<()> {
        Ok(())
    }
}

/// The one answer of a call.
async fn whole(response: Response<Incoming>) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.context("reading the answer")?.to_bytes();
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let parsed = || serde_json::from_slice(&body).with_context(|| format!("the body is no JSON: {body:?}"));
    match (head.status, kind) {
        (StatusCode::OK, "application/json") => Ok(Ok(parsed()?)),
        (status, "application/problem+json") if status.is_client_error() || status.is_server_error() => {
            let problem = problem(parsed()?)?;
            let said = problem["status"].as_u64();
            ensure!(said == Some(status.as_u16().into()), "the status is {status}, the body says {said:?}");
            Ok(Err(problem))
        }
        (status, kind) => bail!("the answer is {status} with {kind:?}: {body:?}"),
    }
}

/// The error in a problem (RFC 9457), under the names that drivers use.
fn problem(mut problem: Value) -> Result<Value> {
    let fields = problem.as_object_mut().context("the problem is no object")?;
    let detail = fields.remove("detail").context("the problem has no detail")?;
    fields.insert("message".to_owned(), detail);
    Ok(problem)
}

struct Started(JoinHandle<Result<Answer>>);

#[async_trait]
impl Pending for Started {
    async fn answer(self: Box<Self>) -> Result<Answer> {
        self.0.await?
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        // Dropping the request closes its connection.
        self.0.abort();
        match self.0.await {
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(error.into()),
            Ok(answer) => bail!("the call that was cancelled is answered {:?}", answer?),
        }
    }
}

type Upload = mpsc::Sender<io::Result<Frame<Bytes>>>;

struct Opened {
    upload: Option<Upload>,
    state: State,
}

enum State {
    /// The answer has not begun.
    Opening(Mutex<JoinHandle<Result<Response<Incoming>>>>),
    /// Messages come, one a line.
    Lines {
        body: Incoming,
        buffer: BytesMut,
    },
    /// There is one answer.
    One(Answer),
    Ended,
}

impl Opened {
    fn new(upload: Option<Upload>, opening: JoinHandle<Result<Response<Incoming>>>) -> Self {
        Self { upload, state: State::Opening(Mutex::new(opening)) }
    }

    /// Waits until the answer has begun.
    async fn answered(&mut self) -> Result<()> {
        let State::Opening(opening) = &mut self.state else { return Ok(()) };
        let response = opening.get_mut().unwrap_or_else(PoisonError::into_inner).await??;
        let kind = response.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        self.state = match kind {
            Some(b"application/jsonl") => {
                ensure!(response.status() == StatusCode::OK, "a stream with the status {}", response.status());
                State::Lines { body: response.into_body(), buffer: BytesMut::new() }
            }
            _ => State::One(whole(response).await?),
        };
        Ok(())
    }
}

#[async_trait]
impl Stream for Opened {
    async fn next(&mut self) -> Result<Option<Answer>> {
        self.answered().await?;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::One(answer) => Ok(Some(answer)),
            State::Lines { mut body, mut buffer } => {
                let Some(line) = line(&mut body, &mut buffer).await? else { return Ok(None) };
                let mut line: Value = serde_json::from_slice(&line).context("a line is no JSON")?;
                if let Some(error) = line.get_mut("error") {
                    // The state stays: what follows an error would be a defect, which the next `next` shows.
                    let error = problem(error.take())?;
                    self.state = State::Lines { body, buffer };
                    return Ok(Some(Err(error)));
                }
                self.state = State::Lines { body, buffer };
                Ok(Some(Ok(line)))
            }
            State::Opening(_) | State::Ended => Ok(None),
        }
    }

    async fn send(&mut self, message: Value) -> Result<()> {
        let upload = self.upload.as_ref().context("nothing can be sent on this stream")?;
        // A call that ended takes no more; its answer says why.
        let _ = upload.send(Ok(Frame::data(format!("{message}\n").into()))).await;
        Ok(())
    }

    async fn finish(&mut self) -> Result<Answer> {
        self.upload.take();
        self.answered().await?;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::One(answer) => Ok(answer),
            other => {
                self.state = other;
                Ok(Ok(json!({})))
            }
        }
    }

    async fn fail(&mut self) -> Result<()> {
        let upload = self.upload.take().context("nothing can be sent on this stream")?;
        let _ = upload.send(Err(io::Error::other("the upload failed, as it was told to"))).await;
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<()> {
        if let Some(upload) = self.upload.take() {
            // Dropped without a word it would look complete.
            let _ = upload.send(Err(io::Error::other("the call was given up"))).await;
        }
        if let State::Opening(opening) = self.state {
            opening.into_inner().unwrap_or_else(PoisonError::into_inner).abort();
        }
        Ok(())
    }
}

/// The next line; `None` at the end of the body.
async fn line(body: &mut Incoming, buffer: &mut BytesMut) -> Result<Option<Bytes>> {
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            return Ok(Some(buffer.split_to(end + 1).freeze()));
        }
        match body.frame().await.transpose().context("the stream broke off")? {
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    buffer.extend_from_slice(&data);
                }
            }
            None => {
                ensure!(buffer.is_empty(), "the stream ends within a line: {buffer:?}");
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_the_paths_of_the_contract() {
        let method = Method { api: "state".to_owned(), name: "get_many".to_owned() };
        assert_eq!(path(&method).unwrap(), "/pillion.state.v1.StateService/GetMany");
        assert!(path(&Method { api: "stat".to_owned(), name: "get".to_owned() }).is_err());
    }
}
