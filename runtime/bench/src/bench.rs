//! The servers that are measured, and the means to measure them.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::clock::now;
use crate::grpc::Client;
use crate::h2load::{self, Load, Shape};
use crate::machine::{Machine, Place, Process};
use crate::process::{Server, output};
use crate::wire::{Call, Store};
use crate::worker::Task;

/// How long a server may take until it answers.
const READY: Duration = Duration::from_secs(20);
/// The kernel stops real-time processes that use more than 0.95 s of a second: with a rest after
/// every window of 0.9 s they do not.
const REST: Duration = Duration::from_millis(120);

/// How to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that is measured.
    pub pillion: PathBuf,
    /// Where data is written.
    pub folder: PathBuf,
    /// The length of a window.
    pub window: Duration,
    /// Where servers run.
    pub server_core: usize,
    /// Where clients run.
    pub client_core: usize,
    /// The age at which the memory of an idle runtime is read.
    pub idle: Duration,
}

/// Running servers.
pub struct Bench {
    pub options: Options,
    pub redis_url: String,
    realtime: bool,
    runtime: tokio::runtime::Runtime,
    // The servers end before their folder.
    _redis: Server,
    echo: (Server, SocketAddr),
    sidecar: (Server, SocketAddr),
    folder: TempDir,
}

impl Bench {
    /// Starts what every section needs: Redis, the echo, and a runtime with one worker, all on the
    /// servers' core.
    pub fn start(options: Options, machine: &Machine) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::Builder::new().prefix("pillion-bench-").tempdir_in(&options.folder)?;
        let place = Place { core: Some(options.server_core), realtime: machine.realtime() };
        let (redis, redis_url) = start_redis(place)?;
        let echo = start_echo(place)?;
        let configuration = configuration(folder.path(), "sidecar", 0, Some(&redis_url))?;
        let mut command = place.command(&options.pillion);
        command.args(["serve", "--json", "--quiet", "--workers", "1", "-f"]).arg(configuration);
        let sidecar = start_pillion(&mut command)?;
        let bench =
            Self { options, redis_url, realtime: machine.realtime(), runtime, _redis: redis, echo, sidecar, folder };
        bench.fill()?;
        Ok(bench)
    }

    /// Writes what is read later, through both APIs, and so waits until every store is ready.
    fn fill(&self) -> Result<()> {
        for store in Store::ALL {
            for call in [Call::Set(store), Call::SaveState(store), Call::Get(store), Call::GetState(store)] {
                self.answered(self.address(call), call)?;
            }
        }
        self.answered(self.address(Call::SayHello), Call::SayHello)?;
        self.answered(self.address(Call::Echo), Call::Echo)
    }

    /// Makes a call until it succeeds.
    pub fn answered(&self, address: SocketAddr, call: Call) -> Result<()> {
        let began = now();
        loop {
            let attempt = self.runtime.block_on(async {
                let mut client = Client::connect(address).await?;
                let prepared = client.prepare(call)?;
                client.call(&prepared).await
            });
            match attempt {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > READY => {
                    return Err(error.context(format!("{} does not work", call.label())));
                }
                Err(_) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }

    /// Runs something of ours that has to wait.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The server that answers a call.
    pub fn address(&self, call: Call) -> SocketAddr {
        self.server(call).1
    }

    fn server(&self, call: Call) -> &(Server, SocketAddr) {
        if call == Call::Echo { &self.echo } else { &self.sidecar }
    }

    /// The runtime that is under load.
    pub fn sidecar(&self) -> Process {
        self.sidecar.0.process()
    }

    /// Where clients run.
    pub fn client(&self) -> Place {
        Place { core: Some(self.options.client_core), realtime: self.realtime }
    }

    /// All cores, for what is one process.
    pub fn anywhere(&self) -> Place {
        Place { core: None, realtime: self.realtime }
    }

    /// Runs a task of ours in a process of its own, and rests.
    pub fn worker<T: DeserializeOwned>(&self, place: Place, task: &Task) -> Result<T> {
        let mut command = place.command(std::env::current_exe()?);
        command.arg("worker").arg(serde_json::to_string(task)?);
        let line = output(&mut command, self.options.window + READY)?;
        std::thread::sleep(REST);
        serde_json::from_str(&line).with_context(|| format!("the worker said {line:?}"))
    }

    /// Loads a server, and rests. Beside the load: the server's CPU time per call, in seconds.
    pub fn load(&self, call: Call, shape: Shape) -> Result<(Load, f64)> {
        let (server, address) = self.server(call);
        let before = server.process().cpu()?;
        let load = h2load::run(self.client(), *address, call, shape, self.options.window, self.folder.path())?;
        let cpu = server.process().cpu()? - before;
        std::thread::sleep(REST);
        Ok((load, cpu / load.calls))
    }

    /// A folder that nothing was written to.
    pub fn fresh_folder(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }
}

/// Writes a configuration file with every component, or without Redis if there is no `redis_url`.
pub fn configuration(folder: &Path, name: &str, port: u16, redis_url: Option<&str>) -> Result<PathBuf> {
    let redis = redis_url.map(|url| format!("  redis: {{type: state.redis, url: \"{url}\"}}\n")).unwrap_or_default();
    let text = format!(
        "listen: {{tcp: \"127.0.0.1:{port}\", unix: off}}\n\
         components:\n  memory: {{type: state.memory}}\n  local: {{type: state.local, dir: ./{name}-data}}\n{redis}\
         layotto: {{hello: {{helloworld: greeting}}}}\n"
    );
    let file = folder.join(format!("{name}.yaml"));
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Starts `pillion … --json` and reads where it listens.
pub fn start_pillion(command: &mut std::process::Command) -> Result<(Server, SocketAddr)> {
    let (server, line) = Server::announced(command)?;
    let addresses: serde_json::Value = serde_json::from_str(&line)?;
    let address = addresses["grpc"].as_str().with_context(|| format!("no address in {line}"))?;
    Ok((server, address.parse()?))
}

fn start_echo(place: Place) -> Result<(Server, SocketAddr)> {
    let mut command = place.command(std::env::current_exe()?);
    let (server, line) = Server::announced(command.arg("worker").arg(serde_json::to_string(&Task::Echo)?))?;
    Ok((server, line.trim().parse()?))
}

/// Redis as it is without a configuration file, except that it writes nothing to disk.
fn start_redis(place: Place) -> Result<(Server, String)> {
    let port = free_port()?;
    let mut command = place.command("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--port"]);
    let server = Server::start(command.arg(port.to_string()).stdout(std::process::Stdio::null()))?;
    let began = now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > READY {
            bail!("redis-server does not listen");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok((server, format!("redis://127.0.0.1:{port}")))
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
