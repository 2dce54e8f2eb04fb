//! The bare peer: a tonic server that does nothing but decode, answer and encode.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::Write;
use std::task::{self, Poll};

use anyhow::Result;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::codegen::{Body, Service, StdError};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::wire::{HelloRequest, HelloResponse};

/// Serves on a free port, which is the first line on stdout, until the process is ended.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    tonic::transport::Server::builder()
        .add_service(Echo)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "pillion.bench.Echo";
}

impl<B> Service<http::Request<B>> for Echo
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<HelloResponse, HelloRequest>::default());
            Ok(grpc.unary(Greet, request).await)
        })
    }
}

struct Greet;

impl UnaryService<HelloRequest> for Greet {
    type Response = HelloResponse;
    type Future = Ready<Result<Response<HelloResponse>, Status>>;

    fn call(&mut self, request: Request<HelloRequest>) -> Self::Future {
        let HelloRequest { name, data, .. } = request.into_inner();
        ready(Ok(Response::new(HelloResponse { hello: format!("greeting, {name}"), data })))
    }
}
