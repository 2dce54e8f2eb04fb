//! Runs the component suites; `--help` says more.

use std::process::ExitCode;

fn main() -> ExitCode {
    pillion_conformance::component::main()
}
