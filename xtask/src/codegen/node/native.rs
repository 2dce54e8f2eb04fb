//! The native half: how each message is read and written, and a function per method.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};
use heck::{ToLowerCamelCase, ToSnakeCase, ToUpperCamelCase};

use super::super::binding::{Api, Binding, Call, Member, members, rust_name};
use super::super::ir::{Contract, Field, Kind, Label, Message, Shape};
use super::super::{Files, format};
use super::scope::Scope;

/// Emits `sdk-node/src/gen`.
pub fn emit(binding: &Binding<'_>, scope: &Scope<'_>) -> Result<Files> {
    let folder = Path::new("sdk-node/src/gen");
    let mut files = Files::new();
    files.insert(folder.join("mod.rs"), format("//! What follows from the contract.\n\nmod message;\nmod method;\n")?);
    files.insert(folder.join("message.rs"), format(&messages(binding, scope)?)?);
    files.insert(folder.join("method.rs"), format(&methods(binding)?)?);
    Ok(files)
}

/// `stateGetMany`: the name under which JavaScript finds a method.
pub fn export(api: &Api<'_>, call: &Call<'_>) -> String {
    format!("{}_{}", api.service.block, call.method.snake()).to_lower_camel_case()
}

fn path(package: &str, parents: &[String], name: &str) -> String {
    let mut path = format!("pillion::proto::{}", package.trim_start_matches("pillion.").replace('.', "::"));
    for parent in parents {
        path.push_str("::");
        path.push_str(&parent.to_snake_case());
    }
    format!("{path}::{}", name.to_upper_camel_case())
}

fn message_path(message: &Message) -> String {
    path(&message.package, &message.parents, &message.name)
}

fn enum_path(contract: &Contract, full_name: &str) -> String {
    let found = &contract.enums[full_name];
    path(&found.package, &found.parents, &found.name)
}

/// `condition::Kind`: the Rust enum of a oneof.
fn oneof_path(message: &Message, name: &str) -> String {
    let mut parents = message.parents.clone();
    parents.push(message.name.clone());
    path(&message.package, &parents, name)
}

fn messages(binding: &Binding<'_>, scope: &Scope<'_>) -> Result<String> {
    let contract = binding.contract;
    let mut code = String::from("//! The messages of the contract as objects.\n\nuse crate::convert::*;\n");
    for found in contract.enums.values() {
        if !scope.read.contains(&found.full_name) && !scope.written.contains(&found.full_name) {
            continue;
        }
        let names: Vec<_> =
            found.values.iter().map(|value| format!("({:?}, {})", value.short.to_lowercase(), value.number)).collect();
        writeln!(
            code,
            "{}impl Names for {} {{ const NAMES: &'static [(&'static str, i32)] = &[{}]; }}",
            scope.gate(&found.package),
            enum_path(contract, &found.full_name),
            names.join(", "),
        )?;
    }
    for message in contract.messages.values() {
        let gate = scope.gate(&message.package);
        let path = message_path(message);
        if scope.read.contains(&message.full_name) {
            let body = read(contract, message)?;
            let fields = if message.fields.is_empty() { "_" } else { "fields" };
            writeln!(
                code,
                "{gate}impl Read for {path} {{ fn read({fields}: &Fields<'_>) -> Converted<Self> {{ Ok(Self {{ {body} }}) }} }}"
            )?;
        }
        if scope.written.contains(&message.full_name) {
            let body = write(contract, message)?;
            let object = if message.fields.is_empty() { "_" } else { "object" };
            writeln!(
                code,
                "{gate}impl Write for {path} {{ fn write(self, {object}: &mut Building<'_>) -> napi::Result<()> {{ {body} Ok(()) }} }}"
            )?;
        }
    }
    Ok(code)
}

/// The function that reads one value.
fn reader(contract: &Contract, kind: &Kind) -> String {
    match kind {
        Kind::Bool => "boolean".into(),
        Kind::I32 => "int32".into(),
        Kind::I64 => "int64".into(),
        Kind::U32 => "uint32".into(),
        Kind::U64 => "uint64".into(),
        Kind::F32 => "float".into(),
        Kind::F64 => "double".into(),
        Kind::String => "string".into(),
        Kind::Bytes => "bytes".into(),
        Kind::Timestamp => "timestamp".into(),
        Kind::Duration => "duration".into(),
        Kind::Message(_) => "message".into(),
        Kind::Enum(name) => format!("enumeration::<{}>", enum_path(contract, name)),
    }
}

/// The function that writes one value.
fn writer(contract: &Contract, kind: &Kind) -> String {
    match kind {
        Kind::Bool | Kind::I32 | Kind::U32 | Kind::F64 | Kind::String => "write_plain".into(),
        Kind::I64 => "write_int64".into(),
        Kind::U64 => "write_uint64".into(),
        Kind::F32 => "write_float".into(),
        Kind::Bytes => "write_bytes".into(),
        Kind::Timestamp => "write_timestamp".into(),
        Kind::Duration => "write_duration".into(),
        Kind::Message(_) => "write_message".into(),
        Kind::Enum(name) => format!("write_enumeration::<{}>", enum_path(contract, name)),
    }
}

