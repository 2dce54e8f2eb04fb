//! A TCP proxy that misbehaves on demand, for the way between a component and its backend.
//!
//! It forwards bytes until told otherwise. What it is told holds for present and for later
//! connections, and can be changed at any time.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::{Either, select};
use pillion_spi::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::seed::Seeded;

/// How many connections the proxy carries at once; further ones wait to be accepted.
pub const MOST_CONNECTIONS: usize = 512;

const PIECE: usize = 16 << 10;
/// How long the proxy tries to reach the backend for a connection.
const DIAL: Duration = Duration::from_secs(5);

/// What the proxy does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// What becomes of new connections.
    pub accept: Accept,
    /// What becomes of bytes on their way to the backend.
    pub to_server: Way,
    /// What becomes of bytes on their way to the client.
    pub to_client: Way,
}

/// What becomes of new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// They are carried.
    #[default]
    Carry,
    /// The port is closed: connecting is refused.
    Refuse,
    /// They are accepted and ended at once by a reset.
    Reset,
    /// They are accepted and nothing ever answers, as behind a firewall that drops packets.
    Silence,
}

/// What becomes of bytes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Whether they pass.
    pub pass: Pass,
    /// How long each piece is held back.
    pub delay: Duration,
    /// Up to how much longer, at random.
    pub jitter: Duration,
    /// After so many bytes of a connection it is cut, within a piece if need be.
    pub cut_after: Option<Cut>,
    /// Once in so many pieces, one bit of it is changed.
    pub corrupt_once_in: Option<usize>,
}

/// Whether bytes pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pass {
    /// They do.
    #[default]
    Forward,
    /// They are taken and thrown away, and neither side is told. A connection that lost bytes stays
    /// silent for ever, as when a firewall forgets it.
    Swallow,
    /// They are not even taken: the sender's buffers fill up.
    Stall,
}

/// When and how a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many bytes pass before.
    pub bytes: u64,
    /// How it ends.
    pub end: End,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both directions are closed in an orderly way.
    Close,
    /// Both ends see a reset.
    Reset,
    /// Only this direction is closed; the other goes on.
    HalfClose,
}

/// Both directions neither pass nor fail: the peer is there and never answers.
pub const BLACK_HOLE: Faults = {
    let way = Way {
        pass: Pass::Swallow,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        cut_after: None,
        corrupt_once_in: None,
    };
    Faults { accept: Accept::Silence, to_server: way, to_client: way }
};

/// A running proxy. It ends on drop.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// The listener: closed while connecting is refused.
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    faults: watch::Sender<Faults>,
    connections: Mutex<HashMap<u64, CancellationToken>>,
    accepted: AtomicU64,
    random: Mutex<Seeded>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

