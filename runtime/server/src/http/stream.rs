//! Streams over HTTP: JSON lines up, JSON lines or server-sent events down.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::Either;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::HeaderMap;
use http::header::ACCEPT;
use pillion_proto::http::problem;
use pillion_proto::{Access, Error, Events, Result};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::deadline;
use crate::drain::draining;
use crate::inbound::Inbound;
use crate::options::too_large;

/// How the answers of a stream are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text/event-stream`, with comments that keep idle connections open.
    Sse,
    /// `application/jsonl`.
    Lines,
}

impl Form {
    /// What the caller accepts; JSON lines unless it names server-sent events.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let events = headers.get_all(ACCEPT).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                value.split(',').any(|kind| {
                    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
                })
            })
        });
        if events { Self::Sse } else { Self::Lines }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Lines => "application/jsonl",
        }
    }

    fn item(self, json: &[u8]) -> Bytes {
        let (before, after): (&[u8], &[u8]) = match self {
            Self::Sse => (b"data: ", b"\n\n"),
            Self::Lines => (b"", b"\n"),
        };
        let mut text = BytesMut::with_capacity(before.len() + json.len() + after.len());
        text.put_slice(before);
        text.put_slice(json);
        text.put_slice(after);
        text.freeze()
    }

    fn error(self, error: &Error) -> Bytes {
        let problem = problem(error);
        match self {
            Self::Sse => format!("event: error\ndata: {problem}\n\n"),
            Self::Lines => format!("{}\n", json!({ "error": problem })),
        }
        .into()
    }
}

/// Writes answers as they come. An error is the last thing written; so is the end of a drain's grace.
pub(crate) fn write(
    events: Events<Bytes>,
    form: Form,
    keep_alive: Duration,
    cut: Arc<CancellationToken>,
) -> BoxStream<'static, Bytes> {
    stream::unfold(Some(events), move |events| {
        let cut = cut.clone();
        async move {
            let mut events = events?;
            let rest = match form {
                Form::Sse => Either::Left(deadline::wait(keep_alive)),
                Form::Lines => Either::Right(std::future::pending()),
            };
            tokio::select! {
                biased;
                item = events.next() => match item {
                    Ok(Some(json)) => Some((form.item(&json), Some(events))),
                    Ok(None) => None,
                    Err(error) => Some((form.error(&error), None)),
                },
                () = cut.cancelled() => Some((form.error(&draining(Access::Read)), None)),
                () = rest => Some((Bytes::from_static(b":\n\n"), Some(events))),
            }
        }
    })
    .boxed()
}

/// Reads an upload: one JSON text a line, the last line with or without its line break. A line
/// longer than `limit` and a body that breaks off are errors.
pub(crate) fn read(body: Inbound, limit: usize) -> Events<Bytes> {
    let lines = Lines { body, buffer: BytesMut::new(), scanned: 0, ended: false };
    Events::new(stream::unfold(lines, move |mut lines| async move {
        lines.next(limit).await.transpose().map(|line| (line, lines))
    }))
}

struct Lines {
    body: Inbound,
    buffer: BytesMut,
    /// How much of the buffer has no line break.
    scanned: usize,
    ended: bool,
}

impl Lines {
    async fn next(&mut self, limit: usize) -> Result<Option<Bytes>> {
        loop {
            let line = match self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
                Some(at) => {
                    let line = self.buffer.split_to(self.scanned + at + 1).freeze();
                    self.scanned = 0;
                    line
                }
                None if self.ended => {
                    self.scanned = 0;
                    self.buffer.split().freeze()
                }
                None => {
                    self.scanned = self.buffer.len();
                    if self.scanned > limit {
                        return Err(too_large("line", self.scanned, limit));
                    }
                    match self.body.data().await? {
                        Some(data) => self.buffer.extend_from_slice(&data),
                        None => self.ended = true,
                    }
                    continue;
                }
            };
            let text = line.trim_ascii();
            if text.len() > limit {
                return Err(too_large("line", text.len(), limit));
            }
            if !text.is_empty() {
                return Ok(Some(line.slice_ref(text)));
            }
            if self.ended && self.buffer.is_empty() {
                return Ok(None);
            }
        }
    }
}
