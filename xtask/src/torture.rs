//! Kill loops, drains and recorded histories, on the real binary and real servers.

use anyhow::Result;

use crate::step::{build_all, command, run as step};
use crate::tool;

/// Kill, freeze and restart Pillion and its stores, and audit every acknowledged write.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many kills of each store, and how many histories.
    #[arg(long, default_value_t = 200)]
    cycles: u32,
    /// Where the random choices begin; printed at the start.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these suites, as in `kill,history`.
    #[arg(long)]
    only: Option<String>,
    /// Only these stores, as in `local,redis`.
    #[arg(long)]
    store: Option<String>,
}

impl Arguments {
    /// As much as a submission gets.
    pub fn short() -> Self {
        Self { cycles: 50, seed: None, only: None, store: None }
    }
}

/// Builds with failure points and runs the fault suites.
pub fn run(arguments: &Arguments) -> Result<()> {
    tool::packages(&[tool::REDIS])?;
    let programs = build_all()?;
    let mut suites = command(programs.join("torture"), &["--cycles", &arguments.cycles.to_string()])?;
    suites.env("PILLION_BIN", programs.join("pillion"));
    let seed = arguments.seed.map(|seed| seed.to_string());
    for (name, value) in [("--seed", &seed), ("--only", &arguments.only), ("--store", &arguments.store)] {
        if let Some(value) = value {
            suites.args([name, value]);
        }
    }
    step("faults", suites)
}
