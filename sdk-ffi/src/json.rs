//! Messages as JSON, for the drivers of the scenario runner: what they are told becomes a record of
//! their language, and what calls gave them becomes text again.

use pillion::proto::codec::{Codec, Json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::FfiError;

pub(crate) fn read<M: prost::Message + Default + DeserializeOwned>(text: String) -> Result<M, FfiError> {
    Ok(Json::decode(text.into())?)
}

pub(crate) fn written<M: prost::Message + Serialize>(message: &M) -> Result<String, FfiError> {
    Ok(String::from_utf8_lossy(&Json::encode(message)?).into_owned())
}
