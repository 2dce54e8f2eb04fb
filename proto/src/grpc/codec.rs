//! tonic's prost codec, except that bytes which are no message are the caller's fault, not an
//! internal error.

use std::fmt;
use std::marker::PhantomData;

use prost::{DecodeError, Message};
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use crate::codec::malformed;

/// Encodes `T` and decodes `U`, with the answers of Pillion's own services.
pub type Codec<T, U> = MessageCodec<T, U, Native>;

/// What a service answers to bytes that are no message.
pub trait Malformed: Send + 'static {
    /// The status for this cause.
    fn status(cause: DecodeError) -> Status;
}

/// `request.malformed`.
#[derive(Debug)]
pub enum Native {}

impl Malformed for Native {
    fn status(cause: DecodeError) -> Status {
        malformed("message", cause).into()
    }
}

/// Encodes `T` and decodes `U`; what cannot be decoded is answered as `M` says.
pub struct MessageCodec<T, U, M>(PhantomData<(T, U, M)>);

impl<T, U, M> Default for MessageCodec<T, U, M> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U, M> fmt::Debug for MessageCodec<T, U, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageCodec")
    }
}

impl<T, U, M> tonic::codec::Codec for MessageCodec<T, U, M>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
    M: Malformed,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = MessageDecoder<U, M>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

/// Decodes `U`.
#[derive(Debug)]
pub struct MessageDecoder<U, M>(PhantomData<(U, M)>);

impl<U: Message + Default, M: Malformed> Decoder for MessageDecoder<U, M> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(bytes).map(Some).map_err(M::status)
    }
}
