//! What Redis says when it refuses, in our words.

use pillion_spi::{Error, Kind};
use redis::{RedisError, ServerError, Value};

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was never sent.
    NotSent(Error),
    /// It was handed to a connection that ended before the answer came.
    Lost(Error),
    /// The server refused it.
    Refused(ServerError),
}

impl Fault {
    /// The failure of something that changes nothing.
    pub(super) fn of_read(self) -> Error {
        match self {
            Self::NotSent(error) | Self::Lost(error) => error,
            Self::Refused(error) => refused(&error),
        }
    }

    /// The failure of a write: if the answer was lost, it may have taken effect.
    pub(super) fn of_write(self) -> Error {
        match self {
            Self::NotSent(error) => error,
            Self::Lost(error) => error.outcome_unknown(),
            Self::Refused(error) => {
                // A user who may run some of the script's commands but not all stops it half-way.
                let partly = error.code() == "NOPERM" || text(&error).contains("can't run this command");
                let error = refused(&error);
                if partly { error.outcome_unknown() } else { error }
            }
        }
    }
}

/// An answer of the wrong shape, or an error where an answer should be.
pub(super) fn unexpected(value: Value) -> Error {
    match value {
        Value::ServerError(error) => refused(&error),
        // The content is a user's; it does not belong into an error text.
        other => Error::internal(format!("Redis gave an answer of an unexpected kind ({})", shape(&other))),
    }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Int(_) => "integer",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay | Value::VerbatimString { .. } => "string",
        Value::Array(_) | Value::Set(_) => "array",
        Value::Map(_) => "map",
        _ => "other",
    }
}

