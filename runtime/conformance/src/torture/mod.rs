//! Faults on the real program and real servers: kills, drains, lost backends, histories, absurd
//! load. Everything is judged by this process, which stands outside and is never killed.

mod absurd;
mod backend;
mod client;
mod drain;
mod heal;
mod history;
mod kill;
mod ledger;
mod load;
mod planted;
mod report;
mod sidecar;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use futures::future::join_all;

use self::backend::Kind;
use self::drain::Drain;
use self::heal::{Away, Heal};
use self::history::Arena;
use self::kill::{Loop, Planted};
use self::report::{Report, Verdict};
use crate::seed;
use crate::server::RedisServer;

/// Runs the fault suites on the sidecar and real servers.
#[derive(Debug, Parser)]
struct Options {
    /// How many kills of each store, and how many histories; the other suites follow from it.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..))]
    cycles: u32,
    /// Where the random choices begin; what happens between processes is beyond it.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these suites.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Suite>,
    /// Only these stores.
    #[arg(long, value_delimiter = ',')]
    store: Vec<Kind>,
    /// The sidecar, built with the feature `chaos`.
    #[arg(long, env = "PILLION_BIN", default_value = "target/ci/pillion", value_name = "FILE")]
    program: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Kill loops.
    Kill,
    /// Drains.
    Drain,
    /// Stores that go away and come back.
    Heal,
    /// Conditional writes under faults.
    History,
    /// Planted defects.
    Planted,
    /// Absurd load.
    Absurd,
}

impl Options {
    fn wants(&self, suite: Suite) -> bool {
        self.only.is_empty() || self.only.contains(&suite)
    }

    fn stores(&self, kinds: &[Kind]) -> Vec<Kind> {
        kinds.iter().copied().filter(|kind| self.store.is_empty() || self.store.contains(kind)).collect()
    }
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&Options::parse())) {
        Ok(report) => {
            println!("{report}");
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<Report> {
    let shown = options.program.display();
    let program = options.program.canonicalize().with_context(|| format!("the sidecar {shown}"))?;
    ensure!(has_failure_points(&program)?, "{shown} was built without the feature `chaos`");
    ensure!(RedisServer::installed(), "redis-server is not installed");
    let seed = options.seed.unwrap_or_else(seed::random);
    println!("seed {seed}");
    let mut report = Report::default();
    if options.wants(Suite::Kill) {
        let kinds = options.stores(&[Kind::Local, Kind::Redis]);
        let loops = kinds.iter().map(|kind| kills(&program, *kind, options.cycles, seed));
        let verdicts = join_all(loops).await;
        // The page cache outlives a killed process: this says nothing about the loss of power.
        let name = |kind: &Kind| format!("kill {} (process-crash)", kind.name());
        kinds.iter().zip(verdicts).for_each(|(kind, verdict)| report.case(&name(kind), verdict));
    }
    if options.wants(Suite::History) {
        let kinds = options.stores(&[Kind::Memory, Kind::Local, Kind::Redis]);
        let arenas = kinds.iter().map(|kind| histories(&program, *kind, options.cycles, seed));
        let verdicts = join_all(arenas).await;
        kinds
            .iter()
            .zip(verdicts)
            .for_each(|(kind, verdict)| report.case(&format!("history {}", kind.name()), verdict));
    }
    // Those below ask what happens, not how often: they need fewer rounds.
    let rounds = (options.cycles / 10).clamp(2, 20);
    let with_redis = !options.stores(&[Kind::Redis]).is_empty();
    if options.wants(Suite::Heal) && with_redis {
        heals(&program, rounds, seed, &mut report).await;
    }
    if options.wants(Suite::Drain) && with_redis {
        drains(&program, seed, &mut report).await;
    }
    if options.wants(Suite::Planted) {
        for defect in planted::DEFECTS {
            if options.stores(&[defect.kind]).is_empty() {
                continue;
            }
            let verdict = planted::find(&program, defect, options.cycles, seed).await;
            report.case(&format!("planted {}", defect.name), verdict);
        }
    }
    if options.wants(Suite::Absurd) {
        report.case("absurd load", absurd::run(&program, seed).await);
    }
    Ok(report)
}

/// Whether the names of failure points are in the program.
fn has_failure_points(program: &Path) -> Result<bool> {
    const NAME: &[u8] = b"PILLION_CHAOS";
    let bytes = std::fs::read(program).context("reading the sidecar")?;
    Ok(bytes.windows(NAME.len()).any(|window| window == NAME))
}

async fn kills(program: &Path, kind: Kind, cycles: u32, seed: u64) -> Result<Verdict> {
    Loop::new(program, kind, Planted::default(), seed).await?.run(cycles).await
}

async fn histories(program: &Path, kind: Kind, cycles: u32, seed: u64) -> Result<Verdict> {
    Arena::new(program, kind, "", seed).await?.run(cycles).await
}

async fn heals(program: &Path, rounds: u32, seed: u64, report: &mut Report) {
    for (away, name) in Away::ALL {
        let verdict = async { Heal::new(program, seed).await?.run(away, rounds).await };
        report.case(&format!("heal {name}"), verdict.await);
    }
}

async fn drains(program: &Path, seed: u64, report: &mut Report) {
    let drain = match Drain::new(program, seed).await {
        Ok(drain) => drain,
        Err(error) => return report.case("drain", Err(error)),
    };
    for count in [0, 1, 50] {
        report.case(&format!("drain, {count} in flight"), drain.graceful(count).await);
    }
    report.case("drain, told twice", drain.twice(5).await);
    report.case("drain, longer than the grace", drain.overdue(5).await);
}
