//! The adapters between the traits and tonic, both ways.

use std::fmt::Write;

use anyhow::Result;
use heck::ToSnakeCase;

use super::ir::{Contract, Method, Service, Shape};
use super::rust::{doc, gate, types};
use super::{Compiled, Files, format};

/// Emits `proto/src/gen/{grpc_server,grpc_client}.rs`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let mut server = String::from(
        "use std::sync::Arc;\nuse tonic::{Request, Response, Status};\nuse crate::answer::within;\nuse crate::grpc::server::{MessageLimits, Outgoing, split};\n",
    );
    let mut client = String::from(
        "use std::sync::Arc;\nuse async_trait::async_trait;\nuse crate::grpc::client::{Channels, request as outgoing};\n",
    );
    for service in contract.served() {
        server_adapter(contract, service, &mut server)?;
        client_adapter(contract, service, &mut client)?;
    }
    mount(contract, &mut server)?;
    connect(contract, &mut client)?;
    let folder = std::path::Path::new("proto/src/gen");
    Ok(Files::from([
        (folder.join("grpc_server.rs"), format(&server)?),
        (folder.join("grpc_client.rs"), format(&client)?),
    ]))
}

fn module(service: &Service) -> String {
    format!("crate::{}", service.package.trim_start_matches("pillion.").replace('.', "::"))
}

