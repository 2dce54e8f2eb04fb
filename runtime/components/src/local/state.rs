//! `state.local`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pillion_spi::caps::{FirstWrite, StateCaps, Transact, Ttl, Watch};
use pillion_spi::error::Result;
use pillion_spi::state::{
    Action, Applied, ApplyOptions, Entry, Key, Op, Page, ReadOptions, Scan, StateStore, Trouble, WatchSpec, WatchStream,
};
use pillion_spi::{Component, OpenEnv, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::{self, Readers};
use super::store::{Shared, Store};
use super::writer::{Call, DURABILITY};
use crate::repeat;
use crate::watch::{self, Backlog, Hub, Present, Scope, Source};

/// A call for so many keys runs on the blocking pool, so as not to hold up its thread.
const MANY_KEYS: usize = 64;

/// Settings of `state.local`, a store in one SQLite file on a disk of this machine. A write is
/// synced to the disk before it is acknowledged, so it survives the loss of power. One process at a
/// time can have it open; others connect to that one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// The folder of the file `pillion.db` and what belongs to it. A relative path begins at the
    /// folder of the configuration file. It is made if it is missing. It must be on a local disk and
    /// belong to this store alone.
    pub dir: PathBuf,
}

/// A state store in one SQLite file.
#[derive(Debug)]
pub struct State {
    store: Store,
    source: Arc<Watched>,
}

#[derive(Debug)]
struct Watched {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
}

#[async_trait]
impl Component for State {
    const TYPE: &'static str = "state.local";
    type Config = StateConfig;

    fn check(config: &StateConfig) -> Result<(), Refusal> {
        if config.dir.as_os_str().is_empty() {
            return Err(Refusal::new("dir", "`dir` is empty").advice("name a folder, `./data` for instance"));
        }
        Ok(())
    }

    fn folder(config: &StateConfig) -> Option<&Path> {
        Some(&config.dir)
    }

    async fn open(config: StateConfig, env: OpenEnv) -> Result<Self> {
        let store = Store::open(&config.dir, env).await?;
        let source = Arc::new(Watched { shared: store.shared.clone(), readers: store.readers.clone() });
        Ok(Self { store, source })
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[async_trait]
impl StateStore for State {
    fn caps(&self) -> StateCaps {
        let mut caps = StateCaps::default();
        caps.conditions = true;
        caps.first_write = FirstWrite::Exact;
        caps.ttl = Ttl::Exact;
        caps.transact = Transact::All;
        caps.list = true;
        caps.ordered_list = true;
        caps.watch = Watch::Resumable;
        caps.content_type = true;
        caps.strong_reads = true;
        caps.idempotency = Some(repeat::WINDOW);
        caps.durability = DURABILITY;
        caps
    }

    async fn read(&self, keys: &[Key], _: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        let now = self.store.shared.clock.now();
        if keys.len() < MANY_KEYS {
            return self.store.readers.get(keys, now);
        }
        read::get_many(&self.store.readers, keys.to_vec(), now).await
    }

    async fn apply(&self, ops: Vec<Op>, options: ApplyOptions) -> Result<Applied> {
        let bytes = ops.iter().map(size).sum();
        let once = repeat::Call::new(&ops, &options);
        let call = Call { ops, atomic: options.atomic, once, bytes, reply: None };
        self.store.write(call).await
    }

    async fn scan(&self, scan: Scan) -> Result<Page> {
        read::scan(&self.store.readers, scan, self.store.shared.clock.now()).await
    }

    async fn watch(&self, spec: WatchSpec) -> Result<WatchStream> {
        Ok(watch::watch(self.source.clone(), spec, self.store.closing().clone()))
    }

    fn trouble(&self) -> Option<Trouble> {
        self.store.shared.trouble().clone()
    }
}

fn size(op: &Op) -> usize {
    op.key.as_str().len()
        + match &op.action {
            Action::Put { value, .. } => value.len(),
            Action::Delete => 0,
        }
}

impl Source for Watched {
    fn hub(&self) -> &Hub {
        &self.shared.hub
    }

    fn now(&self) -> Duration {
        self.shared.clock.elapsed()
    }

    async fn present(&self, scope: &Scope, after: Option<&Key>) -> Result<Present> {
        read::present(&self.readers, scope, after, self.shared.clock.now()).await
    }

    async fn changes(&self, scope: &Scope, after: u64) -> Result<Backlog> {
        read::changes(&self.readers, scope, after).await
    }
}
