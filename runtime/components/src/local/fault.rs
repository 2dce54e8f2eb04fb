//! What an error of SQLite means to a caller.

use pillion_spi::error::{Error, Kind};
use rusqlite::{ErrorCode, ffi};

/// Translates an error. Its outcome is rejected: in doubt, the caller says otherwise.
pub(super) fn translate(error: rusqlite::Error) -> Error {
    let Some(code) = error.sqlite_error_code() else {
        // Not from the engine: a row does not have the form that this version writes.
        return Error::new(Kind::Corrupt, "a stored row cannot be read").source(error);
    };
    let (kind, message, advice) = match code {
        ErrorCode::DiskFull => (
            Kind::Exhausted,
            "there is no space left for the state file",
            Some("free disk space or raise the quota; the store goes on by itself"),
        ),
        ErrorCode::SystemIoFailure => (
            Kind::Unavailable,
            "the file system failed on the state file",
            Some(
                "look for disk errors, a read-only mount, a quota or a file size limit; the store tries again by itself",
            ),
        ),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (
            Kind::Corrupt,
            "the state file is damaged",
            Some("restore the folder from a backup, or recover what can be read with `sqlite3 pillion.db .recover`"),
        ),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => (
            Kind::Unavailable,
            "another program holds the state file",
            Some("end the program that has `pillion.db` open"),
        ),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => (
            Kind::Unavailable,
            "the state file cannot be opened for writing",
            Some("check the permissions of the folder and whether the file system is mounted read-only"),
        ),
        ErrorCode::OutOfMemory => (Kind::Exhausted, "there is no memory left for the state file", None),
        ErrorCode::TooBig => (Kind::Invalid, "the value is larger than the engine can store", None),
        ErrorCode::OperationInterrupted => (Kind::Unavailable, "the call was interrupted", None),
        _ => (Kind::Internal, "the state file cannot be used", None),
    };
    let translated = Error::new(kind, message).source(error);
    match advice {
        Some(advice) => translated.advice(advice),
        None => translated,
    }
}

/// Whether the engine's error concerns one statement only and left the transaction as it was.
pub(super) fn is_harmless(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::TooBig))
}

/// Whether a commit that failed so has surely left no complete transaction in the log: the log was
/// not written to its end, and it is read back only up to its last complete transaction. After any
/// other failure, one of the sync for instance, the transaction may stand there complete.
pub(super) fn is_incomplete(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_extended_error_code(), Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR_WRITE))
}