#[derive(Debug)]
struct Command(Faults, tokio::sync::oneshot::Sender<io::Result<()>>);

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1 in front of a port of the same address; what it
    /// does at random follows from `seed`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(upstream: u16, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding the proxy")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: (Ipv4Addr::LOCALHOST, upstream).into(),
            faults: watch::Sender::default(),
            connections: Mutex::default(),
            accepted: AtomicU64::new(0),
            random: Mutex::new(Seeded::new(seed)),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        });
        let (commands, receiver) = mpsc::channel(8);
        shared.tasks.spawn(shared.closing.clone().run_until_cancelled_owned(accept(
            shared.clone(),
            address,
            listener,
            receiver,
        )));
        Ok(Self { address, shared, commands })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what the proxy does, and returns when it does so for new connections.
    ///
    /// # Errors
    /// When the port cannot be bound again after it was closed.
    pub async fn set(&self, faults: Faults) -> Result<()> {
        let (done, heard) = tokio::sync::oneshot::channel();
        self.commands.send(Command(faults, done)).await.context("the proxy has ended")?;
        heard.await.context("the proxy has ended")?.context("binding the port of the proxy again")?;
        Ok(())
    }

    /// Lets everything pass again. Connections that lost bytes stay silent: end them with
    /// [`cut`](Self::cut) if their peers should find out.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub async fn heal(&self) -> Result<()> {
        self.set(Faults::default()).await
    }

    /// Resets every present connection.
    pub fn cut(&self) {
        for (_, connection) in self.connections().drain() {
            connection.cancel();
        }
    }

    /// How many connections are carried.
    pub fn open(&self) -> usize {
        self.connections().len()
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Ends the proxy and its connections, and waits until both are gone.
    pub async fn stop(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}

async fn accept(
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: TcpListener,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut listener = Some(listener);
    loop {
        let full = shared.tasks.len() > MOST_CONNECTIONS;
        let accepting = async {
            match &listener {
                Some(listener) if !full => listener.accept().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            command = commands.recv() => {
                let Some(Command(faults, done)) = command else { return };
                let bound = listen(&mut listener, address, faults.accept != Accept::Refuse).await;
                shared.faults.send_replace(faults);
                let _ = done.send(bound);
            }
            accepted = accepting => {
                if let Ok((client, _)) = accepted {
                    let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                    shared.tasks.spawn(connection(shared.clone(), client, number));
                }
            }
            // A place may have become free.
            () = SystemClock.sleep(Duration::from_millis(50)), if full => {}
        }
    }
}

async fn listen(listener: &mut Option<TcpListener>, address: SocketAddr, wanted: bool) -> io::Result<()> {
    if !wanted {
        *listener = None;
    } else if listener.is_none() {
        *listener = Some(TcpListener::bind(address).await?);
    }
    Ok(())
}

async fn connection(shared: Arc<Shared>, client: TcpStream, number: u64) {
    let cut = shared.closing.child_token();
    let registered = |map: &mut HashMap<u64, CancellationToken>| map.insert(number, cut.clone());
    registered(&mut shared.connections.lock().unwrap_or_else(PoisonError::into_inner));
    let accept = shared.faults.borrow().accept;
    match accept {
        Accept::Silence => {
            cut.cancelled().await;
            reset(&client);
        }
        Accept::Reset | Accept::Refuse => reset(&client),
        Accept::Carry => {
            let clock: &dyn Clock = &SystemClock;
            match cut.run_until_cancelled(clock.timeout(DIAL, TcpStream::connect(shared.upstream))).await {
                Some(Ok(Ok(server))) => carry(&shared, client, server, &cut).await,
                // The backend is gone; the client should see what it would see there.
                _ => reset(&client),
            }
        }
    }
    shared.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
}

/// When the stream is dropped, its peer sees a reset.
fn reset(stream: &TcpStream) {
    // It may have ended by itself.
    let _ = stream.set_zero_linger();
}

async fn carry(shared: &Shared, mut client: TcpStream, mut server: TcpStream, cut: &CancellationToken) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let fork = || shared.random.lock().unwrap_or_else(PoisonError::into_inner).fork();
    let (up, down) = (fork(), fork());
    let end = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let up = direction(from_client, to_server, shared.faults.subscribe(), |faults| faults.to_server, up);
        let down = direction(from_server, to_client, shared.faults.subscribe(), |faults| faults.to_client, down);
        let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
        tokio::select! {
            () = cut.cancelled() => End::Reset,
            end = async {
                let (first, other) = match select(up.as_mut(), down.as_mut()).await {
                    Either::Left((end, other)) => (end, Either::Left(other)),
                    Either::Right((end, other)) => (end, Either::Right(other)),
                };
                // One direction may end and the other go on.
                if first == End::HalfClose { other.await } else { first }
            } => end,
        }
    };
    if end == End::Reset {
        reset(&client);
        reset(&server);
    }
}

/// Carries bytes one way until it ends, and how.
async fn direction(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut faults: watch::Receiver<Faults>,
    way: impl Fn(&Faults) -> Way,
    mut random: Seeded,
) -> End {
    let mut passed = 0;
    // TCP never leaves a gap: what lost bytes can only stay silent.
    let mut lost = false;
    let mut buffer = vec![0; PIECE];
    loop {
        let now = way(&faults.borrow_and_update());
        if now.pass == Pass::Stall {
            if faults.changed().await.is_err() {
                return End::Reset;
            }
            continue;
        }
        let length = tokio::select! {
            read = from.read(&mut buffer) => match read {
                // The orderly end of one direction is passed on.
                Ok(0) => {
                    let _ = to.shutdown().await;
                    return End::HalfClose;
                }
                Ok(length) => length,
                Err(_) => return End::Reset,
            },
            // What holds now decides what becomes of bytes that come now.
            changed = faults.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return End::Reset,
            },
        };
        let mut way = way(&faults.borrow());
        let jitter = u64::try_from(way.jitter.as_micros()).unwrap_or(u64::MAX);
        way.delay += Duration::from_micros(if jitter == 0 { 0 } else { random.number() % jitter });
        if !way.delay.is_zero() {
            SystemClock.sleep(way.delay).await;
        }
        lost |= way.pass == Pass::Swallow;
        if lost {
            continue;
        }
        if way.corrupt_once_in.is_some_and(|times| random.once_in(times)) {
            buffer[random.below(length)] ^= 1 << random.below(8);
        }
        let left = way.cut_after.map_or(u64::MAX, |cut| cut.bytes.saturating_sub(passed));
        let piece = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        if to.write_all(&buffer[..piece]).await.is_err() {
            return End::Reset;
        }
        passed += piece as u64;
        if let Some(cut) = way.cut_after.filter(|cut| passed >= cut.bytes) {
            if cut.end != End::Reset {
                let _ = to.shutdown().await;
            }
            return cut.end;
        }
    }
}

#[cfg(test)]
#[path = "proxy_test.rs"]
mod tests;
