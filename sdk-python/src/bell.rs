//! How an event loop is told to come by: a pair of sockets, since every loop can wait for those.

#[cfg(unix)]
mod platform {
    use std::io;
    use std::os::fd::AsRawFd;
    pub use std::os::unix::net::UnixStream as Socket;

    pub fn pair() -> io::Result<(Socket, Socket)> {
        Socket::pair()
    }

    pub fn number(socket: &Socket) -> i64 {
        socket.as_raw_fd().into()
    }
}

#[cfg(windows)]
mod platform {
    use std::io;
    pub use std::net::TcpStream as Socket;
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::windows::io::AsRawSocket;

    /// There are no pairs, so it is a connection to ourselves. Somebody else might be the first to connect.
    pub fn pair() -> io::Result<(Socket, Socket)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let ours = Socket::connect(listener.local_addr()?)?;
        let (theirs, peer) = listener.accept()?;
        if peer != ours.local_addr()? {
            return Err(io::Error::other("another process connected to the socket that wakes event loops"));
        }
        ours.set_nodelay(true)?;
        Ok((ours, theirs))
    }

    pub fn number(socket: &Socket) -> i64 {
        i64::try_from(socket.as_raw_socket()).unwrap_or(-1)
    }
}

pub use platform::{Socket, number};

/// The side that rings and the side that hears; neither ever waits.
pub fn pair() -> std::io::Result<(Socket, Socket)> {
    let (bell, ear) = platform::pair()?;
    bell.set_nonblocking(true)?;
    ear.set_nonblocking(true)?;
    Ok((bell, ear))
}