fn access(field: &Field) -> &'static str {
    match field.label {
        Label::Single => "single",
        Label::Optional => "optional",
        Label::Repeated => "list",
        Label::Map(_) => "map",
    }
}

fn read(contract: &Contract, message: &Message) -> Result<String> {
    let mut code = String::new();
    for member in members(message) {
        match &member {
            Member::Field(field) => writeln!(
                code,
                "{}: fields.{}(c{:?}, {})?,",
                field.rust_name(),
                access(field),
                field.json_name,
                reader(contract, &field.kind)
            )?,
            Member::Oneof(oneof) => {
                let path = oneof_path(message, oneof.name);
                writeln!(
                    code,
                    "{}: fields.choice(c{:?}, |case, value| Some(match case {{",
                    rust_name(oneof.name),
                    super::property(&member)
                )?;
                for field in &oneof.fields {
                    if field.label != Label::Single {
                        bail!("{}.{}: a oneof of more than single values", message.full_name, field.name);
                    }
                    writeln!(
                        code,
                        "{:?} => {}(value).map({path}::{}),",
                        field.json_name,
                        reader(contract, &field.kind),
                        field.variant()
                    )?;
                }
                writeln!(code, "_ => return None, }}))?,")?;
            }
        }
    }
    Ok(code)
}

fn write(contract: &Contract, message: &Message) -> Result<String> {
    let mut code = String::new();
    for member in members(message) {
        match &member {
            Member::Field(field) => writeln!(
                code,
                "object.{}(c{:?}, self.{}, {})?;",
                access(field),
                field.json_name,
                field.rust_name(),
                writer(contract, &field.kind)
            )?,
            Member::Oneof(oneof) => {
                let path = oneof_path(message, oneof.name);
                writeln!(code, "match self.{} {{ None => {{}}", rust_name(oneof.name))?;
                for field in &oneof.fields {
                    writeln!(
                        code,
                        "Some({path}::{}(value)) => object.choice(c{:?}, {:?}, value, {})?,",
                        field.variant(),
                        super::property(&member),
                        field.json_name,
                        writer(contract, &field.kind)
                    )?;
                }
                writeln!(code, "}}")?;
            }
        }
    }
    Ok(code)
}

fn methods(binding: &Binding<'_>) -> Result<String> {
    let mut code = String::from(
        "//! A function per method of the contract.\n\nuse napi::bindgen_prelude::Unknown;\nuse napi::{Env, Result};\nuse napi_derive::napi;\nuse crate::handle::Handle;\nuse crate::stream::Stream;\n",
    );
    for api in &binding.apis {
        let gate = match &api.service.feature {
            Some(feature) => format!("#[cfg(feature = {feature:?})]\n"),
            None => String::new(),
        };
        writeln!(code, "{gate}#[napi]\nimpl Handle {{")?;
        for call in &api.methods {
            method(api, call, &mut code)?;
        }
        writeln!(code, "}}")?;
    }
    Ok(code)
}

fn method(api: &Api<'_>, call: &Call<'_>, code: &mut String) -> Result<()> {
    let block = &api.service.block;
    let snake = call.method.snake();
    let served = match api.service.feature {
        Some(_) => format!("crate::handle::served(apis.{block})?"),
        None => format!("apis.{block}"),
    };
    let argument = if call.method.uploads() { "requests" } else { "request" };
    let body = format!("|apis, cx, {argument}| async move {{ {served}.{snake}(&cx, {argument}).await }}");
    writeln!(code, "/// `{}`.\n#[napi(js_name = {:?})]\npub fn {block}_{snake}", call.method.path, export(api, call))?;
    match call.method.shape {
        Shape::Unary => writeln!(
            code,
            "<'env>(&self, env: &'env Env, request: Unknown<'env>, options: Unknown<'env>) -> Result<Unknown<'env>> {{ self.unary(env, request, options, {body}) }}"
        )?,
        Shape::ServerStream => writeln!(
            code,
            "(&self, request: Unknown<'_>, options: Unknown<'_>) -> Result<Stream> {{ self.server_stream(request, options, {body}) }}"
        )?,
        Shape::ClientStream => {
            writeln!(
                code,
                "(&self, options: Unknown<'_>) -> Result<Stream> {{ self.client_stream(options, {body}) }}"
            )?;
        }
        Shape::Duplex => {
            writeln!(code, "(&self, options: Unknown<'_>) -> Result<Stream> {{ self.duplex(options, {body}) }}")?;
        }
    }
    Ok(())
}
