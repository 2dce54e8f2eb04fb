//! The driver of the scenario runner for Rust: calls as JSON lines on stdin, answers on stdout.
//!
//! `docs/driver-protocol.md` describes the protocol. No method is written here: they come from the
//! generated table, so a driver is complete when the contract grows.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pillion::proto::codec::{self, Input, Output};
use pillion::proto::{CallInfo, Shape};
use pillion::{Cx, Error, Events, Pillion, Reason, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Stdout};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

const USAGE: &str = "usage: pillion-driver [--endpoint URL | --embedded CONFIG.yaml | --memory]";
/// Commands under way at once; the next line is read when one ends.
const CONCURRENT: usize = 256;
/// Messages of an upload that the call has not taken yet.
const UPLOAD_QUEUE: usize = 16;

#[derive(Deserialize)]
struct Line {
    id: u64,
    #[serde(flatten)]
    command: Command,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Command {
    Call(Call),
    Open { open: Call },
    Next { next: u64, cancel_after: Option<u64> },
    Send { send: u64, message: Value },
    Finish { finish: u64 },
    Fail { fail: u64 },
    Close { close: u64 },
    Cancel { cancel: u64 },
    Advance { advance: u64 },
}

#[derive(Deserialize)]
struct Call {
    api: String,
    method: String,
    #[serde(default = "empty")]
    args: Value,
    /// Milliseconds.
    timeout: Option<u64>,
    /// Milliseconds.
    cancel_after: Option<u64>,
    app_id: Option<String>,
    token: Option<String>,
}

fn empty() -> Value {
    json!({})
}

/// What one command answers, beside its id.
enum Answer {
    Ok(Value),
    End,
    Cancelled,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let opened = match arguments[..] {
        ["--endpoint", url] => Driver::remote(url).await,
        ["--embedded", config] => Driver::embedded(Some(config)).await,
        ["--memory"] => Driver::embedded(None).await,
        [] => pillion::open().await.map(Driver::new),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match opened {
        Ok(driver) => match Arc::new(driver).run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the pipe broke: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Driver {
    p: Pillion,
    streams: Mutex<HashMap<u64, Arc<Stream>>>,
    running: Mutex<HashMap<u64, CancellationToken>>,
    stdout: AsyncMutex<Stdout>,
}

impl Driver {
    async fn remote(url: &str) -> Result<Self> {
        // What a retry would hide is what scenarios are about.
        let p = pillion::connect(url).retries(0).await?;
        Ok(Self::new(p))
    }

    async fn embedded(config: Option<&str>) -> Result<Self> {
        let mut builder = pillion::embedded();
        if let Some(config) = config {
            builder = builder.config_file(config);
        }
        #[cfg(feature = "testing")]
        {
            builder = builder.testing();
        }
        Ok(Self::new(builder.await?))
    }

    fn new(p: Pillion) -> Self {
        Self { p, streams: Mutex::default(), running: Mutex::default(), stdout: AsyncMutex::new(tokio::io::stdout()) }
    }

    async fn run(self: Arc<Self>) -> std::io::Result<()> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let tasks = TaskTracker::new();
        let room = Arc::new(Semaphore::new(CONCURRENT));
        while let Some(line) = lines.next_line().await? {
            let Ok(permit) = room.clone().acquire_owned().await else { break };
            let driver = self.clone();
            match serde_json::from_str::<Line>(&line) {
                Ok(Line { id, command }) => {
                    // Before the next line is read, which may cancel it.
                    let cancelled = CancellationToken::new();
                    self.running().insert(id, cancelled.clone());
                    tasks.spawn(async move {
                        let result = cancelled.run_until_cancelled(driver.obey(id, command)).await;
                        driver.running().remove(&id);
                        driver.answer(json!(id), result.unwrap_or(Ok(Answer::Cancelled))).await;
                        drop(permit);
                    });
                }
                Err(error) => driver.answer(Value::Null, Err(invalid("the line is no command").source(error))).await,
            }
        }
        tasks.close();
        tasks.wait().await;
        self.p.close().await;
        Ok(())
    }

    async fn answer(&self, id: Value, result: Result<Answer>) {
        let answer = match result {
            Ok(Answer::Ok(value)) => json!({"id": id, "ok": value}),
            Ok(Answer::End) => json!({"id": id, "end": true}),
            Ok(Answer::Cancelled) => json!({"id": id, "cancelled": true}),
            Err(error) => json!({"id": id, "error": describe(&error)}),
        };
        let line = format!("{answer}\n");
        let mut stdout = self.stdout.lock().await;
        if stdout.write_all(line.as_bytes()).await.is_err() || stdout.flush().await.is_err() {
            // The runner is gone, and with it the reason to be.
            std::process::exit(1);
        }
    }

    async fn obey(&self, id: u64, command: Command) -> Result<Answer> {
        match command {
            Command::Call(call) => self.call(call).await,
            Command::Open { open } => self.open(id, open).await,
            Command::Next { next, cancel_after } => {
                let stream = self.stream(next)?;
                cancelled_after(cancel_after, stream.next()).await
            }
            Command::Send { send, message } => self.stream(send)?.send(Ok(message.to_string().into())).await,
            Command::Finish { finish } => self.stream(finish)?.finish().await,
            Command::Fail { fail } => {
                let failure = Error::new(Reason::RequestCancelled, "the upload failed, as it was told to");
                self.stream(fail)?.send(Err(failure)).await
            }
            Command::Close { close } => {
                let stream = self.streams().remove(&close).ok_or_else(|| unknown_stream(close))?;
                stream.closed.cancel();
                Ok(Answer::Ok(empty()))
            }
            Command::Cancel { cancel } => {
                if let Some(running) = self.running().remove(&cancel) {
                    running.cancel();
                }
                Ok(Answer::Ok(empty()))
            }
            Command::Advance { advance } => self.advance(Duration::from_millis(advance)).await,
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, id: u64) -> Result<Arc<Stream>> {
        self.streams().get(&id).cloned().ok_or_else(|| unknown_stream(id))
    }

    fn method(&self, call: &Call) -> Result<(&'static codec::Method, Cx)> {
        let operation = format!("{}.{}", call.api, call.method);
        let mut methods = pillion::proto::METHODS.iter().chain(pillion::proto::LOCAL_METHODS);
        let method = methods.find(|method| method.info.operation == operation);
        let method = method.ok_or_else(|| {
            Error::new(Reason::RequestUnknownMethod, format!("there is no method `{operation}` in the contract"))
        })?;
        let mut p = self.p.clone();
        if let Some(app_id) = &call.app_id {
            p = p.with_app_id(app_id);
        }
        if let Some(timeout) = call.timeout {
            p = p.with_timeout(Duration::from_millis(timeout));
        }
        let mut cx = p.cx();
        if call.timeout.is_none() && method.info.shape != Shape::Unary {
            cx.deadline = None;
        }
        if let Some(token) = &call.token {
            cx.token = Some(token.as_str().into());
        }
        Ok((method, cx))
    }

    async fn call(&self, call: Call) -> Result<Answer> {
        let (method, cx) = self.method(&call)?;
        if method.info.shape != Shape::Unary {
            return Err(invalid(format!("{} has a stream: open it", method.info.operation)));
        }
        let input = Input::One(call.args.to_string().into());
        let answer = async {
            match (method.json)(self.p.apis(), cx, input).await? {
                Output::One(bytes) => Ok(Answer::Ok(parse(&bytes)?)),
                Output::Many(_) => Err(invalid("the answer is a stream")),
            }
        };
        cancelled_after(call.cancel_after, answer).await
    }

    async fn open(&self, id: u64, call: Call) -> Result<Answer> {
        let (method, cx) = self.method(&call)?;
        let stream = match method.info.shape {
            Shape::Unary => return Err(invalid(format!("{} has no stream: call it", method.info.operation))),
            Shape::ServerStream => {
                let input = Input::One(call.args.to_string().into());
                match (method.json)(self.p.apis(), cx, input).await? {
                    Output::Many(events) => Stream::of(method.info, None, Receiving::Many(events)),
                    Output::One(_) => return Err(invalid("the answer is no stream")),
                }
            }
            Shape::ClientStream | Shape::Duplex => {
                let (sender, receiver) = mpsc::channel(UPLOAD_QUEUE);
                let messages = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<Result<Bytes>>| async {
                    Some((receiver.recv().await?, receiver))
                });
                // It answers only when something was sent, so it cannot be awaited here.
                let call = tokio::spawn((method.json)(self.p.apis(), cx, Input::Many(Events::new(messages))));
                Stream::of(method.info, Some(sender), Receiving::Opening(AbortOnDropHandle::new(call)))
            }
        };
        self.streams().insert(id, Arc::new(stream));
        Ok(Answer::Ok(empty()))
    }

    #[cfg(feature = "testing")]
    async fn advance(&self, time: Duration) -> Result<Answer> {
        let kit = self.p.testing().map_err(|_| no_clock())?;
        kit.advance(time).await?;
        Ok(Answer::Ok(empty()))
    }

    #[cfg(not(feature = "testing"))]
    async fn advance(&self, _: Duration) -> Result<Answer> {
        Err(no_clock())
    }
}

struct Stream {
    info: &'static CallInfo,
    closed: CancellationToken,
    upload: Mutex<Option<mpsc::Sender<Result<Bytes>>>>,
    receiving: AsyncMutex<Receiving>,
}

enum Receiving {
    Opening(AbortOnDropHandle<Result<Output>>),
    Many(Events<Bytes>),
    Ended,
}

impl Stream {
    fn of(info: &'static CallInfo, upload: Option<mpsc::Sender<Result<Bytes>>>, receiving: Receiving) -> Self {
        Self {
            info,
            closed: CancellationToken::new(),
            upload: Mutex::new(upload),
            receiving: AsyncMutex::new(receiving),
        }
    }

    fn upload(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Result<Bytes>>>> {
        self.upload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, message: Result<Bytes>) -> Result<Answer> {
        let sender = self.upload().clone().ok_or_else(|| invalid("nothing can be sent on this stream"))?;
        // A call that ended takes no more; `next` and `finish` say how it ended.
        let _ = sender.send(message).await;
        Ok(Answer::Ok(empty()))
    }

    async fn finish(&self) -> Result<Answer> {
        let sender = self.upload().take();
        drop(sender);
        if self.info.shape == Shape::ClientStream { self.next().await } else { Ok(Answer::Ok(empty())) }
    }

    /// The next answer of the stream, or the one answer of an upload.
    async fn next(&self) -> Result<Answer> {
        let next = async {
            let mut receiving = self.receiving.lock().await;
            if let Receiving::Opening(call) = &mut *receiving {
                let output = call.await.map_err(|error| invalid("the call was lost").source(error));
                *receiving = Receiving::Ended;
                match output?? {
                    Output::One(bytes) => return Ok(Answer::Ok(parse(&bytes)?)),
                    Output::Many(events) => *receiving = Receiving::Many(events),
                }
            }
            let Receiving::Many(events) = &mut *receiving else { return Ok(Answer::End) };
            match events.next().await? {
                Some(bytes) => Ok(Answer::Ok(parse(&bytes)?)),
                None => Ok(Answer::End),
            }
        };
        self.closed.run_until_cancelled(next).await.unwrap_or(Ok(Answer::Cancelled))
    }
}

/// Drops `call` after so many milliseconds, as a program of this language cancels.
async fn cancelled_after(after: Option<u64>, call: impl Future<Output = Result<Answer>>) -> Result<Answer> {
    let Some(after) = after else { return call.await };
    #[allow(clippy::disallowed_methods)] // the runner's time is real time
    let done = tokio::time::timeout(Duration::from_millis(after), call).await;
    done.unwrap_or(Ok(Answer::Cancelled))
}

fn parse(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| invalid("the answer is no JSON").source(error))
}

fn describe(error: &Error) -> Value {
    let metadata: serde_json::Map<_, _> =
        error.details().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    json!({
        "category": error.category().short_name(),
        "reason": error.reason(),
        "outcome": error.outcome().short_name(),
        "message": error.message(),
        "component": error.component_name(),
        "retryable": error.retryable(),
        "metadata": metadata,
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Reason::RequestInvalid, message)
}

fn unknown_stream(id: u64) -> Error {
    invalid(format!("there is no open stream {id}"))
}

fn no_clock() -> Error {
    Error::new(Reason::ComponentUnsupported, "this driver cannot move the clock")
}
