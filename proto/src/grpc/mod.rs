//! Adapters between the traits and tonic, and the mapping of errors onto gRPC statuses.

#[cfg(feature = "grpc-client")]
pub mod client;
mod codec;
#[cfg(feature = "grpc-client")]
mod link;
#[cfg(feature = "grpc-server")]
pub mod server;

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

pub use codec::{Codec, Malformed, MessageCodec, MessageDecoder, Native};

use crate::common::v1 as common;
use crate::error::Error;

/// The `domain` of our `google.rpc.ErrorInfo` details.
const DOMAIN: &str = "pillion.dev";
const ERROR_INFO_URL: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const ERROR_URL: &str = "type.googleapis.com/pillion.common.v1.Error";

/// Writes an error as a status: the code and text for everybody, the standard `ErrorInfo` for any
/// gRPC client, and the whole error for ours.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let full = common::Error::from(&error);
        let info =
            pb::ErrorInfo { reason: full.reason.clone(), domain: DOMAIN.to_owned(), metadata: full.metadata.clone() };
        let code = Code::from(error.grpc_code());
        let details = pb::Status {
            code: code.into(),
            message: full.message.clone(),
            details: vec![
                prost_types::Any { type_url: ERROR_INFO_URL.to_owned(), value: info.encode_to_vec() },
                prost_types::Any { type_url: ERROR_URL.to_owned(), value: full.encode_to_vec() },
            ],
        };
        Self::with_details(code, full.message, Bytes::from(details.encode_to_vec()))
    }
}

/// The error that one of our runtimes put into a status.
pub(crate) fn details(status: &Status) -> Option<Error> {
    let details = pb::Status::decode(status.details()).ok()?;
    let any = details.details.iter().find(|any| any.type_url == ERROR_URL)?;
    common::Error::decode(any.value.as_slice()).ok().map(Error::from)
}
