//! Measures Pillion beside bare peers, all in one run: a bare tonic echo, Redis asked directly, and
//! a bare loop on SQLite. The report gives figures, ratios and what they are to reach. It is never
//! a test: figures depend on the machine, and on what else runs there.
//!
//! Servers run on one core, clients on another, under a real-time class where that is permitted.
//! Every section measures once a round; a figure is the median of the rounds.

mod bench;
mod clock;
mod durable;
mod echo;
mod grpc;
mod h2load;
mod inprocess;
mod machine;
mod process;
mod report;
mod section;
mod stats;
mod wire;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use crate::bench::{Bench, Options};
use crate::machine::Machine;
use crate::report::{Method, Report};
use crate::section::Kind;
use crate::worker::Task;

/// Measure Pillion beside its bare peers.
#[derive(Parser)]
#[command(name = "pillion-bench", version)]
struct Arguments {
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// The program to measure [default: the shipped one, in the folder `dist` beside this one's]
    #[arg(long, value_name = "FILE")]
    pillion: Option<PathBuf>,
    /// How often every window is repeated
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The length of a window, in seconds; more than 0.9 is cut by what the kernel gives the real-time class
    #[arg(long, default_value_t = 0.9)]
    seconds: f64,
    /// How many seconds after its start the memory of an idle runtime is read, at least
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    idle: u64,
    /// Measure only this; may be repeated
    #[arg(long, value_enum)]
    only: Vec<Kind>,
    /// Where durable data is written: this must be the disk that counts [default: beside this program]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The core of the servers
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    server_core: usize,
    /// The core of the clients [default: 1, or 0 if there is but one]
    #[arg(long, value_name = "CORE")]
    client_core: Option<usize>,
    /// Do not use the real-time scheduling class
    #[arg(long)]
    no_realtime: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Do one task in this process; started by the run itself
    #[command(hide = true)]
    Worker { task: String },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Worker { task }) = &arguments.role {
        return worker::run(serde_json::from_str::<Task>(task)?);
    }
    let report = measure(&arguments)?;
    if arguments.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.text());
    }
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Report> {
    ensure!((0.05..=60.0).contains(&arguments.seconds), "--seconds is between 0.05 and 60");
    let window = Duration::from_secs_f64(arguments.seconds);
    let here = std::env::current_exe()?.parent().context("this program is in no folder")?.to_owned();
    let pillion = arguments.pillion.clone().unwrap_or_else(|| here.join("../dist/pillion"));
    let pillion = pillion.canonicalize().with_context(|| format!("there is no {}", pillion.display()))?;
    let mut machine = Machine::look(!arguments.no_realtime);
    let options = Options {
        pillion: pillion.clone(),
        folder: arguments.dir.clone().unwrap_or(here),
        window,
        server_core: arguments.server_core,
        client_core: arguments.client_core.unwrap_or(usize::from(machine.cores() > 1)),
        idle: Duration::from_secs(arguments.idle),
    };
    let bench = Bench::start(options, &machine)?;
    let all = [Kind::Latency, Kind::Load, Kind::Inprocess, Kind::Durable, Kind::Footprint];
    let chosen = all.into_iter().filter(|kind| arguments.only.is_empty() || arguments.only.contains(kind));
    let mut sections = chosen.map(|kind| kind.section(&bench)).collect::<Result<Vec<_>>>()?;
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for section in &mut sections {
            section.round(&bench)?;
        }
    }
    let groups = sections.iter_mut().map(|section| section.finish(&bench)).collect::<Result<_>>()?;
    machine.ended();
    let method =
        Method { rounds: arguments.rounds, seconds: arguments.seconds, pillion: pillion.display().to_string() };
    Ok(Report { machine, method, groups })
}
