//! Native errors in Layotto's codes and texts.
//!
//! Clients assert on both. What stands behind the last colon of a text comes from the store and
//! differs from one to the next; the words before it are the contract.

use std::borrow::Cow;

use pillion_proto::error::Category;
use pillion_proto::{Error, Reason};
use tonic::{Code, Status};

/// What stands in front of the store's own words when an etag was the reason.
const MISMATCH: &str = "possible etag mismatch. error from state store: ";

/// Texts go into headers, of which clients take a few KiB: names and keys that no runtime accepts
/// are cut.
const LONGEST_SHOWN: usize = 1024;

/// What the client asked for, as far as the answer to a failure depends on it.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// Reading a key.
    Get(&'a str),
    /// Reading keys.
    GetBulk,
    /// Saving one item: its key, and whether it had an etag, even an empty one.
    Save(&'a str, bool),
    /// Deleting a key.
    Delete(&'a str),
    /// Deleting one item of several.
    DeleteBulk,
    /// A transaction.
    Transact,
}

/// Kinds of native errors that Layotto tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The store is not there.
    Undeclared,
    /// The store does not do this.
    Unsupported,
    /// A condition did not hold.
    Conflict,
    /// The request can never succeed.
    Invalid,
    /// The store or its backend is in trouble.
    Backend,
    /// It has nothing to do with state: denied, too late, draining. Layotto has no such answers.
    Other,
}

fn cause(error: &Error) -> Cause {
    match error.known_reason() {
        Some(Reason::ComponentNotDeclared) => Cause::Undeclared,
        Some(Reason::ComponentUnsupported) => Cause::Unsupported,
        Some(
            Reason::StateEtagMismatch
            | Reason::StateKeyExists
            | Reason::StateFirstWriteConflict
            | Reason::StateTransactionAborted,
        ) => Cause::Conflict,
        _ if error.reason().starts_with("component.") => Cause::Backend,
        _ if error.reason().starts_with("state.") || error.category() == Category::Invalid => Cause::Invalid,
        _ => Cause::Other,
    }
}

impl Attempt<'_> {
    /// The code of each cause, and what stands before the store's own words.
    fn answer(self, cause: Cause, store: &str) -> (Code, String) {
        let store = shown(store);
        let prefix = match self {
            Self::Get(key) => format!("fail to get {} from state store {store}: ", shown(key)),
            Self::Save(..) => format!("failed saving state in state store {store}: "),
            Self::Delete(key) => format!("failed deleting state with key {}: ", shown(key)),
            Self::GetBulk | Self::DeleteBulk => String::new(),
            Self::Transact => "error while executing state transaction: ".to_owned(),
        };
        match (self, cause) {
            (_, Cause::Invalid) => (Code::InvalidArgument, prefix),
            (Self::Save(_, true) | Self::Delete(_), Cause::Conflict) => (Code::Aborted, prefix + MISMATCH),
            (Self::Save(key, false), Cause::Conflict) => {
                (Code::Internal, format!("{prefix}failed to set key {}: ", shown(key)))
            }
            // Layotto cannot tell a lost connection from a conflict here, and clients know the
            // code. The words are ours, and do not claim a mismatch.
            (Self::Save(_, true) | Self::Delete(_), Cause::Backend) => (Code::Aborted, prefix),
            (Self::DeleteBulk, Cause::Conflict) => (Code::Unknown, prefix + MISMATCH),
            (Self::DeleteBulk, _) => (Code::Unknown, prefix),
            _ => (Code::Internal, prefix),
        }
    }
}

/// The answer to a failed call.
pub fn status(attempt: Attempt<'_>, store: &str, error: &Error) -> Status {
    match (attempt, cause(error)) {
        (_, Cause::Undeclared) if error.detail("declared") == Some("") => {
            Status::failed_precondition("state store is not configured")
        }
        (_, Cause::Undeclared) => unknown_store(store),
        (Attempt::Get(key) | Attempt::Save(key, _) | Attempt::Delete(key), Cause::Invalid)
            if error.is(Reason::StateKeyInvalid) && has_separator(key) =>
        {
            key_with_separator(key)
        }
        (Attempt::Transact, Cause::Unsupported) => {
            Status::unimplemented(format!("state store {} doesn't support transaction", shown(store)))
        }
        (_, Cause::Other) => Status::new(Code::from(error.grpc_code()), error.message()),
        (attempt, cause) => {
            let (code, prefix) = attempt.answer(cause, store);
            Status::new(code, prefix + error.message())
        }
    }
}

/// Why one key of several could not be read, if the store's trouble is the reason: Layotto then
/// answers, and says so for each key.
pub fn per_key(error: &Error) -> Option<&str> {
    (cause(error) == Cause::Backend).then(|| error.message())
}

/// The answer for a store that is not there, or that has no name.
pub fn unknown_store(store: &str) -> Status {
    Status::invalid_argument(format!("state store {} is not found", shown(store)))
}

/// Whether the key has what separates prefixes from keys in stores.
pub fn has_separator(key: &str) -> bool {
    key.contains("||")
}

/// The answer for such a key.
pub fn key_with_separator(key: &str) -> Status {
    Status::unknown(format!("input key/keyPrefix '{}' can't contain '||'", shown(key)))
}

/// The answer for an item whose etag or time to live is no number.
pub fn malformed(attempt: Attempt<'_>, store: &str, item: &Malformed) -> Status {
    let code = match (attempt, item) {
        (Attempt::Save(..), Malformed::Etag(_)) => Code::InvalidArgument,
        _ => Code::Internal,
    };
    let (_, prefix) = attempt.answer(Cause::Other, store);
    let problem = match item {
        Malformed::Etag(error) => format!("invalid etag value: {error}"),
        Malformed::Ttl(error) => format!("failed to parse ttl from metadata: {error}"),
    };
    Status::new(code, prefix + &problem)
}

/// A number that is none, with Go's words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The etag of an item.
    Etag(String),
    /// Its `ttlInSeconds`.
    Ttl(String),
}

/// The answer for an operation of a transaction that is neither `upsert` nor `delete`.
pub fn unknown_operation(operation: &str) -> Status {
    Status::unimplemented(format!("operation type {} not supported", shown(operation)))
}

/// The caller's text, cut if it is longer than any that is accepted.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_SHOWN {
        return Cow::Borrowed(text);
    }
    let mut end = LONGEST_SHOWN;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}…", &text[..end]))
}
