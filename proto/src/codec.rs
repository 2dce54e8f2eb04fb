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
        serde_json::from_slice(&bytes).map_err(|error| malformed("JSON", error))
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

    #[cfg_attr(not(feature = "testing"), allow(dead_code))] // no native method uploads yet
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
