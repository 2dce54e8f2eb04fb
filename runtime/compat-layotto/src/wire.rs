//! What a Layotto client sees of the transport: answers to methods that are not served, to messages
//! that cannot be read, and to messages that are too large.

use pillion_proto::grpc::{Malformed, MessageCodec};
use prost::DecodeError;
use tonic::Status;

use crate::SERVICE;

/// The answer of a method that the service has and this door does not serve.
pub(crate) fn unserved(method: &str) -> Status {
    Status::unimplemented(format!("method {method} of {SERVICE} is not served by this runtime yet"))
}

/// The answer to a request message of `size` bytes where at most `limit` are taken.
pub fn too_large(size: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("grpc: received message larger than max ({size} vs. {limit})"))
}

/// tonic's prost codec with Layotto's answer to bytes that are no message.
pub(crate) type Codec<T, U> = MessageCodec<T, U, Unreadable>;

#[derive(Debug)]
pub(crate) enum Unreadable {}

impl Malformed for Unreadable {
    fn status(cause: DecodeError) -> Status {
        Status::internal(format!("grpc: error unmarshalling request: {cause}"))
    }
}
