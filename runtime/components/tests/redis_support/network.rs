//! A network that loses what is sent, as one does whose other end was unplugged.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use pillion_spi::network::{Connection, Endpoint, Network, SystemNetwork};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Counts connections and can make those that exist, or new ones, lead nowhere.
#[derive(Debug, Default)]
pub(crate) struct Holes {
    /// Connections with a smaller number are black holes.
    below: Arc<AtomicUsize>,
    /// Dialling from this number on has no end.
    no_dial_from: AtomicUsize,
    dials: AtomicUsize,
}

impl Holes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { no_dial_from: AtomicUsize::new(usize::MAX), ..Self::default() })
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    /// What was sent on the connections made so far is lost from now on, and nothing comes back.
    pub(crate) fn swallow_present(&self) {
        self.below.store(self.dials(), Ordering::SeqCst);
    }

    /// New connections are never made.
    pub(crate) fn swallow_dials(&self) {
        self.no_dial_from.store(0, Ordering::SeqCst);
    }

    /// New connections are made again; those that were swallowed stay so.
    pub(crate) fn mend(&self) {
        self.no_dial_from.store(usize::MAX, Ordering::SeqCst);
    }
}

impl Network for Holes {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let number = self.dials.fetch_add(1, Ordering::SeqCst);
            if number >= self.no_dial_from.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
            let inner = SystemNetwork.connect(endpoint).await?;
            Ok(Box::new(Pipe { inner, number, below: self.below.clone() }) as Box<dyn Connection>)
        })
    }
}

struct Pipe {
    inner: Box<dyn Connection>,
    number: usize,
    below: Arc<AtomicUsize>,
}

impl Pipe {
    fn is_hole(&self) -> bool {
        self.number < self.below.load(Ordering::SeqCst)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_hole() { Poll::Pending } else { Pin::new(&mut self.inner).poll_read(cx, buf) }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_hole() { Poll::Ready(Ok(buf.len())) } else { Pin::new(&mut self.inner).poll_write(cx, buf) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A network that carries 100 KiB each 10 ms, and not more.
#[derive(Debug)]
pub(crate) struct Slow;

const PORTION: usize = 100 << 10;

impl Network for Slow {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(PORTION);
            let (near_read, near_write) = tokio::io::split(far);
            let (read, write) = tokio::io::split(SystemNetwork.connect(endpoint).await?);
            tokio::spawn(trickle(near_read, write));
            tokio::spawn(trickle(read, near_write));
            Ok(Box::new(near) as Box<dyn Connection>)
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "a slow network is slow by the world's clock")]
async fn trickle(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut portion = vec![0; PORTION];
    loop {
        let length = from.read(&mut portion).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&portion[..length]).await?;
        if length > PORTION / 10 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}
