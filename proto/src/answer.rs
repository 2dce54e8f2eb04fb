//! How large an answer may be: one rule for every transport.
//!
//! Whoever reads what others stored keeps a [`Budget`] and stops as soon as it is used up. The
//! transports look once more, for a method that has none. Sizes are those of the protobuf wire
//! format, whatever is spoken, so that an answer does not depend on who asks how.

use prost::Message;

use crate::error::{Error, Reason, Result};

/// Room in an answer that is filled item by item.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    /// Room for `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// Takes the room of an item of a list.
    ///
    /// # Errors
    /// `request.answer_too_large` if it does not fit any more.
    pub fn take<M: Message>(&mut self, item: &M) -> Result<()> {
        let length = item.encoded_len();
        // In front of an item stand its tag, of one byte for the first fifteen fields, and its length.
        let framed = length.saturating_add(1 + prost::length_delimiter_len(length));
        self.left = self.left.checked_sub(framed).ok_or_else(|| too_large(self.limit))?;
        Ok(())
    }
}

/// Gives back an answer of at most `limit` bytes.
///
/// # Errors
/// `request.answer_too_large`.
pub fn within<M: Message>(answer: M, limit: usize) -> Result<M> {
    if answer.encoded_len() > limit { Err(too_large(limit)) } else { Ok(answer) }
}

/// The error of an answer that would have more than `limit` bytes. How many it is not known: what
/// makes them up was not read to its end.
pub fn too_large(limit: usize) -> Error {
    Error::new(
        Reason::RequestAnswerTooLarge,
        format!("the answer would have more than {limit} bytes, which is the limit"),
    )
    .with("limit", limit)
}
