//! Measurements: a report, never a test.

mod client;

use anyhow::Result;

use crate::step::{cargo, run as step};
use crate::tool;

/// Measure Pillion beside its bare peers and print ratios.
#[derive(clap::Args)]
pub struct Arguments {
    /// Measure the packages of these languages (python, node) beside the stock clients of gRPC.
    #[arg(long, value_enum, value_delimiter = ',')]
    lang: Vec<client::Language>,
    /// Passed on to the benchmark; `--help` lists what there is.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds what is shipped and measures it.
pub fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.lang.is_empty() {
        return client::run(&arguments.lang, &arguments.arguments);
    }
    tool::packages(&[tool::REDIS, tool::H2LOAD])?;
    step("building pillion as it is shipped", cargo(&["build", "--profile", "dist", "-p", "pillion-cli"])?)?;
    let mut command = cargo(&["run", "--profile", "release", "-p", "pillion-bench", "--"])?;
    command.args(&arguments.arguments);
    step("measurements", command)
}
