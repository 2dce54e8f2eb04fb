//! The stores below a sidecar, and how each can be made to fail.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use pillion_spi::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::server::{Fsync, PATIENCE, RedisOptions, RedisServer};

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// `state.memory`
    Memory,
    /// `state.local`
    Local,
    /// `state.redis`
    Redis,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Local => "local",
            Self::Redis => "redis",
        }
    }

    /// The failure points at which a sidecar on it can end, and how.
    pub fn points(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &[],
            Self::Local => &[
                "local.before_commit=abort",
                "local.after_commit=abort",
                "local.before_commit=hold",
                "local.after_commit=hold",
            ],
            Self::Redis => &["redis.before_send=abort", "redis.after_reply=abort"],
        }
    }
}

/// A store.
#[derive(Debug)]
pub struct Backend {
    kind: Kind,
    redis: Option<Redis>,
}

/// A server with a faulty network before it.
#[derive(Debug)]
pub struct Redis {
    /// The server. It syncs every write before it acknowledges it.
    pub server: RedisServer,
    /// The network.
    pub proxy: Proxy,
}

impl Backend {
    /// Starts what the store needs; `seed` is for the network.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(kind: Kind, seed: u64) -> Result<Self> {
        let redis = match kind {
            Kind::Memory | Kind::Local => None,
            Kind::Redis => {
                let options = RedisOptions { append_only: Some(Fsync::Always), ..RedisOptions::default() };
                let server = RedisServer::start(options).await?;
                let proxy = Proxy::start(server.port(), seed).await?;
                Some(Redis { server, proxy })
            }
        };
        Ok(Self { kind, redis })
    }

    /// Which it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The server, if there is one.
    ///
    /// # Errors
    /// That there is none.
    pub fn redis(&self) -> Result<&Redis> {
        self.redis.as_ref().with_context(|| format!("{} is no server", self.kind.name()))
    }

    /// Whether it is a process of its own.
    pub fn is_server(&self) -> bool {
        self.redis.is_some()
    }

    /// The settings of a component on it; data of `state.local` is kept beside the configuration.
    pub fn component(&self) -> Value {
        match &self.redis {
            None => self.direct(),
            Some(redis) => json!({"type": "state.redis", "url": format!("redis://127.0.0.1:{}", redis.proxy.port())}),
        }
    }

    /// The same, without the faulty network.
    pub fn direct(&self) -> Value {
        match (&self.redis, self.kind) {
            (Some(redis), _) => json!({"type": "state.redis", "url": redis.server.url()}),
            (None, Kind::Memory) => json!({"type": "state.memory"}),
            (None, _) => json!({"type": "state.local", "dir": "./data"}),
        }
    }

    /// Kills the server.
    ///
    /// # Errors
    /// That there is none, or it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.redis.as_mut().context("there is no server")?.server.kill()
    }

    /// Starts the server again, on what it had.
    ///
    /// # Errors
    /// That it does not start.
    pub async fn launch(&mut self) -> Result<()> {
        self.redis.as_mut().context("there is no server")?.server.launch().await
    }

    /// Waits until the server has noticed that clients which were killed are gone: until then it
    /// may still find writes of theirs in its sockets.
    ///
    /// # Errors
    /// That it does not notice within [`PATIENCE`].
    pub async fn forget_clients(&self) -> Result<()> {
        let Some(redis) = &self.redis else { return Ok(()) };
        let mut client = redis.server.client().await?;
        let deadline = SystemClock.now() + PATIENCE;
        loop {
            let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut client).await?;
            // Only we are left.
            if list.lines().count() <= 1 {
                return Ok(());
            }
            if SystemClock.now() >= deadline {
                bail!("the server still has clients:\n{list}");
            }
            SystemClock.sleep(Duration::from_millis(2)).await;
        }
    }
}
