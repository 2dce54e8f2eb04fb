//! The transport-neutral side: a trait per service, the wrapper that tells hooks, mocks, the set of
//! all APIs, and calling by name.

use std::fmt::Write;

use anyhow::Result;
use heck::{ToSnakeCase, ToUpperCamelCase};

use super::ir::{Contract, Kind, Label, Method, Service, Shape};
use super::{Compiled, Files, format};

/// Emits `proto/src/gen/{mod.rs, <block>.rs, apis.rs}`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let folder = std::path::Path::new("proto/src/gen");
    let mut files = Files::new();
    for service in &contract.services {
        files.insert(folder.join(format!("{}.rs", service.block)), format(&service_module(contract, service)?)?);
    }
    files.insert(folder.join("apis.rs"), format(&apis(contract)?)?);
    files.insert(folder.join("mod.rs"), format(&modules(contract)?)?);
    Ok(files)
}

/// `crate::state::v1::GetRequest`.
pub fn message_path(contract: &Contract, full_name: &str) -> Result<String> {
    let message = contract.message(full_name)?;
    Ok(type_path(&message.package, &message.parents, &message.name))
}

/// `crate::common::v1::Consistency`.
pub fn enum_path(contract: &Contract, full_name: &str) -> String {
    let found = &contract.enums[full_name];
    type_path(&found.package, &found.parents, &found.name)
}

fn type_path(package: &str, parents: &[String], name: &str) -> String {
    let mut path = format!("crate::{}", package.trim_start_matches("pillion.").replace('.', "::"));
    for parent in parents {
        path.push_str("::");
        path.push_str(&parent.to_snake_case());
    }
    path.push_str("::");
    path.push_str(&name.to_upper_camel_case());
    path
}

/// A doc comment.
pub fn doc(text: &str) -> String {
    text.lines().map(|line| format!("#[doc = {:?}]\n", format!(" {line}"))).collect()
}

/// `#[cfg(feature = "…")]` for what not every build has.
pub fn gate(service: &Service) -> String {
    service.feature.iter().map(|feature| format!("#[cfg(feature = {feature:?})]\n")).collect()
}

/// The parameter and result types of a method.
pub struct Types {
    /// `GetRequest` or `Events<GetRequest>`.
    pub request: String,
    /// The message alone.
    pub input: String,
    /// `GetResponse` or `Events<GetResponse>`.
    pub response: String,
    /// The message alone.
    pub output: String,
}

/// See [`Types`].
pub fn types(contract: &Contract, method: &Method) -> Result<Types> {
    let input = message_path(contract, &method.input)?;
    let output = message_path(contract, &method.output)?;
    let wrap = |stream: bool, name: &str| if stream { format!("crate::Events<{name}>") } else { name.to_owned() };
    Ok(Types { request: wrap(method.uploads(), &input), response: wrap(method.streams(), &output), input, output })
}

/// The head of a trait method.
pub fn signature(contract: &Contract, method: &Method) -> Result<String> {
    let types = types(contract, method)?;
    let parameter = if method.uploads() { "requests" } else { "request" };
    Ok(format!(
        "async fn {}(&self, cx: &crate::Cx, {parameter}: {}) -> crate::Result<{}>",
        method.snake(),
        types.request,
        types.response
    ))
}

fn service_module(contract: &Contract, service: &Service) -> Result<String> {
    let stem = service.stem();
    let block = &service.block;
    let mut code = String::new();
    writeln!(code, "use std::sync::Arc;\nuse async_trait::async_trait;")?;

    writeln!(
        code,
        "{}#[doc = \"\"]\n#[doc = \" Implemented by the core, by remote clients and by mocks.\"]",
        doc(&service.description())
    )?;
    writeln!(code, "#[async_trait]\npub trait {stem}Api: Send + Sync + 'static {{")?;
    for method in &service.methods {
        writeln!(code, "{}{};", doc(&method.doc), signature(contract, method)?)?;
    }
    writeln!(code, "}}")?;

    writeln!(
        code,
        "/// The descriptions of the methods.\npub mod {block}_method {{ use crate::call::{{Access, CallInfo, Shape}};"
    )?;
    for method in &service.methods {
        writeln!(
            code,
            "/// `{path}`.\npub static {name}: CallInfo = CallInfo {{ service: {service:?}, method: {method:?}, path: {path:?}, operation: \"{block}.{snake}\", block: {block:?}, access: Access::{access}, idempotent: {idempotent}, shape: Shape::{shape}, index: {index} }};",
            name = method.shouty(),
            service = format!("{}.{}", service.package, service.name),
            method = method.name,
            path = method.path,
            snake = method.snake(),
            access = method.rules.access.trim_start_matches("ACCESS_").to_lowercase().to_upper_camel_case(),
            idempotent = method.rules.idempotent,
            shape = match method.shape {
                Shape::Unary => "Unary",
                Shape::ServerStream => "ServerStream",
                Shape::ClientStream => "ClientStream",
                Shape::Duplex => "Duplex",
            },
            index = method.index,
        )?;
    }
    writeln!(code, "}}")?;

    hooked(contract, service, &mut code)?;
    mock(contract, service, &mut code)?;
    Ok(code)
}

