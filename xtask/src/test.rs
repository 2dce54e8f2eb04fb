//! Every check and every test, in one command.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::step::{self, PROFILE, build_all, cargo, run};
use crate::{codegen, conformance, demo, dist, language, tidy, tool, torture};

/// Run every check and test; installs what it needs.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only what is quick on a warm machine: no fault suites, no suites of the bindings, no packages, no
    /// demonstration; of the scenarios those in Rust and over HTTP.
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
    if !arguments.quick {
        let shipped = demo::build(PROFILE)?;
        release_is_clean(&shipped)?;
        // Each package is tried in an empty place as it is made.
        let packages = dist::make(&dist::Kind::LANGUAGES, PROFILE)?;
        demo::run(&demo::Arguments::once(), &shipped, &packages)?;
    }
    let programs = build_all()?;
    let everything = ["--workspace", "--all-features"];
    // The component cases share servers, so they run in one process of their own, below.
    let mut tests = with(Command::new(nextest), &["nextest", "run", "--cargo-profile", PROFILE, "--no-fail-fast"])?;
    tests.args(everything).args(["-E", "not (package(pillion-conformance) and binary(component))"]);
    run("unit and integration tests", tests)?;
    let components = step::command(programs.join("component"), &["--require", "memory,local,redis"])?;
    run("component suites", components)?;
    let mut examples = cargo(&["test", "--profile", PROFILE, "--doc"])?;
    examples.args(everything);
    run("documentation examples", examples)?;
    if arguments.quick {
        conformance::run(&conformance::Arguments::quick())?;
    } else {
        conformance::run(&conformance::Arguments::everything())?;
        language::test_all(&programs)?;
        torture::run(&torture::Arguments::short())?;
    }
    println!("every check and test passed");
    Ok(())
}

/// Failure points and test services must not reach users.
fn release_is_clean(binary: &Path) -> Result<()> {
    for forbidden in [
        "PILLION_CHAOS",
        "local.ack_before_commit",
        "the upload ended without its final message",
        "because the test asked for it",
    ] {
        let found = Command::new("grep").args(["-aqF", forbidden]).arg(binary).status()?;
        if found.success() {
            bail!("the shipped binary has {forbidden:?} in it: a test feature is on");
        }
    }
    println!("the shipped binary has no failure points and no test services");
    Ok(())
}

fn with(mut command: Command, arguments: &[&str]) -> Result<Command> {
    command.args(arguments).current_dir(crate::repository()?);
    Ok(command)
}
