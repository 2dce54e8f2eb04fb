//! The command `pillion`.

use std::ffi::OsString;

use napi::Result;
use napi_derive::napi;

use crate::error::guarded;

/// Runs the command with these arguments, the program's name first, and gives its exit code. It returns when the
/// command has ended, so nothing else may be going on in the program.
#[napi]
pub fn command(arguments: Vec<String>) -> Result<u8> {
    guarded(|| {
        hand_down_stdio();
        Ok(pillion_cli::status(arguments.into_iter().map(OsString::from)))
    })
}

/// Node keeps its standard streams from the programs it starts, and gives those it wants to by hand. What
/// `pillion dev` starts has them like that of any other command.
#[cfg(unix)]
fn hand_down_stdio() {
    use rustix::io::{FdFlags, fcntl_setfd};

    // One that is closed needs no handing down.
    let _ = fcntl_setfd(std::io::stdin(), FdFlags::empty());
    let _ = fcntl_setfd(std::io::stdout(), FdFlags::empty());
    let _ = fcntl_setfd(std::io::stderr(), FdFlags::empty());
}

#[cfg(not(unix))]
fn hand_down_stdio() {}
