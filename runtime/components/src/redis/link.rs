//! One connection that is kept up: dialled, watched, given up when it is silent, and replaced.
//!
//! A link belongs to one worker and lives on that worker's runtime. It is made by the first call
//! and then looked after by one task, which holds the connection's driver, too: when the task
//! ends, for whatever reason, nothing of the link is left.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use pillion_spi::state::Trouble;
use pillion_spi::{Error, Kind, Result};
use tokio::sync::watch;

use super::error::Fault;
use super::live::Live;
use super::probe::probe;
use super::server::{Driver, LONGEST_PAUSE, Server};

/// How often the server's settings are looked at again, which also shows whether an idle server is
/// still there.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(15);

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
            let (error, driver) = match self.server.connect(None).await {
                Ok((live, mut driver, facts)) => {
                    self.server.learn(facts);
                    self.server.rejoice();
                    since = None;
                    let began = clock.now();
                    self.set(State::Up(live.clone()));
                    let error = self.serve(&live, &mut driver).await;
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
                    (error, Some(driver))
                }
                Err(error) => (error, None),
            };
            let since = *since.get_or_insert_with(|| clock.wall());
            self.server.complain(&error);
            self.set(State::Down(Trouble { cause: error.to_string(), since }));
            // Only now: with it end the calls that wait, and the next ones must find the link down.
            drop(driver);
            self.server.pause(failures).await;
            failures += 1;
        }
    }

    /// Drives a connection until it ends, and tells why it did.
    async fn serve(&self, live: &Live, driver: &mut Driver) -> Error {
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
            if let Ok(facts) = probe(live, &self.server.env.name).await {
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
