//! Plays the scenarios; `--help` says more.

use std::process::ExitCode;

fn main() -> ExitCode {
    pillion_conformance::scenario::main()
}
