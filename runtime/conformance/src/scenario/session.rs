//! A way to make calls: through a language's SDK, or over plain HTTP.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::Value;

use super::step::Method;

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The request message in proto3 JSON.
    pub args: Value,
    /// On behalf of which application.
    pub app: Option<String>,
    /// How long the caller waits.
    pub timeout: Option<Duration>,
}

/// How a call ended: with a message, or with an error as an object with `category`, `reason`,
/// `outcome`, `message`, `component`, `retryable` and `metadata`.
pub type Answer = std::result::Result<Value, Value>;

/// Makes calls on one runtime.
///
/// The errors of its methods are those of the session itself: a driver that ended, an answer that
/// breaks the protocol. What the runtime answers is an [`Answer`].
#[async_trait]
pub trait Session: Send + Sync {
    /// What goes over the wire for a request, for people.
    fn shown(&self, request: &Request) -> String;

    /// Begins a call with one request and one answer.
    async fn start(&self, request: Request) -> Result<Box<dyn Pending>>;

    /// Begins a call with streams. An error of the opening is the stream's first message.
    async fn open(&self, request: Request) -> Result<Box<dyn Stream>>;

    /// Moves the clock of the components.
    async fn advance(&self, time: Duration) -> Result<()>;

    /// Ends the session and, where it hosts one, the runtime: in order, or at once.
    async fn end(&self, at_once: bool) -> Result<()>;
}

/// A call under way.
#[async_trait]
pub trait Pending: Send {
    /// Waits for its answer.
    async fn answer(self: Box<Self>) -> Result<Answer>;

    /// Gives it up.
    async fn cancel(self: Box<Self>) -> Result<()>;
}

/// A call with streams.
#[async_trait]
pub trait Stream: Send {
    /// The next message; `None` at the end.
    async fn next(&mut self) -> Result<Option<Answer>>;

    /// Sends a message.
    async fn send(&mut self, message: Value) -> Result<()>;

    /// Ends the upload as complete. Of a method with one answer, this is the answer.
    async fn finish(&mut self) -> Result<Answer>;

    /// Lets the upload fail.
    async fn fail(&mut self) -> Result<()>;

    /// Gives the call up.
    async fn close(self: Box<Self>) -> Result<()>;
}
