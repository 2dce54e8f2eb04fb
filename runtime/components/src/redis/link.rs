//! One connection that is kept up: dialled, watched, given up when it is silent, and replaced.
//!
//! A link belongs to one worker and lives on that worker's runtime. It is made by the first call
//! and then looked after by one task, which holds the connection's driver, too: when the task
//! ends, for whatever reason, nothing of the link is left.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pillion_spi::state::Trouble;
use pillion_spi::{Error, Kind, Result};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::sync::watch;

use super::error::Fault;
use super::probe::probe;
use super::server::{Driver, LONGEST_PAUSE, Server};

/// How often the server's settings are looked at again, which also shows whether an idle server is
/// still there.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(15);

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
struct Meter {
    waiting: AtomicU64,
    answered: AtomicU64,
    /// Somebody gave up waiting, so an answer is due that nobody waits for.
    abandoned: AtomicBool,
    /// It was given up because nothing was answered for too long.
    silent: AtomicBool,
    /// It leads to the wrong server.
    astray: AtomicBool,
}

impl Live {
    pub(super) fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, meter: Arc::default() }
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

    /// Completes when something was asked and nothing answered for `patience`, or when the
    /// connection shall be [renewed](Self::renew), and tells why.
    pub(super) async fn broken(&self, server: &Server) -> Error {
        let patience = server.response_timeout;
        const STEPS: u32 = 4;
        let meter = &self.meter;
        let mut answered = meter.answered.load(Ordering::Relaxed);
        let mut silent = 0;
        while silent < STEPS {
            server.env.clock.sleep(patience / STEPS).await;
            if meter.astray.load(Ordering::Relaxed) {
                return Error::unavailable(format!("{} is a read-only replica", server.name()));
            }
            let now = meter.answered.load(Ordering::Relaxed);
            if now != answered {
                // Redis answers in order: what was abandoned before is answered by now or next.
                meter.abandoned.store(false, Ordering::Relaxed);
                answered = now;
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
        if self.answered {
            self.meter.answered.fetch_add(1, Ordering::Relaxed);
        } else {
            self.meter.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

enum State {
    /// Nobody looks after the link.
    Idle,
    /// The first attempt is under way: it is worth waiting for.
    Connecting,
    Up(Live),
    Down(Trouble),
    Closed,
}

/// A connection of one worker.
pub(super) struct Link {
    server: Arc<Server>,
    state: watch::Sender<State>,
}

impl Link {
    pub(super) fn new(server: Arc<Server>) -> Arc<Self> {
        Arc::new(Self { server, state: watch::Sender::new(State::Idle) })
    }

    /// The connection. Waits while one is being made, and fails at once while there is none.
    pub(super) async fn live(self: &Arc<Self>) -> Result<Live, Fault> {
        loop {
            match &*self.state.borrow() {
                State::Up(live) => return Ok(live.clone()),
                State::Down(trouble) => {
                    return Err(Fault::NotSent(Error::unavailable(trouble.cause.clone())));
                }
                State::Closed => return Err(Fault::NotSent(Error::unavailable("the store was closed"))),
                State::Idle | State::Connecting => {}
            }
            self.start();
            // Bounded: the task ends an attempt after `connect_timeout`. The sender is this link's.
            let _ = self.state.subscribe().wait_for(|state| !matches!(state, State::Connecting)).await;
        }
    }

    /// What is wrong, if something is.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match &*self.state.borrow() {
            State::Down(trouble) => Some(trouble.clone()),
            _ => None,
        }
    }

    /// Whether the link has a connection.
    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// Refuses all further calls.
    pub(super) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    fn start(self: &Arc<Self>) {
        let closing = self.server.env.closing().is_cancelled();
        let started = self.state.send_if_modified(|state| {
            let idle = matches!(state, State::Idle);
            if idle {
                *state = if closing { State::Closed } else { State::Connecting };
            }
            idle
        });
        if started && !closing {
            // Made here and not inside the task: a runtime may drop a task before its first poll.
            let reset = Reset(self.clone());
            self.server.env.spawn(async move { reset.0.look_after().await });
        }
    }

    fn set(&self, next: State) {
        self.state.send_if_modified(|state| {
            let open = !matches!(state, State::Closed);
            if open {
                *state = next;
            }
            open
        });
    }

    /// Keeps the connection up until the task is dropped.
    async fn look_after(&self) {
        let clock = &self.server.env.clock;
        let mut failures = 0;
        let mut since = None;
        loop {
            let error = match self.server.connect(None).await {
                Ok((live, driver, facts)) => {
                    self.server.learn(facts);
                    since = None;
                    let began = clock.now();
                    self.set(State::Up(live.clone()));
                    let error = self.serve(&live, driver).await;
                    if clock.now() - began > LONGEST_PAUSE {
                        failures = 0;
                    }
                    // Most connections end because the server or something in between closes them,
                    // and the next works at once: calls wait for it. Not after silence, and not
                    // when fresh connections are dropped again and again.
                    if failures == 0 && error.kind() != Kind::Deadline {
                        failures = 1;
                        self.set(State::Connecting);
                        continue;
                    }
                    error
                }
                Err(error) => error,
            };
            let since = *since.get_or_insert_with(|| clock.wall());
            tracing::debug!(component = %self.server.env.name, %error, "no connection to Redis");
            self.set(State::Down(Trouble { cause: error.to_string(), since }));
            self.server.pause(failures).await;
            failures += 1;
        }
    }

    /// Drives a connection until it ends, and tells why it did.
    async fn serve(&self, live: &Live, driver: Driver) -> Error {
        let server = &self.server;
        tokio::select! {
            () = driver => Error::unavailable(format!("{} closed the connection", server.name())),
            broken = live.broken(server) => broken,
            never = self.look_again(live) => match never {},
        }
    }

    /// Looks at the server's settings now and then.
    async fn look_again(&self, live: &Live) -> Infallible {
        loop {
            self.server.env.clock.sleep(LOOK_AGAIN).await;
            // A failure is not news: what it means for the connection is found out elsewhere.
            if let Ok(facts) = probe(live).await {
                self.server.learn(facts);
            }
        }
    }
}

/// Lets the next call start over when the task ends with the runtime it lived on.
struct Reset(Arc<Link>);

impl Drop for Reset {
    fn drop(&mut self) {
        self.0.set(State::Idle);
    }
}
