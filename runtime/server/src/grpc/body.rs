//! The bodies of gRPC calls.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pillion_proto::{Error, Reason};
use tonic::{Code, Status};

use super::table::Entry;
use crate::inbound::Inbound;

/// What stands before every message (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// A request body whose messages are judged as soon as their length is known, before a byte of them
/// is kept. tonic has such a limit too, with one text for everybody and a code that gRPC gives to
/// something else.
pub(crate) struct Messages {
    body: Inbound,
    limit: usize,
    entry: Entry,
    prefix: [u8; PREFIX],
    /// How many bytes of the prefix have come.
    have: usize,
    /// How many bytes of the message are still to come.
    rest: usize,
    count: usize,
    ended: bool,
}

impl Messages {
    pub(crate) fn new(body: Inbound, entry: Entry, limit: usize) -> Self {
        Self { body, limit, entry, prefix: [0; PREFIX], have: 0, rest: 0, count: 0, ended: false }
    }

    /// Follows the framing through a piece of the body.
    fn follow(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while data.has_remaining() {
            if self.have < PREFIX {
                let length = (PREFIX - self.have).min(data.len());
                data.copy_to_slice(&mut self.prefix[self.have..self.have + length]);
                self.have += length;
                if self.have < PREFIX {
                    break;
                }
                let [_compressed, length @ ..] = self.prefix;
                self.rest = u32::from_be_bytes(length) as usize;
                self.count += 1;
                if self.rest > self.limit {
                    return Err((self.entry.too_large)(self.rest, self.limit));
                }
            }
            let length = self.rest.min(data.len());
            data.advance(length);
            self.rest -= length;
            if self.rest == 0 {
                self.have = 0;
            }
        }
        Ok(())
    }

    /// Whether the body ended where one may end. tonic would call these defects of the server.
    fn judge_end(&self) -> Result<(), Status> {
        let message = if self.have > 0 || self.rest > 0 {
            "the request ended inside a message"
        } else if self.count == 0 && !self.entry.uploads {
            "the request has no message"
        } else {
            return Ok(());
        };
        // A door's clients know the texts of another runtime, which its own codec gives.
        if self.entry.is_door() { Ok(()) } else { Err(Error::new(Reason::RequestInvalid, message).into()) }
    }
}

/// The status of a body that failed. tonic takes the code `CANCELLED` there for an end of the
/// stream, and an upload that broke off would look finished.
fn failed(error: Error) -> Status {
    let status = Status::from(error);
    match status.code() {
        Code::Cancelled => {
            Status::with_details(Code::Aborted, status.message(), Bytes::copy_from_slice(status.details()))
        }
        _ => status,
    }
}

impl Body for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                // Trailers, which clients do not send, are an end as well.
                let judged = match frame.data_ref() {
                    Some(data) => self.follow(data),
                    None => self.judge_end(),
                };
                match judged {
                    Ok(()) => return Poll::Ready(Some(Ok(frame))),
                    Err(status) => Err(status),
                }
            }
            Some(Err(error)) => Err(failed(error)),
            None => self.judge_end(),
        };
        self.ended = true;
        Poll::Ready(item.err().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        // Not before the end was judged.
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
