//! The scenario runner, launched.

use anyhow::Result;

use crate::step::{build_all, command, run as step};
use crate::tool;

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
    tool::packages(&[tool::REDIS])?;
    let programs = build_all()?;
    let mut runner = command(programs.join("scenario"), &[])?;
    runner.args(&arguments.arguments).env("PILLION_BIN", programs.join("pillion"));
    step("scenarios", runner)
}
