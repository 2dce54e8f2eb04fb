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
    /// Where the random choices begin; printed with every failure.
    #[arg(long)]
    seed: Option<u64>,
}

impl Arguments {
    /// As much as a submission gets.
    pub fn short() -> Self {
        Self { cycles: 50, seed: None }
    }
}

/// Builds with failure points and runs the fault suites.
pub fn run(arguments: &Arguments) -> Result<()> {
    tool::packages(&[tool::REDIS])?;
    let programs = build_all()?;
    let mut suites = command(programs.join("torture"), &["--cycles", &arguments.cycles.to_string()])?;
    suites.env("PILLION_BIN", programs.join("pillion"));
    if let Some(seed) = arguments.seed {
        suites.args(["--seed", &seed.to_string()]);
    }
    step("faults", suites)
}
