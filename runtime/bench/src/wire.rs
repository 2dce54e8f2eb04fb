//! The calls that are measured, as bytes: what the load generator sends must be the same every time.

use bytes::{BufMut, Bytes, BytesMut};
use pillion::proto::common::v1::Value;
use pillion::proto::state::v1::{GetRequest, SetRequest};
use prost::Message;
use serde::{Deserialize, Serialize};

/// The key that is read and written.
pub const KEY: &str = "bench-key";
/// How long values are, in bytes.
pub const VALUE: usize = 100;

/// The value that is read and written.
pub fn value() -> Bytes {
    Bytes::from_static(&[b'v'; VALUE])
}

/// A unary gRPC call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Call {
    /// The bare peer of [`SayHello`](Self::SayHello): the same messages.
    Echo,
    /// Layotto's greeting, which needs no component.
    SayHello,
    /// `Get` of the native API.
    Get(Store),
    /// `Set` of the native API.
    Set(Store),
    /// `GetState` of Layotto's API.
    GetState(Store),
    /// `SaveState` of Layotto's API.
    SaveState(Store),
}

/// A component of the runtime that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Store {
    Memory,
    Local,
    Redis,
}

impl Store {
    pub const ALL: [Self; 3] = [Self::Memory, Self::Local, Self::Redis];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Local => "local",
            Self::Redis => "redis",
        }
    }
}

impl Call {
    /// What people call it.
    pub fn label(self) -> String {
        let (call, store) = match self {
            Self::Echo => return "bare tonic echo".to_owned(),
            Self::SayHello => return "SayHello (Layotto)".to_owned(),
            Self::Get(store) => ("Get (native)", store),
            Self::Set(store) => ("Set (native)", store),
            Self::GetState(store) => ("GetState (Layotto)", store),
            Self::SaveState(store) => ("SaveState (Layotto)", store),
        };
        format!("{call} on {}", store.name())
    }

    /// The path of the request.
    pub fn path(self) -> &'static str {
        match self {
            Self::Echo => "/pillion.bench.Echo/Echo",
            Self::SayHello => "/spec.proto.runtime.v1.Runtime/SayHello",
            Self::Get(_) => "/pillion.state.v1.StateService/Get",
            Self::Set(_) => "/pillion.state.v1.StateService/Set",
            Self::GetState(_) => "/spec.proto.runtime.v1.Runtime/GetState",
            Self::SaveState(_) => "/spec.proto.runtime.v1.Runtime/SaveState",
        }
    }

    /// The body of the request: one gRPC frame.
    pub fn body(self) -> Bytes {
        match self {
            Self::Echo | Self::SayHello => frame(&HelloRequest {
                service_name: "helloworld".to_owned(),
                name: "bench".to_owned(),
                data: Some(Any { type_url: "bench/bytes".to_owned(), value: value() }),
            }),
            Self::Get(store) => {
                frame(&GetRequest { store: store.name().to_owned(), key: KEY.to_owned(), ..GetRequest::default() })
            }
            Self::Set(store) => frame(&SetRequest {
                store: store.name().to_owned(),
                key: KEY.to_owned(),
                value: Some(Value { data: value(), content_type: "text/plain".to_owned() }),
                ..SetRequest::default()
            }),
            Self::GetState(store) => {
                frame(&GetStateRequest { store_name: store.name().to_owned(), key: KEY.to_owned() })
            }
            Self::SaveState(store) => frame(&SaveStateRequest {
                store_name: store.name().to_owned(),
                states: vec![StateItem { key: KEY.to_owned(), value: value() }],
            }),
        }
    }

    /// Whether a good answer holds the value.
    pub fn reads(self) -> bool {
        !matches!(self, Self::Set(_) | Self::SaveState(_))
    }
}

/// One length-prefixed message, not compressed (gRPC over HTTP/2).
fn frame(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(message.encoded_len() as u32);
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// Layotto's `SayHelloRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct HelloRequest {
    #[prost(string, tag = "1")]
    pub service_name: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, optional, tag = "3")]
    pub data: Option<Any>,
}

/// Layotto's `SayHelloResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct HelloResponse {
    #[prost(string, tag = "1")]
    pub hello: String,
    #[prost(message, optional, tag = "2")]
    pub data: Option<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// Of Layotto's `GetStateRequest` what is used here.
#[derive(Clone, PartialEq, Message)]
struct GetStateRequest {
    #[prost(string, tag = "1")]
    store_name: String,
    #[prost(string, tag = "2")]
    key: String,
}

/// Of Layotto's `SaveStateRequest` what is used here.
#[derive(Clone, PartialEq, Message)]
struct SaveStateRequest {
    #[prost(string, tag = "1")]
    store_name: String,
    #[prost(message, repeated, tag = "2")]
    states: Vec<StateItem>,
}

/// Of Layotto's `StateItem` what is used here.
#[derive(Clone, PartialEq, Message)]
struct StateItem {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}
