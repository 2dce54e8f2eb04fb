//! Runs the fault suites; `--help` says more.

use std::process::ExitCode;

fn main() -> ExitCode {
    pillion_conformance::torture::main()
}
