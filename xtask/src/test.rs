//! Every check and every test, in one command.

use std::process::Command;

use anyhow::Result;

use crate::step::{PROFILE, cargo, run};
use crate::{codegen, conformance, demo, tidy, tool, torture};

/// Run every check and test; installs what it needs.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only what is quick on a warm machine: no fault suites, no demonstration.
    #[arg(long)]
    pub quick: bool,
}

/// Runs them, cheapest first.
pub fn all(arguments: &Arguments) -> Result<()> {
    tool::packages(&[tool::REDIS, tool::CURL])?;
    let nextest = tool::wheel(tool::NEXTEST)?;
    let deny = tool::wheel(tool::DENY)?;

    run("formatting", cargo(&["fmt", "--all", "--check"])?)?;
    codegen::run(&codegen::Arguments::check())?;
    tidy::run()?;
    run(
        "licences, bans, sources",
        // The advisory database needs a network that a closed machine lacks; a release checks it.
        with(
            Command::new(deny),
            &["--all-features", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"],
        )?,
    )?;
    run(
        "lints",
        cargo(&[
            "clippy",
            "--profile",
            PROFILE,
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ])?,
    )?;
    run(
        "the mobile build",
        cargo(&["check", "--profile", PROFILE, "-p", "pillion", "--no-default-features", "--features", "embed"])?,
    )?;
    let binary = demo::build(PROFILE)?;
    if !arguments.quick {
        demo::run(&demo::Arguments::once(), &binary)?;
    }
    run(
        "unit, integration and component tests",
        with(
            Command::new(nextest),
            &["nextest", "run", "--cargo-profile", PROFILE, "--workspace", "--all-features", "--no-fail-fast"],
        )?,
    )?;
    run("documentation examples", cargo(&["test", "--profile", PROFILE, "--doc", "--workspace", "--all-features"])?)?;
    conformance::run(&conformance::Arguments::everything())?;
    if !arguments.quick {
        torture::run(&torture::Arguments::short())?;
    }
    println!("every check and test passed");
    Ok(())
}

fn with(mut command: Command, arguments: &[&str]) -> Result<Command> {
    command.args(arguments).current_dir(crate::repository()?);
    Ok(command)
}
