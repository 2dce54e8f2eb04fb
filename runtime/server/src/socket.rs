//! Accepted connections: the one place that knows which kinds of socket there are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::deadline::{Stall, within};

/// How every HTTP/2 connection begins (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An accepted connection on its way from the accepting runtime to the serving one.
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

/// What the peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A connection: gives back the bytes that were read to recognise its protocol, and fails when the
/// peer stops taking what is written.
pub(crate) struct Socket {
    stream: Stream,
    seen: Bytes,
    write: Stall,
    /// Whether it came over TCP, where web pages and other machines may be the caller.
    pub(crate) tcp: bool,
}

impl Socket {
    /// Takes a connection into the current runtime.
    pub(crate) fn new(accepted: Accepted, write: Duration) -> io::Result<Self> {
        let (stream, tcp) = match accepted {
            Accepted::Tcp(stream) => {
                // Answers are small and complete: waiting to fill a packet only delays them.
                stream.set_nodelay(true)?;
                (Stream::Tcp(TcpStream::from_std(stream)?), true)
            }
            #[cfg(unix)]
            Accepted::Unix(stream) => (Stream::Unix(UnixStream::from_std(stream)?), false),
        };
        Ok(Self { stream, seen: Bytes::new(), write: Stall::new(Some(write)), tcp })
    }

    /// Reads until the protocol is known; `None` if the peer said too little in time or went away.
    pub(crate) async fn recognise(&mut self, limit: Duration) -> Option<Protocol> {
        let mut seen = BytesMut::with_capacity(PREFACE.len());
        let protocol = within(limit, async {
            while seen.len() < PREFACE.len() {
                let before = seen.len();
                // Never more than the preface: what follows belongs to the protocol's own reader.
                let mut rest = (&mut self.stream).take((PREFACE.len() - before) as u64);
                if rest.read_buf(&mut seen).await.ok()? == 0 {
                    return None;
                }
                if seen[before..] != PREFACE[before..seen.len()] {
                    return Some(Protocol::Http1);
                }
            }
            Some(Protocol::Http2)
        })
        .await
        .flatten();
        self.seen = seen.freeze();
        protocol
    }

    /// Ends a connection so that the peer gets the last answer even if it is still sending: closing
    /// a socket with unread bytes resets it, and a reset discards what the peer has not read yet.
    pub(crate) async fn linger(mut self, limit: Duration) {
        let _ = within(limit, async {
            self.stream.shutdown().await?;
            let mut discarded = [0; 8 << 10];
            while self.stream.read(&mut discarded).await? > 0 {}
            io::Result::Ok(())
        })
        .await;
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.seen.has_remaining() {
            let length = self.seen.len().min(buf.remaining());
            buf.put_slice(&self.seen.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Socket {
    fn watch(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.write.progress();
            return polled;
        }
        ready!(self.write.poll_rest(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no more bytes")))
    }
}

/// Delegates a method to whichever socket it is.
macro_rules! delegate {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            #[cfg(unix)]
            Stream::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        delegate!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}
