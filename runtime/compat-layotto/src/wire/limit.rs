//! The size limit of messages, checked where their length is announced: before any of it is kept.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// A body that ends with an error at a message that is too large.
#[derive(Debug)]
pub struct Limited {
    body: Body,
    messages: Messages,
}

impl Limited {
    /// Takes messages of up to `largest` bytes.
    pub fn new(body: Body, largest: usize) -> Self {
        Self { body, messages: Messages::new(largest) }
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(task));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(length) = self.messages.follow(data)
        {
            let text = format!("grpc: received message larger than max ({length} vs. {})", self.messages.largest);
            return Poll::Ready(Some(Err(Status::resource_exhausted(text))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Follows the messages of a body: each is preceded by a byte of flags and four of length
/// (gRPC over HTTP/2, "Length-Prefixed-Message").
#[derive(Debug)]
struct Messages {
    largest: usize,
    /// The prefix being read, and how much of it there is.
    prefix: [u8; 5],
    read: usize,
    /// How much of the message's own bytes is still to come.
    left: usize,
}

impl Messages {
    fn new(largest: usize) -> Self {
        Self { largest, prefix: [0; 5], read: 0, left: 0 }
    }

    /// Takes the next bytes of the body. The error is the length of a message that is too large.
    fn follow(&mut self, mut data: &[u8]) -> Result<(), usize> {
        while !data.is_empty() {
            let (target, wanted) = if self.left > 0 { (None, self.left) } else { (Some(self.read), 5 - self.read) };
            let (now, later) = data.split_at(wanted.min(data.len()));
            data = later;
            match target {
                None => self.left -= now.len(),
                Some(start) => {
                    self.prefix[start..start + now.len()].copy_from_slice(now);
                    self.read += now.len();
                }
            }
            if self.read == self.prefix.len() {
                let [_, length @ ..] = self.prefix;
                self.read = 0;
                self.left = u32::from_be_bytes(length) as usize;
                if self.left > self.largest {
                    return Err(self.left);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Messages;

    fn body(lengths: &[usize]) -> Vec<u8> {
        lengths.iter().fold(Vec::new(), |mut body, length| {
            body.push(0);
            body.extend(u32::try_from(*length).expect("a length").to_be_bytes());
            body.resize(body.len() + length, b'x');
            body
        })
    }

    /// However the transport cuts the body, the same message is refused.
    #[test]
    fn a_message_over_the_limit_is_refused_in_any_cut() {
        for (lengths, expected) in [
            (vec![], Ok(())),
            (vec![0], Ok(())),
            (vec![10], Ok(())),
            (vec![0, 10, 3, 10], Ok(())),
            (vec![11], Err(11)),
            (vec![10, 0, 300], Err(300)),
        ] {
            let body = body(&lengths);
            for size in 1..=body.len().max(1) {
                let mut messages = Messages::new(10);
                let outcome = body.chunks(size).try_for_each(|chunk| messages.follow(chunk));
                assert_eq!(outcome, expected, "{lengths:?} in pieces of {size}");
            }
        }
    }
}
