//! Over TLS, with certificates made for the occasion; and over a Unix socket.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod redis_support;

use std::path::Path;

use pillion_components::redis::State;
use pillion_spi::state::Condition;
use pillion_spi::{Component, Error, Kind, OpenEnv};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use redis_support::{Server, config, free_port, put, written};
use serde_json::json;

/// Writes `ca.pem`, and for server and client a certificate and key that it signed.
fn certificates(dir: &Path, ca: &str) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, ca);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(dir.join(format!("{ca}.pem")), issuer.pem()).unwrap();
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

struct TlsServer {
    _server: Server,
    files: tempfile::TempDir,
    port: u16,
}

impl TlsServer {
    fn start(auth_clients: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        certificates(files.path(), "other");
        certificates(files.path(), "ca");
        let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        let port = free_port();
        let server = Server::start(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &path("server.pem"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.pem"),
            "--tls-auth-clients",
            auth_clients,
        ]);
        Self { _server: server, files, port }
    }

    async fn open(&self, host: &str, tls: serde_json::Value) -> Result<State, Error> {
        let mut env = OpenEnv::new("test");
        env.base_dir = self.files.path().to_owned();
        State::open(config(json!({"url": format!("rediss://{host}:{}", self.port), "tls": tls})), env).await
    }
}

async fn works(store: State) {
    written(&store, put("k", "v", Condition::None)).await;
    store.close().await;
}

#[tokio::test]
async fn the_server_must_be_known_and_have_the_right_name() {
    let server = TlsServer::start("no");
    works(server.open("127.0.0.1", json!({"ca_file": "ca.pem"})).await.unwrap()).await;
    for (host, tls) in [
        ("127.0.0.1", json!({"ca_file": "other.pem"})),
        ("localhost", json!({"ca_file": "ca.pem"})),
        ("127.0.0.1", json!({})),
    ] {
        let error = server.open(host, tls.clone()).await.err().unwrap();
        // Without an authority of its own a system may have none at all.
        assert!(matches!(error.kind(), Kind::Unavailable | Kind::Config), "{host} {tls}: {error}");
        assert!(error.advice_text().is_some(), "{host} {tls}: {error}");
    }
    works(server.open("localhost", json!({"insecure": true})).await.unwrap()).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_server_wants_one() {
    let server = TlsServer::start("yes");
    let mut tls = json!({"ca_file": "ca.pem"});
    let error = server.open("127.0.0.1", tls.clone()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    tls["cert_file"] = "client.pem".into();
    tls["key_file"] = "client.key".into();
    works(server.open("127.0.0.1", tls.clone()).await.unwrap()).await;
    tls["key_file"] = "server.key".into();
    assert_eq!(server.open("127.0.0.1", tls).await.err().unwrap().kind(), Kind::Config);
}

#[tokio::test]
async fn a_user_can_log_in_over_a_unix_socket() {
    let server = Server::start(&[]);
    let _: () =
        redis::cmd("ACL").arg(&["SETUSER", "app", "on", ">p@ss", "~*", "+@all"]).query(&mut server.client()).unwrap();
    let socket = server.socket();
    let socket = socket.display();
    for settings in [
        json!({"url": format!("unix://{socket}"), "username": "app", "password": "p@ss"}),
        json!({"url": format!("redis+unix://{socket}?db=2&user=app"), "password": "p@ss"}),
        json!({"url": format!("redis://app:p%40ss@127.0.0.1:{}/2", server.port)}),
    ] {
        works(State::open(config(settings), OpenEnv::new("test")).await.unwrap()).await;
    }
}
