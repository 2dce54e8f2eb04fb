//! The command `pillion`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pillion_cli::run(std::env::args_os())
}
