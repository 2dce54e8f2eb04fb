//! State in Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pillion_spi::caps::{FirstWrite, StateCaps, Transact, Ttl, Watch};
use pillion_spi::state::{
    Applied, ApplyOptions, Consistency, Entry, Key, Op, Page, ReadOptions, Scan, StateStore, Trouble, WatchSpec,
    WatchStream,
};
use pillion_spi::worker::PerWorker;
use pillion_spi::{Component, OpenEnv, Refusal, Result};

use super::config::StateConfig;
use super::error::Fault;
use super::layout;
use super::link::Link;
use super::live::Live;
use super::read::{self, Part};
use super::script::{Group, Memory};
use super::server::Server;
use super::{scan, watch, write};
use crate::repeat::{self, Call};

/// The longest wait for replicas to confirm a write; less if the caller has less time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const MAX_KEY: usize = 64 << 10;
const MAX_OPS: usize = 1000;
/// Each takes a connection, and the server has its `maxclients` for everybody.
const MAX_WATCHES: usize = 256;

/// State in Redis: see [`StateConfig`].
pub struct State {
    server: Arc<Server>,
    links: PerWorker<Arc<Link>>,
    /// For writes that wait for replicas, and hold up what comes behind them.
    strong_links: PerWorker<Arc<Link>>,
}

#[async_trait]
impl Component for State {
    const TYPE: &'static str = "state.redis";

    type Config = StateConfig;

    fn check(config: &StateConfig) -> Result<(), Refusal> {
        config.target().map(drop)
    }

    async fn open(config: StateConfig, env: OpenEnv) -> Result<Self> {
        let workers = env.workers;
        let server = Arc::new(Server::open(&config, env).await?);
        Ok(Self { server, links: PerWorker::new(workers), strong_links: PerWorker::new(workers) })
    }

    async fn close(&self) {
        for link in self.all_links() {
            link.close();
        }
        self.server.env.finish_tasks().await;
    }
}

impl State {
    fn link(&self) -> &Arc<Link> {
        self.links.get_or_init(|| Link::new(self.server.clone()))
    }

    fn all_links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.links.iter().chain(self.strong_links.iter())
    }

    async fn live(&self) -> Result<Live> {
        self.link().live().await.map_err(Fault::of_read)
    }

    /// How long to wait for replicas: the caller's time must suffice to be told.
    fn patience(&self, deadline: Option<Instant>) -> Duration {
        let longest = LONGEST_WAIT.min(self.server.response_timeout / 2);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(self.server.env.clock.now()));
        left.map_or(longest, |left| longest.min(left * 3 / 4))
    }
}

#[async_trait]
impl StateStore for State {
    fn caps(&self) -> StateCaps {
        let facts = self.server.facts();
        let mut caps = StateCaps::default();
        caps.conditions = true;
        caps.first_write = FirstWrite::Sticky;
        caps.ttl = Ttl::Exact;
        caps.transact = Transact::All;
        caps.list = true;
        caps.watch = if facts.notifies { Watch::Live } else { Watch::None };
        caps.content_type = true;
        caps.strong_reads = !facts.replica;
        // Where the server may drop what expires, a repeated call would not be recognised.
        caps.idempotency = (!facts.evicts).then_some(repeat::WINDOW);
        caps.max_key = MAX_KEY;
        caps.max_ops = MAX_OPS;
        caps.max_watches = MAX_WATCHES;
        caps.durability = facts.durability;
        caps
    }

    async fn read(&self, keys: &[Key], _: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        let live = self.live().await?;
        read::read(&live, keys, Part::Whole).await
    }

    async fn apply(&self, ops: Vec<Op>, options: ApplyOptions) -> Result<Applied> {
        let facts = self.server.facts();
        let durability = facts.durability;
        if ops.is_empty() {
            return Ok(Applied { outcomes: Vec::new(), durability });
        }
        let remember = Call::new(&ops, &options).map(|call| Memory {
            key: format!("{}idempotency||{}", layout::OWN_PREFIX, call.id),
            digest: call.digest,
            window: repeat::WINDOW,
        });
        let group = Group { atomic: options.atomic, remember };
        let strong = options.consistency == Consistency::Strong && facts.replicas > 0;
        let outcomes = if strong {
            let link = self.strong_links.get_or_init(|| Link::new(self.server.clone()));
            let patience = self.patience(options.deadline);
            write::apply_on_replicas(&self.server, link, &ops, &group, facts.replicas, patience).await?
        } else {
            write::apply(&self.server, self.link(), &ops, &group).await?
        };
        Ok(Applied { outcomes, durability })
    }

    async fn scan(&self, scan: Scan) -> Result<Page> {
        let live = self.live().await?;
        scan::page(&live, &scan).await
    }

    async fn watch(&self, spec: WatchSpec) -> Result<WatchStream> {
        watch::watch(self.server.clone(), spec).await
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.all_links().any(|link| link.is_up()) {
            return None;
        }
        self.all_links().find_map(|link| link.trouble())
    }
}
