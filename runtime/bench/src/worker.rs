//! What runs in a process of its own, so that it can be pinned: servers of our own, and clients.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::clock::now;
use crate::grpc::Client;
use crate::stats::Latency;
use crate::wire::{Call, KEY, value};
use crate::{durable, echo, inprocess};

/// What a worker does, as the only argument of its process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Serves the bare echo until it is ended.
    Echo,
    /// Makes one gRPC call after the other.
    Grpc { address: SocketAddr, call: Call, window: Duration },
    /// Makes one command after the other, or many at a time, straight to Redis.
    Redis { url: String, command: Command, in_flight: usize, window: Duration },
    /// Makes calls in the process itself.
    InProcess { window: Duration },
    /// Writes to SQLite alone and to `state.local`, in the process itself.
    Durable { folder: PathBuf, window: Duration },
}

/// What is asked of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Command {
    Get,
    Set,
}

/// Does a task and writes what it gave to stdout, as one line of JSON.
pub fn run(task: Task) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = match task {
        Task::Echo => return runtime.block_on(echo::serve()),
        Task::Grpc { address, call, window } => serde_json::to_string(&runtime.block_on(grpc(address, call, window))?)?,
        Task::Redis { url, command, in_flight, window } => {
            serde_json::to_string(&runtime.block_on(redis(&url, command, in_flight, window))?)?
        }
        Task::InProcess { window } => serde_json::to_string(&runtime.block_on(inprocess::measure(window))?)?,
        Task::Durable { folder, window } => {
            serde_json::to_string(&runtime.block_on(durable::measure(&folder, window))?)?
        }
    };
    println!("{line}");
    Ok(std::io::stdout().flush()?)
}

/// Calls that are made before anything is measured.
const WARM_UP: usize = 200;

async fn grpc(address: SocketAddr, call: Call, window: Duration) -> Result<Latency> {
    let mut client = Client::connect(address).await?;
    let prepared = client.prepare(call)?;
    for _ in 0..WARM_UP {
        client.call(&prepared).await?;
    }
    let mut nanos = Vec::new();
    let end = now() + window;
    loop {
        let began = now();
        if began >= end {
            return Latency::of(nanos).context("no call was made");
        }
        client.call(&prepared).await?;
        nanos.push(began.elapsed().as_nanos() as u64);
    }
}

async fn redis(url: &str, command: Command, in_flight: usize, window: Duration) -> Result<Latency> {
    let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    // So that there is something to get.
    Command::Set.call(&mut connection.clone()).await?;
    let end = now() + window;
    let callers = (0..in_flight.max(1)).map(|_| {
        let mut connection = connection.clone();
        async move {
            let mut nanos = Vec::new();
            loop {
                let began = now();
                if began >= end {
                    return Ok(nanos);
                }
                command.call(&mut connection).await?;
                nanos.push(began.elapsed().as_nanos() as u64);
            }
        }
    });
    let nanos = futures::future::try_join_all(callers).await as Result<Vec<Vec<u64>>>;
    Latency::of(nanos?.concat()).context("no command was made")
}

impl Command {
    async fn call(self, connection: &mut redis::aio::MultiplexedConnection) -> Result<()> {
        let key = format!("{KEY}-direct");
        match self {
            Self::Set => redis::cmd("SET").arg(key).arg(value().as_ref()).exec_async(connection).await?,
            Self::Get => {
                let found: Option<Vec<u8>> = redis::cmd("GET").arg(key).query_async(connection).await?;
                if found.is_none_or(|found| found != value()) {
                    bail!("Redis did not give back what was written");
                }
            }
        }
        Ok(())
    }
}
