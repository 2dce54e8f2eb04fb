//! Messages as JSON, for the drivers of the scenario runner: what they are told becomes a record of
//! their language, and what calls gave them becomes text again.
//!
//! It is written from the description of the contract where that has the message, since the generated
//! writer has no word for NaN.

use std::sync::OnceLock;

use pillion::proto::codec::{Codec, Json};
use pillion::{Error, Reason, Result};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::FfiError;

pub(crate) fn read<M: prost::Message + Default + DeserializeOwned>(text: String) -> Result<M, FfiError> {
    Ok(Json::decode(text.into())?)
}

/// `name` is the full name of the message. What sockets do not serve is not described.
pub(crate) fn written<M: prost::Message + Serialize>(name: &str, message: &M) -> Result<String, FfiError> {
    static CONTRACT: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let contract = CONTRACT.get_or_init(|| DescriptorPool::decode(pillion::proto::DESCRIPTORS).ok());
    let Some(described) = contract.as_ref().and_then(|contract| contract.get_message_by_name(name)) else {
        return Ok(String::from_utf8_lossy(&Json::encode(message)?).into_owned());
    };
    let failed = || Error::new(Reason::Unspecified, format!("a `{name}` cannot be written as JSON"));
    let message = DynamicMessage::decode(described, message.encode_to_vec().as_slice());
    let message = message.map_err(|error| failed().source(error))?;
    Ok(serde_json::to_string(&message).map_err(|error| failed().source(error))?)
}
