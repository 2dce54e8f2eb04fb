//! A unary gRPC client on bare HTTP/2: what a client library adds would be counted as the server's.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::wire::{Call, VALUE};

/// A connection; dropping it closes it.
pub struct Client {
    address: SocketAddr,
    requests: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (requests, connection) = h2::client::handshake(socket).await?;
        // How it ends is told by the calls that end with it.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { address, requests, connection })
    }

    /// Prepares a call, so that only what belongs to each call is measured.
    pub fn prepare(&self, call: Call) -> Result<Prepared> {
        let uri = format!("http://{}{}", self.address, call.path()).parse()?;
        Ok(Prepared { call, uri, body: call.body() })
    }

    /// Makes a call and gives how many bytes of body came back.
    pub async fn call(&mut self, prepared: &Prepared) -> Result<usize> {
        let mut requests = self.requests.clone().ready().await?;
        let mut request = Request::post(prepared.uri.clone()).body(())?;
        let headers = request.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
        headers.insert("te", http::HeaderValue::from_static("trailers"));
        let (response, mut stream) = requests.send_request(request, false)?;
        stream.send_data(prepared.body.clone(), true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut received = 0;
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            received += chunk.len();
            body.flow_control().release_capacity(chunk.len())?;
        }
        let trailers = body.trailers().await?;
        succeeded(prepared.call, trailers.as_ref().unwrap_or(&head.headers))?;
        let least = if prepared.call.reads() { VALUE } else { 0 };
        ensure!(received >= least, "{} answered {received} bytes", prepared.call.label());
        Ok(received)
    }
}

/// A call to be made many times.
pub struct Prepared {
    call: Call,
    uri: http::Uri,
    body: Bytes,
}

fn succeeded(call: Call, trailers: &HeaderMap) -> Result<()> {
    let status = trailers.get("grpc-status").with_context(|| format!("{} answered no status", call.label()))?;
    if status != "0" {
        bail!("{} failed with status {status:?}: {:?}", call.label(), trailers.get("grpc-message"));
    }
    Ok(())
}
