//! The command `pillion`.

use std::ffi::OsString;

use napi::Result;
use napi_derive::napi;

use crate::error::guarded;

/// Runs the command with these arguments, the program's name first, and gives its exit code. It returns when the
/// command has ended, so nothing else may be going on in the program.
#[napi]
pub fn command(arguments: Vec<String>) -> Result<u8> {
    guarded(|| Ok(pillion_cli::status(arguments.into_iter().map(OsString::from))))
}
