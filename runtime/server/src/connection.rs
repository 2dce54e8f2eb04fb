//! Serving one connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::options::{Deadlines, Limits};
use crate::socket::{Protocol, Socket};
use crate::stack::{Caller, Stack};

/// How long a peer that is still sending is read from after it was answered for the last time.
const LINGER: Duration = Duration::from_secs(2);

/// Resets before a stream was looked at ("rapid reset", CVE-2023-44487), at once on one connection.
const PENDING_RESETS: usize = 20;

/// Streams reset for errors of the peer, at once on one connection.
const ERROR_RESETS: usize = 256;

/// What a stream and a connection may send before it is read: bounds what a peer can make us keep.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 2 << 20;

/// Answer bytes that wait for one stream's window.
const SEND_BUFFER: usize = 256 << 10;

/// Serves connections of either protocol.
pub(crate) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    pub(crate) deadlines: Deadlines,
}

impl Protocols {
    pub(crate) fn new(limits: &Limits, deadlines: Deadlines) -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(deadlines.header).max_header_size(limits.header_bytes);
        // Up to hyper's own limit of 100 it has room for headers on the stack.
        if limits.headers > 100 {
            http1.max_headers(limits.headers);
        }
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(deadlines.ping)
            .keep_alive_timeout(deadlines.pong)
            .max_concurrent_streams(limits.streams)
            // From this h2 also derives how many CONTINUATION frames it takes.
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(ERROR_RESETS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER);
        Self { http1, http2, deadlines }
    }

    /// Serves a connection to its end, or to that of the server.
    pub(crate) async fn serve(&self, socket: Socket, stack: Arc<Stack>) {
        let stop = stack.signals.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.run(socket, stack) => {}
        }
    }

    async fn run(&self, mut socket: Socket, stack: Arc<Stack>) {
        let drain = stack.signals.drain.clone();
        let mut draining = pin!(drain.cancelled());
        let protocol = tokio::select! {
            biased;
            protocol = socket.recognise(self.deadlines.first_bytes) => protocol,
            () = &mut draining => return,
        };
        let caller = Caller { stack, tcp: socket.tcp };
        // How a connection failed is the peer's affair: it can make it fail in any way it likes.
        match protocol {
            None => {}
            Some(Protocol::Http2) => {
                let mut connection = pin!(self.http2.serve_connection(TokioIo::new(socket), caller));
                tokio::select! {
                    biased;
                    _ = connection.as_mut() => return,
                    () = &mut draining => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            }
            Some(Protocol::Http1) => {
                let mut connection = self.http1.serve_connection(TokioIo::new(socket), caller);
                tokio::select! {
                    biased;
                    _ = poll_fn(|cx| connection.poll_without_shutdown(cx)) => {}
                    () = &mut draining => {
                        Pin::new(&mut connection).graceful_shutdown();
                        let _ = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
                    }
                }
                connection.into_parts().io.into_inner().linger(LINGER).await;
            }
        }
    }
}
