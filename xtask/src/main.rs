//! `cargo xtask`: generate, check, test, measure and show Pillion.

#![allow(clippy::disallowed_methods, reason = "tasks run on the machine's own clock")]

mod bench;
mod codegen;
mod conformance;
mod demo;
mod dist;
mod language;
mod sidecar;
mod step;
mod test;
mod tidy;
mod tool;
mod torture;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Tasks of the Pillion workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write everything that is generated from the protos.
    Codegen(codegen::Arguments),
    /// Check the rules of the house: layers, versions, names, texts.
    Tidy,
    /// Build Pillion, run it, and show its main job.
    Demo(demo::Arguments),
    /// Run every check and every test.
    Test(test::Arguments),
    /// As `test`; with --quick the part that is quick on a warm machine.
    Ci(test::Arguments),
    /// Run the scenarios in every language, mode and store.
    Conformance(conformance::Arguments),
    /// Run the suites of the bindings: what the scenarios cannot say.
    Suite(language::Arguments),
    /// Kill, freeze and restart Pillion and its stores, and audit what was acknowledged.
    Torture(torture::Arguments),
    /// Build the packages for this platform, and list them.
    Dist(dist::Arguments),
    /// Measure Pillion beside its bare peers.
    Bench(bench::Arguments),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Codegen(arguments) => codegen::run(&arguments),
        Task::Tidy => tidy::run(),
        Task::Demo(arguments) => demo::main(&arguments),
        Task::Test(arguments) | Task::Ci(arguments) => test::all(&arguments),
        Task::Conformance(arguments) => conformance::run(&arguments),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::Suite(arguments) => language::run(&arguments),
        Task::Torture(arguments) => torture::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
    }
}

/// The folder that holds the workspace.
pub fn repository() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    Ok(Path::new(&manifest).parent().context("xtask has no parent folder")?.to_owned())
}
