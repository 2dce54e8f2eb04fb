//! The scenario runner, launched.

use anyhow::Result;

use crate::step::{PROFILE, cargo, run as step};

/// Run the scenarios in every language, mode and store.
#[derive(clap::Args)]
pub struct Arguments {
    /// Passed on to the runner: --lang, --mode, --store, --replay …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Arguments {
    /// Every language, mode and store; what cannot be started is a failure.
    pub fn everything() -> Self {
        Self { arguments: Vec::new() }
    }
}

/// Builds what the scenarios run on, and runs them.
pub fn run(arguments: &Arguments) -> Result<()> {
    step(
        "building the sidecar and the drivers",
        cargo(&[
            "build",
            "--profile",
            PROFILE,
            "-p",
            "pillion-cli",
            "-p",
            "pillion",
            "--bins",
            "--features",
            "pillion-cli/chaos,pillion/redis,pillion/testing",
        ])?,
    )?;
    let mut command = cargo(&[
        "run",
        "--profile",
        PROFILE,
        "-p",
        "pillion-conformance",
        "--all-features",
        "--bin",
        "scenario",
        "--",
    ])?;
    command.args(&arguments.arguments);
    step("scenarios", command)
}
