//! Taking the addresses to listen on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Connections that the kernel may hold while none is accepted.
const BACKLOG: i32 = 1024;

/// An address could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Somebody listens there already.
    #[error(
        "{address} is in use by {}{}",
        owner.as_deref().unwrap_or("another process"),
        free.map(|free| format!("; {free} is free")).unwrap_or_default()
    )]
    Busy {
        /// The address that was asked for.
        address: Address,
        /// Who listens there, by name and process id, where the system lets this user know.
        owner: Option<String>,
        /// One on the same interface that was free a moment ago.
        free: Option<SocketAddr>,
    },
    /// It cannot be had for another reason: no right to it, no such interface, a path that is too
    /// long or taken by a file that is no socket.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// The address that was asked for.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// A worker thread could not be started.
    #[error("cannot start a worker thread: {0}")]
    Worker(io::Error),
    /// A door's descriptors cannot be read.
    #[error("the descriptors of the door {door} cannot be read: {cause}")]
    Door {
        /// The door.
        door: String,
        /// What is wrong with them.
        cause: String,
    },
    /// The options name no address.
    #[error("there is no address to listen on")]
    Nowhere,
}

/// Where a server listens or was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// The TCP address, with the real port.
    pub tcp: Option<SocketAddr>,
    /// The Unix socket.
    pub unix: Option<PathBuf>,
}

/// Listens on TCP, alone: without SO_REUSEPORT a second process gets an error, not half of the
/// connections.
pub(crate) fn tcp(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let listen = |address: SocketAddr| -> io::Result<std::net::TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // On Windows the option of this name would let two processes share the port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => {
            let any = SocketAddr::new(address.ip(), 0);
            let free = std::net::TcpListener::bind(any).and_then(|listener| listener.local_addr()).ok();
            BindError::Busy { address: Address::Tcp(address), owner: owner(address), free }
        }
        _ => BindError::Refused { address: Address::Tcp(address), source },
    })
}

/// Who listens on a TCP address, or on one that overlaps with it.
fn owner(address: SocketAddr) -> Option<String> {
    let overlaps = |other: SocketAddr| {
        let same = other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified();
        same && other.port() == address.port()
    };
    let found = listeners::get_all().ok()?.into_iter().find(|listener| {
        listener.protocol == listeners::Protocol::TCP
            && listener.state == listeners::SocketState::Listen
            && overlaps(listener.socket)
    })?;
    Some(format!("{} (process {})", found.process.name, found.process.pid))
}

/// The file of a Unix socket, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    #[cfg(unix)]
    identity: (u64, u64),
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// Listens on a Unix socket that only this user may open.
    ///
    /// A file left behind by a process that ended without removing it is replaced; a socket on
    /// which somebody listens, or a file of another kind, is not.
    pub(crate) fn unix(path: &Path) -> Result<(UnixListener, SocketFile), BindError> {
        let address = || Address::Unix(path.to_owned());
        let refused = |source| BindError::Refused { address: address(), source };

        // Two processes that find the same stale file must not both replace it: the later one
        // would remove the socket of the earlier.
        let _turn = Turn::take(path).map_err(refused)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(refused(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there")));
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(refused)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Whatever the answer, somebody gave it.
                _ => return Err(BindError::Busy { address: address(), owner: None, free: None }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        listen(path).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Busy { address: address(), owner: None, free: None },
            _ => refused(source),
        })
    }

    fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // On Linux the file is born with the mode of the socket, so that there is no moment in
        // which others may open it. Elsewhere this fails and the mode is set right after.
        let _ = rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600));
        socket.bind(&SockAddr::unix(path)?)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let found = fs::symlink_metadata(path)?;
        let file = SocketFile { path: path.to_owned(), identity: (found.dev(), found.ino()) };
        socket.listen(BACKLOG)?;
        Ok((socket.into(), file))
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            // Somebody may have put another socket there since.
            let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
            if ours {
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// The right to look at a path and put a socket there: a lock on its directory.
    struct Turn(#[allow(dead_code, reason = "held, not read")] fs::File);

    impl Turn {
        fn take(path: &Path) -> io::Result<Self> {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let directory = fs::File::open(parent)?;
            // Held by others for moments only; whoever holds it for long is no reason not to start.
            for _ in 0..100 {
                match directory.try_lock() {
                    Err(fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(5)),
                    Ok(()) | Err(fs::TryLockError::Error(_)) => break,
                }
            }
            Ok(Self(directory))
        }
    }
}

#[cfg(unix)]
pub(crate) use unix::unix;