fn server_adapter(contract: &Contract, service: &Service, code: &mut String) -> Result<()> {
    let stem = service.stem();
    let tonic = format!("{}::{}_server", module(service), service.name.to_snake_case());
    let gate = gate(service);
    writeln!(
        code,
        "/// Serves [`{stem}Api`](crate::{stem}Api) as `{}.{}`.
        {gate}#[derive(Clone)]
        pub struct {stem}Grpc(Arc<dyn crate::{stem}Api>, usize);
        {gate}impl std::fmt::Debug for {stem}Grpc {{
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(\"{stem}Grpc\") }}
        }}
        {gate}impl {stem}Grpc {{
            /// The tonic service.
            pub fn service(api: Arc<dyn crate::{stem}Api>, limits: MessageLimits) -> {tonic}::{name}Server<Self> {{
                {tonic}::{name}Server::new(Self(api, limits.response)).max_decoding_message_size(limits.request)
            }}
        }}
        {gate}#[tonic::async_trait]
        impl {tonic}::{name} for {stem}Grpc {{",
        service.package,
        service.name,
        name = service.name,
    )?;
    for method in &service.methods {
        let types = types(contract, method)?;
        let request = if method.uploads() { format!("tonic::Streaming<{}>", types.input) } else { types.input.clone() };
        let response = if method.streams() {
            writeln!(code, "type {}Stream = Outgoing<{}>;", method.name, types.output)?;
            format!("Self::{}Stream", method.name)
        } else {
            types.output.clone()
        };
        let call = if method.uploads() {
            format!(
                "let cx = crate::grpc::server::context(&request)?; let answer = self.0.{}(&cx, crate::grpc::server::incoming(request.into_inner())).await?;",
                method.snake()
            )
        } else {
            format!("let (cx, request) = split(request)?; let answer = self.0.{}(&cx, request).await?;", method.snake())
        };
        let answer = match (method.streams(), method.rules.access.as_str()) {
            (true, _) => "Outgoing::new(answer, self.1)",
            // As long as its request; refusing it would hide what was written.
            (false, "ACCESS_WRITE") => "answer",
            (false, _) => "within(answer, self.1)?",
        };
        writeln!(
            code,
            "async fn {}(&self, request: Request<{request}>) -> Result<Response<{response}>, Status> {{ {call} Ok(Response::new({answer})) }}",
            method.snake()
        )?;
    }
    writeln!(code, "}}")?;
    Ok(())
}

fn mount(contract: &Contract, code: &mut String) -> Result<()> {
    writeln!(
        code,
        "/// Adds every API to a router.
        pub fn mount(apis: &crate::Apis, limits: MessageLimits, routes: &mut tonic::service::RoutesBuilder) {{"
    )?;
    for service in contract.served() {
        let (block, stem) = (&service.block, service.stem());
        if service.feature.is_some() {
            writeln!(
                code,
                "{}if let Some(api) = &apis.{block} {{ routes.add_service({stem}Grpc::service(api.clone(), limits)); }}",
                gate(service)
            )?;
        } else {
            writeln!(code, "routes.add_service({stem}Grpc::service(apis.{block}.clone(), limits));")?;
        }
    }
    writeln!(code, "}}")?;
    Ok(())
}

fn client_adapter(contract: &Contract, service: &Service, code: &mut String) -> Result<()> {
    let stem = service.stem();
    let tonic = format!("{}::{}_client::{}Client", module(service), service.name.to_snake_case(), service.name);
    let gate = gate(service);
    writeln!(
        code,
        "/// [`{stem}Api`](crate::{stem}Api) of a runtime behind gRPC channels.
        {gate}pub struct {stem}Client {{ channels: Arc<dyn Channels>, max_message: usize }}
        {gate}impl std::fmt::Debug for {stem}Client {{
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(\"{stem}Client\") }}
        }}
        {gate}impl {stem}Client {{
            /// A client that takes answers of at most `max_message` bytes.
            pub fn new(channels: Arc<dyn Channels>, max_message: usize) -> Self {{ Self {{ channels, max_message }} }}
            fn client(&self) -> {tonic}<crate::grpc::client::Link> {{
                {tonic}::new(crate::grpc::client::Link::new(self.channels.pick())).max_decoding_message_size(self.max_message).max_encoding_message_size(usize::MAX)
            }}
        }}
        {gate}#[async_trait]
        impl crate::{stem}Api for {stem}Client {{"
    )?;
    for method in &service.methods {
        client_method(contract, service, method, code)?;
    }
    writeln!(code, "}}")?;
    Ok(())
}

fn client_method(contract: &Contract, service: &Service, method: &Method, code: &mut String) -> Result<()> {
    let types = types(contract, method)?;
    let info = format!("&crate::{}_method::{}", service.block, method.shouty());
    let snake = method.snake();
    let (parameter, before, after) = match method.shape {
        Shape::Unary => ("request", "unary", ""),
        Shape::ServerStream => ("request", "server_stream", ""),
        Shape::ClientStream => ("requests", "client_stream", "failure,"),
        Shape::Duplex => ("requests", "duplex", "failure,"),
    };
    let prepare = if method.uploads() {
        "let (request, failure) = crate::grpc::client::upload(cx, requests);"
    } else {
        "let request = outgoing(cx, request);"
    };
    writeln!(
        code,
        "{}async fn {snake}(&self, cx: &crate::Cx, {parameter}: {}) -> crate::Result<{}> {{
            let mut client = self.client();
            {prepare}
            crate::grpc::client::{before}(cx, {info}, {after} async move {{ client.{snake}(request).await }}).await
        }}",
        doc(""),
        types.request,
        types.response
    )?;
    Ok(())
}

fn connect(contract: &Contract, code: &mut String) -> Result<()> {
    writeln!(
        code,
        "/// Every API of the runtime behind `channels`.
        pub fn connect(channels: Arc<dyn Channels>, max_message: usize) -> crate::Apis {{
            #[allow(unused_mut)]
            let mut apis = crate::Apis::new("
    )?;
    for service in contract.served().filter(|service| service.feature.is_none()) {
        writeln!(code, "Arc::new({}Client::new(channels.clone(), max_message)),", service.stem())?;
    }
    writeln!(code, ");")?;
    for service in contract.served().filter(|service| service.feature.is_some()) {
        writeln!(
            code,
            "{}{{ apis.{} = Some(Arc::new({}Client::new(channels.clone(), max_message))); }}",
            gate(service),
            service.block,
            service.stem()
        )?;
    }
    writeln!(code, "apis }}")?;
    Ok(())
}
