//! What a runtime takes when nobody asks anything of it, and how fast it is there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use tempfile::TempDir;

use super::Section;
use crate::bench::{Bench, configuration, free_port, start_pillion};
use crate::clock::now;
use crate::grpc::Client;
use crate::machine::Place;
use crate::process::Server;
use crate::report::{Group, Row, Target};
use crate::stats::Series;
use crate::wire::{Call, Store};

const CONNECTIONS: usize = 200;
/// How often each of them is used.
const CALLS: usize = 5;
/// What starting takes is over by then.
const SETTLED: Duration = Duration::from_secs(2);

/// A runtime that idles while the other sections measure theirs.
pub(super) struct Footprint {
    idle: Server,
    address: SocketAddr,
    began: Instant,
    starts: Series,
    _folder: TempDir,
}

impl Footprint {
    pub(super) fn start(bench: &Bench) -> Result<Self> {
        let folder = bench.fresh_folder()?;
        let file = configuration(folder.path(), "idle", 0, Some(&bench.redis_url))?;
        // As it is shipped: a worker per core, placed by the kernel.
        let place = Place { core: None, realtime: false };
        let mut command = place.command(&bench.options.pillion);
        let began = now();
        let (idle, address) = start_pillion(command.args(["serve", "--json", "--quiet", "-f"]).arg(file))?;
        Ok(Self { idle, address, began, starts: Series::default(), _folder: folder })
    }
}

impl Section for Footprint {
    fn round(&mut self, bench: &Bench) -> Result<()> {
        let folder = bench.fresh_folder()?;
        let port = free_port()?;
        let file = configuration(folder.path(), "start", port, None)?;
        let mut command = bench.anywhere().command(&bench.options.pillion);
        let began = now();
        let _server = Server::start(command.args(["serve", "--quiet", "-f"]).arg(file))?;
        // A miss is an answer too, but this store has to be open for it.
        bench.answered(([127, 0, 0, 1], port).into(), Call::Set(Store::Local))?;
        self.starts.push(began.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    fn finish(&mut self, bench: &Bench) -> Result<Group> {
        let process = self.idle.process();
        std::thread::sleep(SETTLED.saturating_sub(self.began.elapsed()));
        let (before, since) = (process.cpu()?, now());
        let rest = bench.options.idle.saturating_sub(self.began.elapsed()).max(SETTLED);
        std::thread::sleep(rest);
        let cpu = (process.cpu()? - before) / since.elapsed().as_secs_f64() * 100.0;
        let age = self.began.elapsed().as_secs();
        let idle = process.memory()?;
        let connected = bench.block_on(async {
            let mut clients = Vec::with_capacity(CONNECTIONS);
            for _ in 0..CONNECTIONS {
                clients.push(Client::connect(self.address).await?);
            }
            for _ in 0..CALLS {
                for client in &mut clients {
                    let hello = client.prepare(Call::SayHello)?;
                    client.call(&hello).await?;
                }
            }
            process.memory()
        })?;
        let size = std::fs::metadata(&bench.options.pillion)?.len() as f64 / 1e6;
        let rows = vec![
            Row::new("start to the first answer (local store)", "ms", self.starts.clone()).target(Target::AtMost(50.0)),
            Row::new(format!("memory, idle, {age} s after start"), "MB", idle.into()).target(Target::AtMost(12.0)),
            Row::new(format!("memory with {CONNECTIONS} connections, each used"), "MB", connected.into())
                .target(Target::AtMost(25.0)),
            Row::new("memory of the runtime that was under load", "MB", bench.sidecar().memory()?.into()),
            Row::new("CPU, idle", "% of a core", cpu.into()).target(Target::AtMost(0.1)),
            Row::new("size of the program", "MB", size.into()).target(Target::AtMost(15.0)),
        ];
        Ok(Group { title: "Footprint (all components)", rows })
    }
}