fn text(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// The code of a refusal. Redis before 7 wraps what a command inside a script answered:
/// `ERR Error running script …: -OOM command not allowed…`.
fn code(error: &ServerError) -> &str {
    let inner = || {
        let details = error.details()?;
        let start = details.find(": -")? + 3;
        details[start..].split(' ').next().filter(|code| code.bytes().all(|byte| byte.is_ascii_uppercase()))
    };
    match error.code() {
        "ERR" => inner().unwrap_or("ERR"),
        code => code,
    }
}

/// Translates a refusal.
pub(super) fn refused(error: &ServerError) -> Error {
    let said = text(error);
    let make = |kind, what: &str| Error::new(kind, format!("{what} ({said})"));
    match code(error) {
        "LOADING" => make(Kind::Unavailable, "Redis is still loading its data")
            .advice("wait until the server has read its files"),
        "READONLY" => make(Kind::Unavailable, "the Redis server is a read-only replica")
            .advice("point `url` at the primary, or at a name that follows it"),
        "MASTERDOWN" => make(Kind::Unavailable, "the Redis replica has lost its primary"),
        "CLUSTERDOWN" | "TRYAGAIN" => make(Kind::Unavailable, "the Redis cluster is not available"),
        "NOREPLICAS" => make(Kind::Unavailable, "too few Redis replicas are connected")
            .advice("bring replicas back, or lower `min-replicas-to-write`"),
        "BUSY" => {
            make(Kind::Unavailable, "Redis is busy with a script that does not end").advice("end it with SCRIPT KILL")
        }
        "MISCONF" if said.contains("No space") => make(Kind::Exhausted, "the disk of the Redis server is full")
            .advice("make room; Redis accepts writes again by itself"),
        "MISCONF" => make(Kind::Unavailable, "Redis refuses writes because it cannot save them to disk")
            .advice("see the server's log; it accepts writes again once saving works"),
        "OOM" => make(Kind::Exhausted, "Redis has reached its memory limit")
            .advice("raise `maxmemory`, or let entries expire"),
        "NOAUTH" => {
            make(Kind::Denied, "Redis asks for a password").advice("set `password`, and `username` if there is one")
        }
        "WRONGPASS" => make(Kind::Denied, "Redis refused the user name or password"),
        "NOPERM" => make(Kind::Denied, "the Redis user may not do this").advice("extend its ACL"),
        "MOVED" | "ASK" | "CROSSSLOT" => make(Kind::Unsupported, "the Redis server is a cluster node")
            .advice("use a standalone server or a primary with replicas"),
        "WRONGTYPE" => make(Kind::Corrupt, "the key holds a Redis value that is no entry")
            .advice("another program uses this key; choose another key or database"),
        _ if said.contains("can't run this command") || said.contains("can't access at least one of the keys") => {
            make(Kind::Denied, "the Redis user may not do this").advice("extend its ACL")
        }
        _ if said.contains("max number of clients") => make(Kind::Unavailable, "Redis accepts no more connections")
            .advice("raise `maxclients`, or close idle connections"),
        _ => make(Kind::Internal, "Redis refused the request"),
    }
}

/// Translates a failure to set up a connection to `server`, as error texts call it.
pub(super) fn setup(error: RedisError, server: &str) -> Error {
    use redis::{ErrorKind, ServerErrorKind};
    let what = format!("cannot use {server}");
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            Error::new(Kind::Denied, format!("{what}: it refused the user name or password"))
                .advice("check `username` and `password`")
        }
        ErrorKind::Server(ServerErrorKind::ResponseError)
            if error.detail().is_some_and(|text| text.contains("DB index")) =>
        {
            Error::config(format!("{what}: it has no database of that number")).advice("check the path of `url`")
        }
        ErrorKind::Io => Error::unavailable(format!("{what}: it closed the connection")).source(error),
        _ => match ServerError::try_from(error) {
            Ok(error) => refused(&error),
            Err(error) => Error::unavailable(what).source(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use pillion_spi::Outcome;

    use super::*;

    fn error(code: &str, details: &str) -> ServerError {
        let error = redis::make_extension_error(code.to_owned(), Some(details.to_owned()));
        ServerError::try_from(error).unwrap()
    }

    #[test]
    fn each_refusal_has_its_kind() {
        for (code, details, kind) in [
            ("LOADING", "Redis is loading the dataset in memory", Kind::Unavailable),
            ("READONLY", "You can't write against a read only replica.", Kind::Unavailable),
            ("MASTERDOWN", "Link with MASTER is down", Kind::Unavailable),
            ("CLUSTERDOWN", "Hash slot not served", Kind::Unavailable),
            ("TRYAGAIN", "Multiple keys request during rehashing of slot", Kind::Unavailable),
            ("NOREPLICAS", "Not enough good replicas to write.", Kind::Unavailable),
            ("BUSY", "Redis is busy running a script.", Kind::Unavailable),
            ("MISCONF", "Errors writing to the AOF file: No space left on device", Kind::Exhausted),
            ("MISCONF", "Redis is configured to save RDB snapshots, but it's currently unable to", Kind::Unavailable),
            ("OOM", "command not allowed when used memory > 'maxmemory'.", Kind::Exhausted),
            ("NOAUTH", "Authentication required.", Kind::Denied),
            ("WRONGPASS", "invalid username-password pair or user is disabled.", Kind::Denied),
            ("NOPERM", "this user has no permissions to run the 'get' command", Kind::Denied),
            ("MOVED", "3999 127.0.0.1:6381", Kind::Unsupported),
            ("CROSSSLOT", "Keys in request don't hash to the same slot", Kind::Unsupported),
            ("WRONGTYPE", "Operation against a key holding the wrong kind of value", Kind::Corrupt),
            ("ERR", "max number of clients reached", Kind::Unavailable),
            ("ERR", "unknown command", Kind::Internal),
            // As a command inside a script was refused before Redis 7.
            ("ERR", "Error running script (call to f_0): @user_script:3: -OOM command not allowed", Kind::Exhausted),
            ("ERR", "Error running script (call to f_0): @user_script:3: -READONLY You can't", Kind::Unavailable),
        ] {
            let refused = refused(&error(code, details));
            assert_eq!(refused.kind(), kind, "{code} {details}");
            assert!(refused.message().contains(details), "{}", refused.message());
        }
    }

    #[test]
    fn only_a_lost_answer_and_a_script_stopped_half_way_leave_a_write_unknown() {
        let lost = || Fault::Lost(Error::unavailable("lost"));
        let refused = |code, details| Fault::Refused(error(code, details)).of_write().outcome();
        assert_eq!(lost().of_write().outcome(), Outcome::Unknown);
        assert_eq!(lost().of_read().outcome(), Outcome::Rejected);
        assert_eq!(Fault::NotSent(Error::unavailable("down")).of_write().outcome(), Outcome::Rejected);
        assert_eq!(refused("OOM", "command not allowed"), Outcome::Rejected);
        assert_eq!(refused("NOPERM", "no permissions"), Outcome::Unknown);
        assert_eq!(refused("ERR", "The user executing the script can't run this command"), Outcome::Unknown);
    }
}