fn hooked(contract: &Contract, service: &Service, code: &mut String) -> Result<()> {
    let stem = service.stem();
    let block = &service.block;
    writeln!(
        code,
        "/// Wraps an implementer so that hooks are told of every call, and deadline and panic boundary hold.
        #[derive(Clone)]
        pub struct {stem}Hooked {{ inner: Arc<dyn {stem}Api>, hooks: crate::Hooks }}
        impl {stem}Hooked {{
            /// Wraps `inner`.
            pub fn new(inner: Arc<dyn {stem}Api>, hooks: crate::Hooks) -> Self {{ Self {{ inner, hooks }} }}
        }}
        impl std::fmt::Debug for {stem}Hooked {{
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(\"{stem}Hooked\") }}
        }}
        #[async_trait]
        impl {stem}Api for {stem}Hooked {{"
    )?;
    for method in &service.methods {
        let message = contract.message(&method.input)?;
        let field = |wanted: fn(&super::ir::FieldRules) -> bool| {
            message
                .fields
                .iter()
                .find(|field| {
                    !method.uploads()
                        && wanted(&field.rules)
                        && field.kind == Kind::String
                        && field.label == Label::Single
                })
                .map_or_else(|| "\"\"".to_owned(), |field| format!("&request.{}", field.name))
        };
        let component = field(|rules| rules.component);
        let resource = field(|rules| rules.resource);
        let parameter = if method.uploads() { "requests" } else { "request" };
        let run = if method.streams() { "stream" } else { "unary" };
        writeln!(
            code,
            "{} {{
                let (cx, running) = self.hooks.begin({block}_method::{}.call({component}, {resource}), cx)?;
                running.{run}(&cx, self.inner.{}(&cx, {parameter})).await
            }}",
            signature(contract, method)?,
            method.shouty(),
            method.snake()
        )?;
    }
    writeln!(code, "}}")?;
    Ok(())
}

fn mock(contract: &Contract, service: &Service, code: &mut String) -> Result<()> {
    let stem = service.stem();
    writeln!(
        code,
        "/// A stand-in for tests: each method answers what it was told to, or that it was told nothing.
        #[cfg(feature = \"mock\")]
        #[derive(Default)]
        pub struct {stem}Mock {{"
    )?;
    for method in &service.methods {
        let types = types(contract, method)?;
        writeln!(code, "{}: Option<crate::mock::Answer<{}, {}>>,", method.snake(), types.request, types.response)?;
    }
    writeln!(code, "}}")?;
    writeln!(
        code,
        "#[cfg(feature = \"mock\")]
        impl std::fmt::Debug for {stem}Mock {{
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(\"{stem}Mock\") }}
        }}
        #[cfg(feature = \"mock\")]
        impl {stem}Mock {{"
    )?;
    for method in &service.methods {
        let types = types(contract, method)?;
        writeln!(
            code,
            "/// Answers `{name}` with what `answer` returns.
            #[must_use]
            pub fn on_{snake}(mut self, answer: impl Fn(&crate::Cx, {request}) -> crate::Result<{response}> + Send + Sync + 'static) -> Self {{
                self.{snake} = Some(Box::new(answer));
                self
            }}",
            name = method.name,
            snake = method.snake(),
            request = types.request,
            response = types.response,
        )?;
    }
    writeln!(code, "}}\n#[cfg(feature = \"mock\")]\n#[async_trait]\nimpl {stem}Api for {stem}Mock {{")?;
    for method in &service.methods {
        let parameter = if method.uploads() { "requests" } else { "request" };
        writeln!(
            code,
            "{} {{ crate::mock::answer(self.{}.as_ref(), \"{}.{}\", cx, {parameter}) }}",
            signature(contract, method)?,
            method.snake(),
            service.block,
            method.snake(),
        )?;
    }
    writeln!(code, "}}")?;
    Ok(())
}

fn apis(contract: &Contract) -> Result<String> {
    let mut code = String::from("use std::sync::Arc;\n");
    for service in &contract.services {
        writeln!(code, "{}pub use super::{}::*;", gate(service), service.block)?;
    }
    writeln!(
        code,
        "/// Every API of a runtime: the core's, a remote runtime's, or mocks.
        ///
        /// Doors, servers and SDKs are handed one of these and see nothing else.
        #[derive(Clone)]
        #[non_exhaustive]
        pub struct Apis {{"
    )?;
    let (some, native): (Vec<_>, Vec<_>) = contract.services.iter().partition(|service| service.feature.is_some());
    for service in &native {
        writeln!(
            code,
            "/// {}\npub {}: Arc<dyn {}Api>,",
            service.description().lines().next().unwrap_or_default(),
            service.block,
            service.stem()
        )?;
    }
    for service in &some {
        writeln!(
            code,
            "{}/// Not every runtime has it.\n{}pub {}: Option<Arc<dyn {}Api>>,",
            doc(service.description().lines().next().unwrap_or_default()),
            gate(service),
            service.block,
            service.stem()
        )?;
    }
    writeln!(
        code,
        "}}
        impl std::fmt::Debug for Apis {{
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(\"Apis\") }}
        }}
        impl Apis {{
            /// The APIs of one runtime."
    )?;
    let parameters: Vec<_> =
        native.iter().map(|service| format!("{}: Arc<dyn {}Api>", service.block, service.stem())).collect();
    writeln!(code, "pub fn new({}) -> Self {{ Self {{", parameters.join(", "))?;
    for service in &native {
        writeln!(code, "{},", service.block)?;
    }
    for service in &some {
        writeln!(code, "{}{}: None,", gate(service), service.block)?;
    }
    writeln!(
        code,
        "}} }}\n/// The same APIs, each wrapped so that `hooks` are told of every call.\n#[must_use]\npub fn hooked(&self, hooks: &crate::Hooks) -> Self {{ Self {{"
    )?;
    for service in &native {
        writeln!(
            code,
            "{0}: Arc::new({1}Hooked::new(self.{0}.clone(), hooks.clone())),",
            service.block,
            service.stem()
        )?;
    }
    for service in &some {
        writeln!(
            code,
            "{}{}: self.{}.clone().map(|inner| Arc::new({}Hooked::new(inner, hooks.clone())) as Arc<dyn {}Api>),",
            gate(service),
            service.block,
            service.block,
            service.stem(),
            service.stem()
        )?;
    }
    writeln!(code, "}} }}\n}}")?;

    let (local, served): (Vec<_>, Vec<_>) = contract.services.iter().partition(|service| service.in_process);
    methods(
        "Every method that is served, in the order of [`CallInfo::index`](crate::CallInfo::index).",
        "METHODS",
        &served,
        &mut code,
    )?;
    methods(
        "The methods that no socket serves: those of objects that only a runtime in this process has.",
        "LOCAL_METHODS",
        &local,
        &mut code,
    )?;
    for service in &contract.services {
        for method in &service.methods {
            by_name(service, method, &mut code)?;
        }
    }
    Ok(code)
}

fn methods(about: &str, name: &str, services: &[&Service], code: &mut String) -> Result<()> {
    writeln!(code, "/// {about}\npub static {name}: &[crate::codec::Method] = &[")?;
    for service in services {
        for method in &service.methods {
            let function = format!("{}_{}", service.block, method.snake());
            writeln!(
                code,
                "{}crate::codec::Method {{ info: &{}_method::{}, json: {function}::<crate::codec::Json>, binary: {function}::<crate::codec::Binary> }},",
                gate(service),
                service.block,
                method.shouty()
            )?;
        }
    }
    writeln!(code, "];")?;
    Ok(())
}

/// The API of a service inside an `async move` block, where `apis` is borrowed outside of it.
pub fn api(service: &Service) -> (String, String) {
    let take = format!("let api = apis.{}.clone();", service.block);
    let unwrap = match service.feature {
        Some(_) => format!(
            "let api = api.ok_or_else(|| crate::Error::new(crate::Reason::RequestUnknownMethod, \"this runtime does not have the API `{}`\"))?;",
            service.block
        ),
        None => String::new(),
    };
    (take, unwrap)
}

fn by_name(service: &Service, method: &Method, code: &mut String) -> Result<()> {
    let (take, unwrap) = api(service);
    let input = if method.uploads() { "input.many::<C, _>()" } else { "input.one::<C, _>()?" };
    let call = format!("api.{}(&cx, {input}).await?", method.snake());
    let output = if method.streams() {
        format!("Ok(crate::codec::Output::many::<C, _>({call}))")
    } else {
        format!("crate::codec::Output::one::<C, _>(&{call})")
    };
    writeln!(
        code,
        "{}fn {}_{}<C: crate::codec::Codec>(apis: &Apis, cx: crate::Cx, input: crate::codec::Input) -> futures::future::BoxFuture<'static, crate::Result<crate::codec::Output>> {{
            {take}
            Box::pin(async move {{ {unwrap} {output} }})
        }}",
        gate(service),
        service.block,
        method.snake()
    )?;
    Ok(())
}

fn modules(contract: &Contract) -> Result<String> {
    let mut code = String::new();
    writeln!(code, "pub mod apis;\npub mod errors;\npub mod messages;")?;
    writeln!(
        code,
        "#[cfg(feature = \"grpc-client\")]\npub mod grpc_client;\n#[cfg(feature = \"grpc-client\")]\npub mod retry;\n#[cfg(feature = \"grpc-server\")]\npub mod grpc_server;\n#[cfg(feature = \"http\")]\npub mod http_routes;"
    )?;
    for service in &contract.services {
        writeln!(code, "{}pub mod {};", gate(service), service.block)?;
    }
    Ok(code)
}
