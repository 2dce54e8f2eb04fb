//! `cargo xtask`: generate, check, test, measure and show Pillion.

mod codegen;

use anyhow::Result;
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
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Codegen(arguments) => codegen::run(&arguments),
    }
}
