//! The command `pillion`: the sidecar and its tools.
//!
//! It is a library function, so that the launchers of other languages' packages can be the same
//! command. Text for people goes to standard error, data to standard output.

mod arguments;
mod banner;
mod command;
mod exit;
mod output;
mod signal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::output::Output;

/// Runs the command with these arguments, the program's name first, and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(status(arguments))
}

/// As [`run`], for callers that end in their own way: the exit code as a number.
pub fn status(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = error.exit_code();
            let _ = error.print();
            return u8::try_from(code).unwrap_or(exit::USAGE);
        }
    };
    let output = Output::new(&arguments);
    let ended = match arguments.command {
        Command::Dev(ref dev) => command::dev::run(&arguments, dev, &output),
        Command::Serve(ref serve) => command::serve::run(&arguments, serve, &output),
        Command::Check(ref check) => command::check::run(check, &output),
        Command::Schema(ref schema) => command::schema::run(schema, &output),
        Command::Explain(ref explain) => command::explain::run(explain, &output),
        Command::Status => command::status::run(&arguments, &output),
        Command::Wait(ref wait) => command::wait::run(&arguments, wait, &output),
        Command::State(ref state) => command::state::run(&arguments, state, &output),
        Command::Completions { shell } => command::completions::run(shell, &output),
    };
    match ended {
        Ok(code) => code,
        Err(failure) => output.failure(failure),
    }
}
