//! The component suites as a test target.

use std::process::ExitCode;

fn main() -> ExitCode {
    pillion_conformance::component::main()
}
