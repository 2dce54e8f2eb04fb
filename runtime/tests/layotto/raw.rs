//! A gRPC client that knows the descriptors only: what it sends is what the table says.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use serde_json::Value as Json;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A connection to a runtime.
#[derive(Clone, Debug)]
pub struct Raw {
    channel: Channel,
    pool: DescriptorPool,
}

impl Raw {
    /// Connects on the first call.
    pub fn new(address: SocketAddr) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        Ok(Self { channel, pool: DescriptorPool::decode(pillion_compat_layotto::DESCRIPTORS)? })
    }

    /// Calls a method of the door with a message in the form of the table.
    pub async fn call(&self, method: &str, request: &Json) -> Result<Result<DynamicMessage, Status>> {
        let described = self.method(method)?;
        let request = message(&described.input(), request).with_context(|| format!("the request of {method}"))?;
        match self.send(pillion_compat_layotto::SERVICE, method, request.encode_to_vec().into()).await? {
            Ok(answer) => Ok(Ok(DynamicMessage::decode(described.output(), answer)?)),
            Err(status) => Ok(Err(status)),
        }
    }

    /// Calls any method with any bytes.
    pub async fn send(&self, service: &str, method: &str, request: Bytes) -> Result<Result<Bytes, Status>> {
        let path = format!("/{service}/{method}").try_into()?;
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await?;
        Ok(grpc.unary(Request::new(request), path, Plain).await.map(tonic::Response::into_inner))
    }

    /// The answer of a method in the form of the table.
    pub fn answer(&self, method: &str, answer: &Json) -> Result<DynamicMessage> {
        message(&self.method(method)?.output(), answer)
    }

    fn method(&self, name: &str) -> Result<prost_reflect::MethodDescriptor> {
        let service = self.pool.get_service_by_name(pillion_compat_layotto::SERVICE).context("no service")?;
        service.methods().find(|method| method.name() == name).with_context(|| format!("no method {name}"))
    }
}

/// A message from its fields by their proto names; bytes are text.
fn message(descriptor: &MessageDescriptor, fields: &Json) -> Result<DynamicMessage> {
    let mut message = DynamicMessage::new(descriptor.clone());
    let Json::Object(fields) = fields else { bail!("{} is no {}", fields, descriptor.full_name()) };
    for (name, value) in fields {
        let field = descriptor.get_field_by_name(name).with_context(|| format!("no field {name}"))?;
        message.set_field(&field, field_value(&field, value).with_context(|| format!("field {name}"))?);
    }
    Ok(message)
}

fn field_value(field: &FieldDescriptor, value: &Json) -> Result<Value> {
    Ok(match (field.kind(), value) {
        (Kind::Message(entry), Json::Object(pairs)) if field.is_map() => {
            let kind = entry.map_entry_value_field().kind();
            let pairs = pairs.iter().map(|(key, value)| Ok((MapKey::String(key.clone()), single(&kind, value)?)));
            Value::Map(pairs.collect::<Result<HashMap<_, _>>>()?)
        }
        (kind, Json::Array(items)) if field.is_list() => {
            Value::List(items.iter().map(|item| single(&kind, item)).collect::<Result<_>>()?)
        }
        (kind, value) => single(&kind, value)?,
    })
}

fn single(kind: &Kind, value: &Json) -> Result<Value> {
    Ok(match (kind, value) {
        (Kind::String, Json::String(text)) => Value::String(text.clone()),
        (Kind::Bytes, Json::String(text)) => Value::Bytes(text.clone().into()),
        (Kind::Int32, Json::Number(number)) => {
            Value::I32(number.as_i64().and_then(|number| number.try_into().ok()).context("no int32")?)
        }
        (Kind::Enum(descriptor), Json::String(name)) => {
            Value::EnumNumber(descriptor.get_value_by_name(name).with_context(|| format!("no value {name}"))?.number())
        }
        (Kind::Message(descriptor), fields) => Value::Message(message(descriptor, fields)?),
        _ => bail!("{value} is no {kind:?}"),
    })
}

/// Sends and takes bytes as they are.
#[derive(Clone, Copy, Debug)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
