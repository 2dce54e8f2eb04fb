//! State in Redis.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pillion_spi::caps::{FirstWrite, StateCaps, Transact, Ttl};
use pillion_spi::state::{Applied, ApplyOptions, Entry, Key, Op, OpOutcome, ReadOptions, StateStore, Trouble};
use pillion_spi::worker::PerWorker;
use pillion_spi::{Component, Error, OpenEnv, Result};
use redis::{Cmd, Pipeline, ServerErrorKind, Value};

use super::config::Config;
use super::error::Fault;
use super::layout::{self, Found};
use super::link::{Link, Live};
use super::script::{self, By, Group};
use super::server::Server;

/// How long the outcomes of a call with an idempotency key are remembered.
const REMEMBERED: Duration = Duration::from_secs(600);
const MAX_KEY: usize = 64 << 10;
const MAX_OPS: usize = 1000;

/// State in Redis: see [`Config`].
pub struct State {
    server: Arc<Server>,
    links: PerWorker<Arc<Link>>,
}

#[async_trait]
impl Component for State {
    const TYPE: &'static str = "state.redis";

    type Config = Config;

    async fn open(config: Config, env: OpenEnv) -> Result<Self> {
        let workers = env.workers;
        let server = Arc::new(Server::open(&config, env).await?);
        Ok(Self { server, links: PerWorker::new(workers) })
    }

    async fn close(&self) {
        for link in self.links.iter() {
            link.close();
        }
        self.server.env.finish_tasks().await;
    }
}

impl State {
    async fn live(&self) -> Result<Live, Fault> {
        self.links.get_or_init(|| Link::new(self.server.clone())).live().await
    }

    async fn read_plain(live: &Live, key: &Key) -> Result<Option<Entry>> {
        let mut pipeline = Pipeline::with_capacity(2);
        let mut get = Cmd::new();
        get.arg("GET").arg(key.as_str());
        pipeline.add_command(get).add_command(layout::ask_expiry(key));
        let answers = live.send_all(&pipeline).await.map_err(Fault::of_read)?;
        let [value, expiry] = pair(answers)?;
        Found::of_string(value)?.into_entry(key.clone(), expiry)
    }

    /// Runs the script; the server may have forgotten it.
    async fn run(&self, live: &Live, ops: &[Op], group: &Group<'_>) -> Result<Value, Fault> {
        let random = &*self.server.env.random;
        match live.send(&script::call(By::Hash, ops, group, random)).await {
            Err(Fault::Refused(error)) if error.kind() == Some(ServerErrorKind::NoScript) => {
                live.send(&script::call(By::Text, ops, group, random)).await
            }
            answer => answer,
        }
    }

    async fn apply_group(&self, ops: &[Op], group: &Group<'_>) -> Result<Vec<OpOutcome>> {
        let live = self.live().await.map_err(Fault::of_write)?;
        match self.run(&live, ops, group).await.map_err(Fault::of_write)? {
            Value::BulkString(answer) => script::outcomes(&answer, ops.len()),
            other => Err(super::error::unexpected(other)),
        }
    }
}

fn pair(answers: Vec<Value>) -> Result<[Value; 2]> {
    answers.try_into().map_err(|_| Error::internal("Redis gave another number of answers than questions were asked"))
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
        caps.content_type = true;
        caps.strong_reads = !facts.replica;
        // Where the server may drop what expires, a repeated call would not be recognised.
        caps.idempotency = (!facts.evicts).then_some(REMEMBERED);
        caps.max_key = MAX_KEY;
        caps.max_ops = MAX_OPS;
        caps.durability = facts.durability;
        caps
    }

    async fn read(&self, keys: &[Key], _: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        let live = self.live().await.map_err(Fault::of_read)?;
        let mut pipeline = Pipeline::with_capacity(2 * keys.len());
        for key in keys {
            pipeline.add_command(layout::ask_hash(key)).add_command(layout::ask_expiry(key));
        }
        let answers = live.send_all(&pipeline).await.map_err(Fault::of_read)?;
        let mut answers = answers.into_iter();
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            let (Some(hash), Some(expiry)) = (answers.next(), answers.next()) else {
                return Err(Error::internal("Redis gave fewer answers than questions were asked"));
            };
            entries.push(match Found::of_hash(hash) {
                Ok(Found::NotHash) => Self::read_plain(&live, key).await,
                Ok(found) => found.into_entry(key.clone(), expiry),
                Err(error) => Err(error),
            });
        }
        Ok(entries)
    }

    async fn apply(&self, ops: Vec<Op>, options: ApplyOptions) -> Result<Applied> {
        let durability = self.server.facts().durability;
        let Some(first) = ops.first() else {
            return Ok(Applied { outcomes: Vec::new(), durability });
        };
        // The first key is part of it, so that applications that share a server but not a prefix
        // cannot meet in one idempotency key.
        let memory = options
            .idempotency_key
            .as_ref()
            .map(|idempotency_key| format!("{}idempotency||{idempotency_key}||{}", layout::OWN_PREFIX, first.key));
        let group = Group { atomic: options.atomic, remember: memory.as_deref().map(|key| (key, REMEMBERED)) };
        let outcomes = self.apply_group(&ops, &group).await?;
        Ok(Applied { outcomes, durability })
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.links.iter().any(|link| link.is_up()) {
            return None;
        }
        self.links.iter().find_map(|link| link.trouble())
    }
}
