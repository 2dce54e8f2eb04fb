//! A Redis server of one's own, and short ways to ask a store.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub(crate) mod log;
pub(crate) mod network;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use pillion_components::redis::{State, StateConfig};
use pillion_spi::state::{
    Action, Applied, ApplyOptions, Condition, Entry, Expiry, Key, Op, OpOutcome, ReadOptions, StateStore, Version,
};
use pillion_spi::{Component, Error, OpenEnv};
use serde_json::json;

/// A `redis-server` in its own folder, on a free port and a Unix socket. Killed when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    arguments: Vec<String>,
    pub(crate) port: u16,
    pub(crate) dir: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let arguments = arguments.iter().map(|argument| argument.to_string()).collect();
        let mut server = Self { child: None, arguments, port, dir: tempfile::tempdir().unwrap() };
        server.resume_from_disk();
        server
    }

    /// Starts it, again, on the same port and files.
    pub(crate) fn resume_from_disk(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .arg("--dir")
            .arg(self.dir.path())
            .arg("--unixsocket")
            .arg(self.socket())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is not installed");
        self.child = Some(child);
        for _ in 0..500 {
            if std::os::unix::net::UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server did not start");
    }

    /// Starts it again, with further arguments.
    pub(crate) fn restart_with(&mut self, arguments: &[&str]) {
        self.kill();
        self.arguments.extend(arguments.iter().map(|argument| argument.to_string()));
        self.resume_from_disk();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().unwrap();
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    /// A bare client, as another program would use.
    pub(crate) fn client(&self) -> redis::Connection {
        let url = format!("unix://{}", self.socket().display());
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    pub(crate) async fn open(&self) -> State {
        self.open_with(json!({}), OpenEnv::new("test")).await.unwrap()
    }

    /// Opens with further settings.
    pub(crate) async fn open_with(&self, settings: serde_json::Value, env: OpenEnv) -> Result<State, Error> {
        let mut all = json!({ "url": self.url() });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        State::open(config(all), env).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn config(settings: serde_json::Value) -> StateConfig {
    serde_json::from_value(settings).unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name)
}

pub(crate) fn put(name: &str, value: impl Into<Bytes>, condition: Condition) -> Op {
    put_expiring(name, value, condition, Expiry::Never)
}

pub(crate) fn put_expiring(name: &str, value: impl Into<Bytes>, condition: Condition, expiry: Expiry) -> Op {
    Op { key: key(name), condition, action: Action::Put { value: value.into(), content_type: None, expiry } }
}

pub(crate) fn delete(name: &str, condition: Condition) -> Op {
    Op { key: key(name), condition, action: Action::Delete }
}

/// An outcome without the parts that cannot be compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Applied(Option<Version>, bool),
    Conflict(Option<Version>),
    Aborted,
    Failed(pillion_spi::Kind),
}

pub(crate) fn fates(applied: Applied) -> Vec<Fate> {
    let fate = |outcome| match outcome {
        OpOutcome::Applied { version, existed } => Fate::Applied(version, existed),
        OpOutcome::Conflict { found } => Fate::Conflict(found),
        OpOutcome::Aborted => Fate::Aborted,
        OpOutcome::Failed(error) => Fate::Failed(error.kind()),
    };
    applied.outcomes.into_iter().map(fate).collect()
}

pub(crate) async fn apply(store: &State, op: Op) -> Fate {
    fates(store.apply(vec![op], ApplyOptions::default()).await.unwrap()).remove(0)
}

pub(crate) async fn transact(store: &State, ops: Vec<Op>) -> Vec<Fate> {
    let mut options = ApplyOptions::default();
    options.atomic = true;
    fates(store.apply(ops, options).await.unwrap())
}

/// Writes and gives back the version.
pub(crate) async fn written(store: &State, op: Op) -> Version {
    match apply(store, op).await {
        Fate::Applied(Some(version), _) => version,
        other => panic!("not written: {other:?}"),
    }
}

pub(crate) async fn try_read(store: &State, name: &str) -> Result<Option<Entry>, Error> {
    store.read(&[key(name)], ReadOptions::default()).await?.remove(0)
}

pub(crate) async fn read(store: &State, name: &str) -> Option<Entry> {
    try_read(store, name).await.unwrap()
}

/// Waits until `done`, for as long as a test may take.
#[allow(clippy::disallowed_methods, reason = "it polls the world outside")]
pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..3000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain: {what}");
}
