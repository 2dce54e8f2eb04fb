//! `state.memory`.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use pillion_spi::caps::{FirstWrite, StateCaps, Transact, Ttl, Watch};
use pillion_spi::error::{Error, Result};
use pillion_spi::state::{
    Applied, ApplyOptions, Entry, Key, Op, Page, ReadOptions, Scan, StateStore, WatchSpec, WatchStream,
};
use pillion_spi::{ByteSize, Clock, Component, Durability, LocalDurability, OpenEnv, Random, Refusal, Replication};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

use super::table::{self, Table};
use crate::repeat::{self, Call};
use crate::watch::{self, Backlog, Hub, Present, Scope, Source};

/// How many expired entries are removed at a time, so that callers are not held up.
const EXPIRY_CHUNK: usize = 1000;
/// The longest sleep until the next expiry. Timers stand still while the machine is suspended and
/// expiry does not, so a long one would report it late.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Settings of `state.memory`, a store in the memory of the process. Its entries belong to this
/// process alone and end with it. It has every capability, so it suits tests, development and
/// caches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// How much memory the entries may take: keys, values, content types and 256 bytes of
    /// bookkeeping for each. A write that would need more is rejected as exhausted; deleting and
    /// expiry make room. Default `64MiB`, at least `4KiB`.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: ByteSize,
}

fn default_max_bytes() -> ByteSize {
    ByteSize::mib(64)
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { max_bytes: default_max_bytes() }
    }
}

/// A state store in memory. Expired entries are never readable; they are also removed as their
/// time comes, on the injected clock, so that they free their memory without being read.
pub struct State {
    inner: Arc<Inner>,
    max_bytes: ByteSize,
    env: OpenEnv,
}

struct Inner {
    table: RwLock<Table>,
    hub: Hub,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// An entry was written that expires before all others.
    earlier: Notify,
}

impl Inner {
    fn read(&self) -> Result<RwLockReadGuard<'_, Table>> {
        open(self.table.read().unwrap_or_else(PoisonError::into_inner), |table| table.is_closed())
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, Table>> {
        open(self.table.write().unwrap_or_else(PoisonError::into_inner), |table| table.is_closed())
    }

    /// Removes expired entries; says how long to wait for the next, `None` if there is none.
    fn expire(&self) -> Result<Option<Duration>> {
        let mut table = self.write()?;
        let now = self.clock.boottime();
        let mut changes = self.hub.is_watched().then(Vec::new);
        table.expire(now, EXPIRY_CHUNK, changes.as_mut());
        self.hub.publish(changes.unwrap_or_default(), table.revision());
        Ok(table.next_deadline().map(|deadline| deadline.saturating_sub(now)))
    }

    async fn keep_expiring(self: Arc<Self>) {
        while let Ok(wait) = self.expire() {
            match wait {
                // Others may want the table before the next chunk.
                Some(Duration::ZERO) => tokio::task::yield_now().await,
                None => self.earlier.notified().await,
                Some(wait) => {
                    tokio::select! {
                        () = self.clock.sleep(wait.min(LONGEST_SLEEP)) => {}
                        () = self.earlier.notified() => {}
                    }
                }
            }
        }
    }
}

fn open<G>(table: G, is_closed: impl Fn(&G) -> bool) -> Result<G> {
    if is_closed(&table) {
        return Err(Error::unavailable("the store is closed"));
    }
    Ok(table)
}

#[async_trait]
impl Component for State {
    const TYPE: &'static str = "state.memory";
    type Config = StateConfig;

    fn check(config: &StateConfig) -> Result<(), Refusal> {
        if config.max_bytes < ByteSize::kib(4) {
            let message = format!("`max_bytes` is {}; it must be at least 4KiB", config.max_bytes);
            return Err(Refusal::new("max_bytes", message));
        }
        Ok(())
    }

    async fn open(config: StateConfig, env: OpenEnv) -> Result<Self> {
        // Random, so that a revision of another process's store is not taken for one of this; small
        // enough for programs that keep numbers as floating point.
        let revision = env.random.u64() >> 14;
        let inner = Arc::new(Inner {
            table: RwLock::new(Table::new(revision, config.max_bytes.get())),
            hub: Hub::new(revision),
            clock: env.clock.clone(),
            random: env.random.clone(),
            earlier: Notify::new(),
        });
        env.spawn(inner.clone().keep_expiring());
        Ok(Self { inner, max_bytes: config.max_bytes, env })
    }

    async fn close(&self) {
        self.env.finish_tasks().await;
        self.inner.table.write().unwrap_or_else(PoisonError::into_inner).close();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // The task would keep the entries alive.
        self.env.closing().cancel();
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
        // What an empty store can hold under the longest key.
        let largest = self.max_bytes.as_usize().saturating_sub(caps.max_key + table::OVERHEAD as usize);
        caps.max_value = caps.max_value.min(largest);
        caps
    }

    async fn read(&self, keys: &[Key], _: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        let table = self.inner.read()?;
        Ok(keys.iter().map(|key| Ok(table.get(key, &*self.inner.clock))).collect())
    }

    async fn apply(&self, ops: Vec<Op>, options: ApplyOptions) -> Result<Applied> {
        let inner = &*self.inner;
        // Before the lock: it reads every byte.
        let call = Call::new(&ops, &options);
        let mut table = inner.write()?;
        let now = inner.clock.boottime();
        let before = table.next_deadline();
        let mut changes = inner.hub.is_watched().then(Vec::new);
        let outcomes = table.call(&ops, options.atomic, call, now, &inner.random, changes.as_mut());
        // A failed call may have changed something too: it removes what has expired.
        inner.hub.publish(changes.unwrap_or_default(), table.revision());
        let sooner = match (before, table.next_deadline()) {
            (Some(before), Some(next)) => next < before,
            (None, next) => next.is_some(),
            (Some(_), None) => false,
        };
        drop(table);
        if sooner {
            inner.earlier.notify_one();
        }
        Ok(Applied { outcomes: outcomes?, durability: DURABILITY })
    }

    async fn scan(&self, scan: Scan) -> Result<Page> {
        let table = self.inner.read()?;
        table.scan(&scan, self.inner.clock.boottime())
    }

    async fn watch(&self, spec: WatchSpec) -> Result<WatchStream> {
        drop(self.inner.read()?);
        Ok(watch::watch(self.inner.clone(), spec, self.env.closing().clone()))
    }
}

const DURABILITY: Durability = Durability::new(LocalDurability::Memory, Replication::Single);

impl Source for Inner {
    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn now(&self) -> Duration {
        self.clock.boottime()
    }

    async fn present(&self, scope: &Scope, after: Option<&Key>) -> Result<Present> {
        Ok(self.read()?.present(scope, after, self.clock.boottime()))
    }

    async fn changes(&self, scope: &Scope, after: u64) -> Result<Backlog> {
        Ok(self.read()?.changes(scope, after))
    }
}
