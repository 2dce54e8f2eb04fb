//! Calling a method by name with encoded messages: the waist through which RPC-style HTTP, the
//! drivers of the scenario runner and raw tools reach every method.

use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{CallInfo, Cx};
use crate::error::{Error, Reason, Result};
use crate::r#gen::apis::Apis;
use crate::stream::Events;

/// How messages are encoded.
pub trait Codec: Send + Sync + 'static {
    /// Reads a message.
    ///
    /// # Errors
    /// `request.invalid`, saying what is wrong where.
    fn decode<M: Message + Default + DeserializeOwned>(bytes: Bytes) -> Result<M>;

    /// Writes a message.
    ///
    /// # Errors
    /// `runtime.internal` if it cannot be written, which no message of ours can cause.
    fn encode<M: Message + Serialize>(message: &M) -> Result<Bytes>;
}

/// The protobuf wire format.
#[derive(Clone, Copy, Debug)]
pub struct Binary;

impl Codec for Binary {
    fn decode<M: Message + Default + DeserializeOwned>(bytes: Bytes) -> Result<M> {
        M::decode(bytes).map_err(|error| malformed("message", error))
    }

    fn encode<M: Message + Serialize>(message: &M) -> Result<Bytes> {
        Ok(message.encode_to_vec().into())
    }
}

/// The proto3 JSON mapping. An empty text stands for the empty message.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Codec for Json {
    fn decode<M: Message + Default + DeserializeOwned>(bytes: Bytes) -> Result<M> {
        if bytes.is_empty() {
            return Ok(M::default());
        }
        serde_json::from_slice(&bytes).map_err(|error| malformed("JSON", in_words(&error.to_string())))
    }

    fn encode<M: Message + Serialize>(message: &M) -> Result<Bytes> {
        serde_json::to_vec(message)
            .map(Bytes::from)
            .map_err(|error| Error::new(Reason::Unspecified, "the answer cannot be written as JSON").source(error))
    }
}

/// The error of bytes that are not what they should be.
pub(crate) fn malformed(what: &str, error: impl std::fmt::Display) -> Error {
    Error::new(Reason::RequestInvalid, format!("the {what} cannot be read: {error}"))
}

/// What the JSON reader says, without the names of Rust types and the quirks of generated readers.
fn in_words(problem: &str) -> String {
    let (what, place) = problem.rfind(" at line ").map_or((problem, ""), |at| problem.split_at(at));
    // The decoder of base64 names neither itself nor the field.
    if ["Invalid symbol ", "Invalid last symbol ", "Invalid input length", "Invalid padding", "Encoded text "]
        .iter()
        .any(|begin| what.starts_with(begin))
    {
        return format!("a field of bytes holds text that is not base64{place}");
    }
    if let Some(field) = what.strip_prefix("duplicate field ") {
        return format!("{field} stands twice, or beside a field that excludes it{place}");
    }
    let what = match what.split_once("expected struct ") {
        Some((before, _name)) => format!("{before}expected an object"),
        None => what.replace("expected expected ", "expected "),
    };
    match what.split_once("expected one of: [") {
        Some((before, names)) => {
            let names = names.trim_end_matches(']').replace('"', "`");
            format!("{before}expected one of {names}{place}")
        }
        None => what + place,
    }
}

/// The requests of a call.
#[derive(Debug)]
pub enum Input {
    /// Of a method that takes one.
    One(Bytes),
    /// Of a method that takes many.
    Many(Events<Bytes>),
}

impl Input {
    pub(crate) fn one<C: Codec, M: Message + Default + DeserializeOwned>(self) -> Result<M> {
        match self {
            Self::One(bytes) => C::decode(bytes),
            Self::Many(_) => Err(Error::new(Reason::RequestInvalid, "this method takes one request, not a stream")),
        }
    }

    #[cfg_attr(not(feature = "shapes"), allow(dead_code, reason = "only the test service has such a method yet"))]
    pub(crate) fn many<C: Codec, M: Message + Default + DeserializeOwned + 'static>(self) -> Events<M> {
        match self {
            Self::One(bytes) => Events::new(futures::stream::iter([C::decode(bytes)])),
            Self::Many(events) => events.try_map(C::decode),
        }
    }
}

/// The answers of a call.
#[derive(Debug)]
pub enum Output {
    /// Of a method that gives one.
    One(Bytes),
    /// Of a method that gives many.
    Many(Events<Bytes>),
}

impl Output {
    pub(crate) fn one<C: Codec, M: Message + Serialize>(message: &M) -> Result<Self> {
        C::encode(message).map(Self::One)
    }

    pub(crate) fn many<C: Codec, M: Message + Serialize + 'static>(events: Events<M>) -> Self {
        Self::Many(events.try_map(|message| C::encode(&message)))
    }
}

/// Calls one method.
pub type Invoke = fn(&Apis, Cx, Input) -> BoxFuture<'static, Result<Output>>;

/// A method that can be called by name.
#[derive(Debug)]
pub struct Method {
    /// Its description.
    pub info: &'static CallInfo,
    /// Calls it with JSON.
    pub json: Invoke,
    /// Calls it with the protobuf wire format.
    pub binary: Invoke,
}

/// The method at `/package.Service/Method`.
pub fn method(path: &str) -> Option<&'static Method> {
    crate::METHODS.iter().find(|method| method.info.path == path)
}

#[cfg(test)]
#[cfg(feature = "http")]
mod tests {
    use super::*;
    use crate::state::v1::SetRequest;

    fn problem(json: &'static str) -> String {
        Json::decode::<SetRequest>(Bytes::from_static(json.as_bytes())).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_wrong_with_json_is_said_in_words() {
        for (json, said) in [
            ("[]", "expected an object"),
            (r#"{"condition":{"ifAbsent":{},"ifMatch":"1"}}"#, "stands twice, or beside a field that excludes it"),
            (r#"{"value":{"data":"!!"}}"#, "a field of bytes holds text that is not base64 at line 1"),
            (r#"{"consistency":[]}"#, "expected one of `CONSISTENCY_UNSPECIFIED`, "),
            (r#"{"tll":1}"#, "unknown field `tll`"),
        ] {
            let problem = problem(json);
            assert!(problem.contains(said), "{json}: {problem}");
            for rust in ["struct", "expected expected", "pillion.", "[\"", "symbol", "duplicate"] {
                assert!(!problem.contains(rust), "{json}: {problem}");
            }
        }
    }
}
