//! The proxy in front of a server that sends back what it gets.

use super::*;

/// A server that answers each byte with itself, and the proxy in front of it.
async fn echo() -> Proxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    Proxy::start(port, 1).await.unwrap()
}

async fn dial(proxy: &Proxy) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap()
}

async fn answered(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, text.as_bytes());
    Ok(())
}

/// What the stream still gives, and how it ends.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut bytes = Vec::new();
    let end = crate::env::within("the end of the stream", stream.read_to_end(&mut bytes)).await.unwrap();
    (bytes, end.err().map(|error| error.kind()))
}

/// Whether `future` is still waiting after others had a chance to run for a while.
async fn waits<F: Future>(future: F) -> bool {
    let clock: &dyn Clock = &SystemClock;
    clock.timeout(Duration::from_millis(100), future).await.is_err()
}

#[tokio::test]
async fn bytes_pass() {
    let proxy = echo().await;
    let mut stream = dial(&proxy).await;
    answered(&mut stream, &"long".repeat(100_000)).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((proxy.open(), proxy.accepted()), (1, 1));
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, (Vec::new(), None));
    proxy.stop().await;
    assert_eq!(proxy.open(), 0);
}

#[tokio::test]
async fn a_black_hole_swallows_and_never_ends() {
    let proxy = echo().await;
    let mut before = dial(&proxy).await;
    answered(&mut before, "a").await.unwrap();
    proxy.set(BLACK_HOLE).await.unwrap();
    assert!(waits(answered(&mut before, "b")).await);
    let mut during = dial(&proxy).await;
    assert!(waits(answered(&mut during, "c")).await);
    proxy.heal().await.unwrap();
    answered(&mut dial(&proxy).await, "d").await.unwrap();
    // Connections that lost bytes stay silent until they are cut.
    assert!(waits(answered(&mut before, "e")).await);
    proxy.cut();
    assert_eq!(rest(&mut during).await.1, Some(io::ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut before).await.1, Some(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn one_direction_can_be_swallowed() {
    let proxy = echo().await;
    let mut stream = dial(&proxy).await;
    answered(&mut stream, "a").await.unwrap();
    let to_client = Way { pass: Pass::Swallow, ..Way::default() };
    proxy.set(Faults { to_client, ..Faults::default() }).await.unwrap();
    assert!(waits(answered(&mut stream, "lost")).await);
    proxy.heal().await.unwrap();
    assert!(waits(answered(&mut stream, "gap")).await);
    answered(&mut dial(&proxy).await, "b").await.unwrap();
}

#[tokio::test]
async fn a_stalled_direction_loses_nothing() {
    let proxy = echo().await;
    let mut stream = dial(&proxy).await;
    let to_server = Way { pass: Pass::Stall, ..Way::default() };
    proxy.set(Faults { to_server, ..Faults::default() }).await.unwrap();
    stream.write_all(b"held").await.unwrap();
    assert!(waits(stream.read_u8()).await);
    proxy.heal().await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"held");
}

#[tokio::test]
async fn a_refused_port_comes_back() {
    let proxy = echo().await;
    proxy.set(Faults { accept: Accept::Refuse, ..Faults::default() }).await.unwrap();
    let error = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    proxy.heal().await.unwrap();
    answered(&mut dial(&proxy).await, "a").await.unwrap();
}

#[tokio::test]
async fn a_connection_can_be_reset_at_once() {
    let proxy = echo().await;
    proxy.set(Faults { accept: Accept::Reset, ..Faults::default() }).await.unwrap();
    assert_eq!(rest(&mut dial(&proxy).await).await.1, Some(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_connection_is_cut_within_a_piece() {
    let proxy = echo().await;
    for (end, kind) in [(End::Close, None), (End::Reset, Some(io::ErrorKind::ConnectionReset)), (End::HalfClose, None)]
    {
        let to_client = Way { cut_after: Some(Cut { bytes: 3, end }), ..Way::default() };
        proxy.set(Faults { to_client, ..Faults::default() }).await.unwrap();
        let mut stream = dial(&proxy).await;
        stream.write_all(b"abcdef").await.unwrap();
        let (bytes, found) = rest(&mut stream).await;
        assert_eq!(found, kind, "{end:?}");
        // A reset may overtake what was sent before it.
        assert!(bytes == b"abc" || (end == End::Reset && b"abc".starts_with(&bytes)), "{end:?}: {bytes:?}");
        if end == End::HalfClose {
            // The other direction goes on.
            stream.write_all(b"more").await.unwrap();
            assert!(proxy.open() >= 1);
        }
    }
}

#[tokio::test]
async fn delays_and_changed_bits_follow_the_seed() {
    let proxy = echo().await;
    let to_server = Way {
        delay: Duration::from_millis(1),
        jitter: Duration::from_millis(2),
        corrupt_once_in: Some(1),
        ..Way::default()
    };
    proxy.set(Faults { to_server, ..Faults::default() }).await.unwrap();
    let mut stream = dial(&proxy).await;
    stream.write_all(b"aaaa").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    let changed: u32 = answer.iter().map(|byte| (byte ^ b'a').count_ones()).sum();
    assert_eq!(changed, 1, "{answer:?}");
}
