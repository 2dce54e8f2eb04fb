//! Native errors in Layotto's codes and texts.
//!
//! Clients assert on both. What stands behind the last colon of a text comes from the store and
//! differs from one to the next; the words before it are the contract.

use std::borrow::Cow;

use pillion_proto::common::v1 as common;
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
        (_, Cause::Other) => Status::new(Code::from(error.grpc_code()), words(error)),
        (attempt, cause) => {
            let (code, prefix) = attempt.answer(cause, store);
            Status::new(code, prefix + &words(error))
        }
    }
}

/// Why one key of several could not be read, if the store's trouble is the reason: Layotto then
/// answers, and says so for each key.
pub fn per_key(error: &Error) -> Option<String> {
    (cause(error) == Cause::Backend).then(|| words(error))
}

/// The native sentence, with the cause behind it.
fn words(error: &Error) -> String {
    common::Error::from(error).message
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

#[cfg(test)]
mod tests {
    use super::*;

    const SAVE: Attempt<'_> = Attempt::Save("k", false);
    const SAVE_WITH_ETAG: Attempt<'_> = Attempt::Save("k", true);

    fn error(reason: Reason) -> Error {
        Error::new(reason, "why")
    }

    #[test]
    fn each_failure_has_the_code_and_text_of_its_call() {
        use Attempt::{Delete, DeleteBulk, Get, Transact};

        let table = [
            (Get("k"), Reason::ComponentUnavailable, Code::Internal, "fail to get k from state store s: why"),
            (Get("k"), Reason::StateKeyInvalid, Code::InvalidArgument, "fail to get k from state store s: why"),
            (SAVE, Reason::ComponentUnavailable, Code::Internal, "failed saving state in state store s: why"),
            (SAVE_WITH_ETAG, Reason::ComponentUnavailable, Code::Aborted, "failed saving state in state store s: why"),
            (
                SAVE_WITH_ETAG,
                Reason::StateEtagMismatch,
                Code::Aborted,
                "failed saving state in state store s: possible etag mismatch. error from state store: why",
            ),
            (
                SAVE_WITH_ETAG,
                Reason::StateFirstWriteConflict,
                Code::Aborted,
                "failed saving state in state store s: possible etag mismatch. error from state store: why",
            ),
            (
                SAVE,
                Reason::StateFirstWriteConflict,
                Code::Internal,
                "failed saving state in state store s: failed to set key k: why",
            ),
            (
                SAVE,
                Reason::StateKeyExists,
                Code::Internal,
                "failed saving state in state store s: failed to set key k: why",
            ),
            (SAVE, Reason::StateTtlInvalid, Code::InvalidArgument, "failed saving state in state store s: why"),
            (
                Delete("k"),
                Reason::StateEtagMismatch,
                Code::Aborted,
                "failed deleting state with key k: possible etag mismatch. error from state store: why",
            ),
            (Delete("k"), Reason::ComponentFailed, Code::Aborted, "failed deleting state with key k: why"),
            (
                DeleteBulk,
                Reason::StateEtagMismatch,
                Code::Unknown,
                "possible etag mismatch. error from state store: why",
            ),
            (DeleteBulk, Reason::ComponentConnecting, Code::Unknown, "why"),
            (Transact, Reason::StateEtagMismatch, Code::Internal, "error while executing state transaction: why"),
            (Transact, Reason::ComponentUnavailable, Code::Internal, "error while executing state transaction: why"),
            (
                Transact,
                Reason::StateDuplicateKey,
                Code::InvalidArgument,
                "error while executing state transaction: why",
            ),
            (Transact, Reason::ComponentUnsupported, Code::Unimplemented, "state store s doesn't support transaction"),
        ];
        for (attempt, reason, code, text) in table {
            let status = status(attempt, "s", &error(reason));
            assert_eq!((status.code(), status.message()), (code, text), "{attempt:?}, {}", reason.name());
        }
    }

    #[test]
    fn what_has_nothing_to_do_with_state_keeps_its_own_code() {
        for (reason, code) in [
            (Reason::RequestUnauthenticated, Code::Unauthenticated),
            (Reason::RequestDeadlineExceeded, Code::DeadlineExceeded),
            (Reason::RuntimePanic, Code::Internal),
            (Reason::RuntimeDraining, Code::Unavailable),
        ] {
            let status = status(SAVE_WITH_ETAG, "s", &error(reason));
            assert_eq!((status.code(), status.message()), (code, "why"), "{}", reason.name());
        }
    }

    #[test]
    fn a_store_that_is_not_there_is_told_from_having_none() {
        let undeclared = |declared: &str| error(Reason::ComponentNotDeclared).with("declared", declared);
        for attempt in [Attempt::Get("k"), Attempt::GetBulk, SAVE, Attempt::Delete("k"), Attempt::Transact] {
            let unknown = status(attempt, "nope", &undeclared("state"));
            assert_eq!((unknown.code(), unknown.message()), (Code::InvalidArgument, "state store nope is not found"));
            let none = status(attempt, "nope", &undeclared(""));
            assert_eq!((none.code(), none.message()), (Code::FailedPrecondition, "state store is not configured"));
        }
        assert_eq!(unknown_store("").message(), "state store  is not found");
    }

    #[test]
    fn a_key_with_a_separator_is_refused_in_layottos_words_and_another_bad_key_in_ours() {
        let status = |key| status(Attempt::Get(key), "s", &error(Reason::StateKeyInvalid));
        let separator = status("a||b");
        assert_eq!(separator.code(), Code::Unknown);
        assert_eq!(separator.message(), "input key/keyPrefix 'a||b' can't contain '||'");
        assert_eq!(status("").code(), Code::InvalidArgument);
    }

    #[test]
    fn a_malformed_number_is_an_invalid_argument_only_as_the_etag_of_a_save() {
        let etag = Malformed::Etag("E".to_owned());
        let ttl = Malformed::Ttl("T".to_owned());
        for (attempt, item, code, text) in [
            (SAVE, &etag, Code::InvalidArgument, "failed saving state in state store s: invalid etag value: E"),
            (SAVE, &ttl, Code::Internal, "failed saving state in state store s: failed to parse ttl from metadata: T"),
            (
                Attempt::Transact,
                &etag,
                Code::Internal,
                "error while executing state transaction: invalid etag value: E",
            ),
        ] {
            let status = malformed(attempt, "s", item);
            assert_eq!((status.code(), status.message()), (code, text));
        }
    }

    /// A text in a header of 1 MiB would cost the client its connection.
    #[test]
    fn what_the_caller_sent_is_cut_where_it_is_shown() {
        let long = "ä".repeat(1 << 20);
        for status in [
            unknown_store(&long),
            key_with_separator(&long),
            unknown_operation(&long),
            status(Attempt::Get(&long), &long, &error(Reason::StateKeyInvalid)),
        ] {
            assert!(status.message().len() < 3 * LONGEST_SHOWN, "{} bytes", status.message().len());
        }
    }
}
