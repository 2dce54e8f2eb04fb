//! Taking addresses and giving them back.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use pillion_proto::grpc::client::StateClient;
use pillion_proto::state::v1::GetRequest;
use pillion_proto::{Cx, StateApi as _};
use pillion_server::{Address, BindError, Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::transport::Endpoint;

use crate::support::{Running, Seen, options, start, start_with};

fn only_unix(path: &std::path::Path) -> Options {
    let mut options = options(&Arc::new(Seen::default()), None);
    options.tcp = None;
    options.unix = Some(path.to_owned());
    options
}

#[tokio::test]
async fn a_busy_port_is_named_with_its_owner_and_a_free_one() {
    let running = start().await;
    let mut second = options(&running.seen, None);
    second.tcp = Some(running.address);
    let error = Server::bind(second).await.unwrap_err();
    let text = error.to_string();
    let BindError::Busy { address, owner: Some(owner), free: Some(free) } = error else { panic!("{error:?}") };
    assert_eq!(address, Address::Tcp(running.address));
    assert!(owner.ends_with(&format!("(process {})", std::process::id())), "{owner}");
    assert_eq!(text, format!("{} is in use by {owner}; {free} is free", running.address));
    start_with(None, |options| options.tcp = Some(free)).await;
}

#[tokio::test]
async fn a_port_is_free_again_after_a_drain() {
    let Running { server, address, .. } = start().await;
    // A connection that the server closes leaves its side waiting in the kernel.
    let _peer = tokio::net::TcpStream::connect(address).await.unwrap();
    server.drain(Duration::from_secs(1)).await;
    start_with(None, |options| options.tcp = Some(address)).await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named() {
    let mut elsewhere = options(&Arc::new(Seen::default()), None);
    elsewhere.tcp = Some("192.0.2.1:1".parse().unwrap());
    let error = Server::bind(elsewhere).await.unwrap_err();
    assert!(matches!(error, BindError::Refused { .. }) && error.to_string().contains("192.0.2.1:1"), "{error}");
    let mut nowhere = options(&Arc::new(Seen::default()), None);
    nowhere.tcp = None;
    assert!(matches!(Server::bind(nowhere).await.unwrap_err(), BindError::Nowhere));
}

#[tokio::test]
async fn both_protocols_are_served_on_a_unix_socket_for_this_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pillion.sock");
    let server = Server::bind(only_unix(&path)).await.unwrap();
    assert_eq!(server.addresses().unix.as_deref(), Some(path.as_path()));
    let metadata = std::fs::metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

    let channel = Endpoint::from_shared(format!("unix:{}", path.display())).unwrap().connect().await.unwrap();
    let state = StateClient::new(Arc::new(channel), 4 << 20);
    state.get(&Cx::default(), GetRequest { key: "a".into(), ..Default::default() }).await.unwrap();

    // Any host: nobody comes here by a name.
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: anything\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    server.drain(Duration::from_secs(10)).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_file_is_replaced_only_if_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pillion.sock");
    // Left behind: the listener is gone, its file is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = Server::bind(only_unix(&path)).await.unwrap();
    let error = Server::bind(only_unix(&path)).await.unwrap_err();
    assert!(matches!(&error, BindError::Busy { address: Address::Unix(busy), .. } if *busy == path), "{error:?}");
    UnixStream::connect(&path).await.unwrap();

    // Somebody put another file there: it stays when the server goes.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    server.drain(Duration::from_secs(10)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    let error = Server::bind(only_unix(&path)).await.unwrap_err();
    assert!(matches!(error, BindError::Refused { .. }) && error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");

    let long = folder.path().join("x".repeat(200));
    assert!(matches!(Server::bind(only_unix(&long)).await.unwrap_err(), BindError::Refused { .. }));
}

#[tokio::test]
async fn a_dropped_server_gives_its_addresses_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pillion.sock");
    drop(Server::bind(only_unix(&path)).await.unwrap());
    assert!(!path.exists());
}

#[tokio::test]
async fn every_worker_is_told_its_number_on_its_own_thread() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let running = start_with(None, |options| {
        options.workers = 3;
        let told = told.clone();
        options.on_worker_start = Arc::new(move |index| {
            tokio::runtime::Handle::current();
            told.lock().unwrap().push((index, std::thread::current().name().unwrap().to_owned()));
        });
    })
    .await;
    let expected: Vec<_> = (0..3).map(|index| (index, format!("pillion-worker-{index}"))).collect();
    assert_eq!(*told.lock().unwrap(), expected);
    drop(running);
}

#[tokio::test]
async fn a_worker_that_cannot_start_is_an_error() {
    let mut broken = options(&Arc::new(Seen::default()), None);
    broken.on_worker_start = Arc::new(|_| panic!("no"));
    assert!(matches!(Server::bind(broken).await.unwrap_err(), BindError::Worker(_)));
}
