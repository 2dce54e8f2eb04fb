//! A connection in use: what is asked on it, and whether anybody is still at the other end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use pillion_spi::network::Connection;
use pillion_spi::{Error, Kind, Result};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::Fault;
use super::server::Server;

/// A connection that works, as far as is known.
#[derive(Clone)]
pub(super) struct Live {
    connection: MultiplexedConnection,
    meter: Arc<Meter>,
}

/// What to subscribe to.
#[derive(Clone, Copy)]
pub(super) enum Channel<'a> {
    Named(&'a str),
    Matching(&'a str),
}

/// What is under way on a connection.
#[derive(Default)]
pub(super) struct Meter {
    /// Callers that wait for an answer.
    waiting: AtomicU64,
    /// Grows with everything that shows that the other end is there.
    signs: AtomicU64,
    /// Somebody gave up waiting, so an answer is due that nobody waits for.
    abandoned: AtomicBool,
    /// It was given up because nothing was answered for too long.
    silent: AtomicBool,
    /// It leads to the wrong server.
    astray: AtomicBool,
}

impl Live {
    /// A connection whose bytes go through a [`Metered`] stream on the same meter.
    pub(super) fn new(connection: MultiplexedConnection, meter: Arc<Meter>) -> Self {
        Self { connection, meter }
    }

    /// Sends a command and waits for the answer, for as long as the connection is held to be
    /// alive. An error of the server is a [`Fault`].
    pub(super) async fn send(&self, cmd: &Cmd) -> Result<Value, Fault> {
        let mut connection = self.connection.clone();
        match self.count(connection.send_packed_command(cmd)).await? {
            Value::ServerError(error) => Err(Fault::Refused(error)),
            value => Ok(value),
        }
    }

    /// Sends several commands at once. Errors of the server stand among the answers.
    pub(super) async fn send_all(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Fault> {
        let mut connection = self.connection.clone();
        self.count(connection.send_packed_commands(pipeline, 0, pipeline.len())).await
    }

    /// Subscribes to a channel, or to all that match a pattern, and waits for the confirmation.
    pub(super) async fn subscribe(&self, channel: Channel<'_>) -> Result<(), Fault> {
        let mut connection = self.connection.clone();
        match channel {
            Channel::Named(name) => self.count(connection.subscribe(name)).await,
            Channel::Matching(pattern) => self.count(connection.psubscribe(pattern)).await,
        }
    }

    /// Has the connection replaced: the server is not the one to talk to any more, and its name
    /// may lead to another one by now.
    pub(super) fn renew(&self) {
        self.meter.astray.store(true, Ordering::Relaxed);
    }

    async fn count<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, Fault> {
        let waiting = Waiting::begin(&self.meter);
        let answer = call.await;
        waiting.end();
        answer.map_err(|error| self.lost(error))
    }

    fn lost(&self, error: RedisError) -> Fault {
        if self.meter.silent.load(Ordering::Relaxed) {
            return Fault::Lost(Error::new(Kind::Deadline, "Redis did not answer in time"));
        }
        match redis::ServerError::try_from(error) {
            Ok(error) => Fault::Refused(error),
            Err(error) => {
                Fault::Lost(Error::unavailable("the connection to Redis was lost before it answered").source(error))
            }
        }
    }

    /// Completes when something was asked and there was no sign of the server for its response
    /// timeout, or when the connection shall be [renewed](Self::renew), and tells why.
    ///
    /// One timer looks now and then, so that the calls need none. It is late by a quarter at most: a
    /// call may begin right after a step, and an answer to one before it make that step no silent one.
    pub(super) async fn broken(&self, server: &Server) -> Error {
        const STEPS: u32 = 8;
        let meter = &self.meter;
        let mut seen = meter.signs.load(Ordering::Relaxed);
        let mut silent = 0;
        // The first of the silent steps may have begun before the call.
        while silent <= STEPS {
            server.env.clock.sleep(server.response_timeout / STEPS).await;
            if meter.astray.load(Ordering::Relaxed) {
                return Error::unavailable(format!("{} is a read-only replica", server.name()));
            }
            let signs = meter.signs.load(Ordering::Relaxed);
            if signs != seen {
                // Redis answers in order: what was abandoned before is answered by now or next.
                meter.abandoned.store(false, Ordering::Relaxed);
                seen = signs;
                silent = 0;
            } else if meter.waiting.load(Ordering::Relaxed) > 0 || meter.abandoned.load(Ordering::Relaxed) {
                silent += 1;
            } else {
                silent = 0;
            }
        }
        meter.silent.store(true, Ordering::Relaxed);
        Error::new(Kind::Deadline, format!("{} did not answer in time", server.name()))
    }
}

/// One call that waits for its answer.
struct Waiting<'a> {
    meter: &'a Meter,
    answered: bool,
}

impl<'a> Waiting<'a> {
    fn begin(meter: &'a Meter) -> Self {
        meter.waiting.fetch_add(1, Ordering::Relaxed);
        Self { meter, answered: false }
    }

    fn end(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.meter.waiting.fetch_sub(1, Ordering::Relaxed);
        if !self.answered {
            self.meter.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

/// A stream that notes signs of the other end: bytes that arrive, and bytes that could be sent
/// only because earlier ones were taken. A large value that is under way for long is not silence,
/// and what vanishes into the buffers of a dead connection is no sign of life.
pub(super) struct Metered {
    inner: Box<dyn Connection>,
    meter: Arc<Meter>,
    stuck: bool,
}

impl Metered {
    pub(super) fn new(inner: Box<dyn Connection>, meter: Arc<Meter>) -> Self {
        Self { inner, meter, stuck: false }
    }

    fn sign(&self) {
        self.meter.signs.fetch_add(1, Ordering::Relaxed);
    }

    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.stuck = true,
            Poll::Ready(Ok(_)) if self.stuck => {
                self.stuck = false;
                self.sign();
            }
            Poll::Ready(_) => {}
        }
        written
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        self.sign();
        Poll::Ready(read)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
