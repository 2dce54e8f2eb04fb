//! Exit codes. Those above 63 are of sysexits.h, so that a service manager can tell a wrong
//! configuration (never start again) from a busy backend (try again).

use std::process::ExitStatus;

use pillion_proto::error::Category;
use pillion_proto::{Error, Reason};
use pillion_runtime::config::Diagnostics;

/// It worked.
pub(crate) const OK: u8 = 0;
/// It did not.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// A service that is needed cannot be reached.
pub(crate) const UNAVAILABLE: u8 = 69;
/// It may work later.
pub(crate) const TEMPORARY: u8 = 75;
/// The configuration is wrong.
pub(crate) const CONFIG: u8 = 78;
/// The time was up.
pub(crate) const TIMEOUT: u8 = 124;
/// It was interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

/// How a shell reports a command that ended like this.
pub(crate) fn of_command(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(FAILED);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}

/// How a shell reports a command that could not be started.
pub(crate) fn not_started(error: &std::io::Error) -> u8 {
    match error.kind() {
        std::io::ErrorKind::NotFound => 127,
        std::io::ErrorKind::PermissionDenied => 126,
        _ => FAILED,
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A call or the runtime failed.
    Error(Box<Error>),
    /// The configuration is wrong.
    Config(Diagnostics),
    /// A message, and the exit code.
    Message(String, u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Config(diagnostics)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Message(error.to_string(), FAILED)
    }
}

/// How a command that failed with this error exits.
pub(crate) fn code(error: &Error) -> u8 {
    if error.is(Reason::ConfigAddressInUse) {
        return UNAVAILABLE;
    }
    if error.reason().starts_with("config.") {
        return CONFIG;
    }
    match error.category() {
        Category::Unavailable => UNAVAILABLE,
        Category::Deadline => TIMEOUT,
        Category::Exhausted => TEMPORARY,
        Category::Cancelled => INTERRUPTED,
        _ => FAILED,
    }
}
