//! What the tests of `state.local` share.

#![allow(dead_code)] // each test file uses a part

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use pillion_components::local::{State, StateConfig};
use pillion_spi::state::{
    Action, ApplyOptions, Condition, Entry, Expiry, Key, Op, OpOutcome, ReadOptions, StateStore, Version, WatchEvent,
    WatchSpec, WatchStream,
};
use pillion_spi::{Clock, Component, Error, OpenEnv, VirtualClock};
use tempfile::TempDir;

/// A store in a folder of its own.
pub struct Fixture {
    pub state: State,
    pub clock: Arc<VirtualClock>,
    pub env: OpenEnv,
    pub dir: TempDir,
}

pub fn env(clock: Arc<dyn Clock>) -> OpenEnv {
    let mut env = OpenEnv::new("state");
    env.clock = clock;
    env
}

pub async fn open_in(dir: &Path, env: OpenEnv) -> Result<State, Error> {
    State::open(StateConfig { dir: dir.to_owned() }, env).await
}

pub async fn open() -> Fixture {
    let (clock, dir) = (Arc::new(VirtualClock::default()), TempDir::new().unwrap());
    let env = env(clock.clone());
    Fixture { state: open_in(dir.path(), env.clone()).await.unwrap(), clock, env, dir }
}

pub fn put(key: &str, value: &[u8], expiry: Expiry) -> Op {
    let action = Action::Put { value: Bytes::copy_from_slice(value), content_type: None, expiry };
    Op { key: Key::new(key), condition: Condition::None, action }
}

pub fn delete(key: &str) -> Op {
    Op { key: Key::new(key), condition: Condition::None, action: Action::Delete }
}

pub fn file(dir: &Path) -> PathBuf {
    dir.join("pillion.db")
}

impl Fixture {
    /// Closes the store and opens the file again, as another process would.
    pub async fn restart(&mut self) {
        self.restart_with(self.clock.clone()).await;
    }

    pub async fn restart_with(&mut self, clock: Arc<dyn Clock>) {
        self.state.close().await;
        self.env = env(clock);
        self.state = open_in(self.dir.path(), self.env.clone()).await.unwrap();
    }

    pub async fn watch(&self, after: Option<u64>) -> WatchStream {
        let mut spec = WatchSpec::default();
        spec.after = after;
        self.state.watch(spec).await.unwrap()
    }
}

pub async fn apply(state: &State, ops: Vec<Op>) -> Vec<OpOutcome> {
    state.apply(ops, ApplyOptions::default()).await.unwrap().outcomes
}

pub async fn set(state: &State, key: &str, value: &[u8]) -> Version {
    match apply(state, vec![put(key, value, Expiry::Never)]).await.remove(0) {
        OpOutcome::Applied { version: Some(version), .. } => version,
        other => panic!("{other:?}"),
    }
}

pub async fn get(state: &State, key: &str) -> Option<Entry> {
    state.read(&[Key::new(key)], ReadOptions::default()).await.unwrap().remove(0).unwrap()
}

pub async fn next(stream: &mut WatchStream) -> WatchEvent {
    stream.next().await.expect("the watch ended").unwrap()
}

pub async fn synced(stream: &mut WatchStream) -> u64 {
    match next(stream).await {
        WatchEvent::Synced { revision } => revision,
        other => panic!("{other:?} instead of Synced"),
    }
}
