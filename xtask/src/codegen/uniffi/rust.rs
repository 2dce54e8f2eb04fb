//! The Rust side: what UniFFI carries across.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::iter;
use std::path::Path;

use anyhow::Result;
use heck::{ToSnakeCase, ToUpperCamelCase};

use super::{Reach, enum_name, is_recursive, object, record, record_of, stream_object, union_name, variant};
use crate::codegen::binding::{Binding, Call, Member, Oneof, members};
use crate::codegen::ir::{Contract, Enum, Field, Kind, Label, Message, Service, Shape};
use crate::codegen::rust::{doc, gate, message_path};
use crate::codegen::{Files, format};

const FOLDER: &str = "sdk-ffi/src/gen";

/// Emits `sdk-ffi/src/gen/{mod,apis,types,json}.rs`.
pub fn emit(binding: &Binding<'_>) -> Result<Files> {
    let contract = binding.contract;
    let reach = Reach::of(contract, contract.services.iter())?;
    let folder = Path::new(FOLDER);
    Ok(Files::from([
        (folder.join("mod.rs"), format(MODULES)?),
        (folder.join("types.rs"), format(&types(contract, &reach)?)?),
        (folder.join("apis.rs"), format(&apis(binding)?)?),
        (folder.join("json.rs"), format(&json(contract)?)?),
    ]))
}

const MODULES: &str = "
pub mod apis;
#[cfg(feature = \"shapes\")]
pub mod json;
pub mod types;
";

/// `pillion::proto::state::v1::GetRequest`.
fn proto(path: &str) -> String {
    path.replacen("crate::", "pillion::proto::", 1)
}

/// The conditions under which messages and enums exist: those of the services that reach them.
struct Gates<'a>(BTreeMap<&'a str, BTreeSet<Option<&'a str>>>);

impl<'a> Gates<'a> {
    fn of(contract: &'a Contract) -> Result<Self> {
        let mut gates = BTreeMap::<_, BTreeSet<_>>::new();
        for service in &contract.services {
            let reach = Reach::of(contract, iter::once(service))?;
            let messages = reach.messages.iter().map(|message| message.full_name.as_str());
            for name in messages.chain(reach.enums.iter().map(|found| found.full_name.as_str())) {
                gates.entry(name).or_default().insert(service.feature.as_deref());
            }
        }
        Ok(Self(gates))
    }

    /// The attribute for what has this full name; empty if it is always there.
    fn gate(&self, name: &str) -> String {
        let features: Option<Vec<_>> = self
            .0
            .get(name)
            .into_iter()
            .flatten()
            .map(|feature| Some(format!("feature = {:?}", (*feature)?)))
            .collect();
        match features.as_deref() {
            None => String::new(),
            Some([feature]) => format!("#[cfg({feature})]\n"),
            Some(features) => format!("#[cfg(any({}))]\n", features.join(", ")),
        }
    }
}

fn types(contract: &Contract, reach: &Reach<'_>) -> Result<String> {
    let mut code = String::from(
        "use std::collections::HashMap;
        use crate::time::{Span, Timestamp};\n",
    );
    let gates = Gates::of(contract)?;
    for found in &reach.enums {
        enumeration(&gates.gate(&found.full_name), found, &mut code)?;
    }
    for message in &reach.messages {
        let gate = gates.gate(&message.full_name);
        structure(contract, &gate, message, &mut code)?;
        for member in members(message) {
            if let Member::Oneof(oneof) = member {
                union(contract, &gate, message, &oneof, &mut code)?;
            }
        }
    }
    Ok(code)
}

fn enumeration(gate: &str, found: &Enum, code: &mut String) -> Result<()> {
    let name = enum_name(found);
    writeln!(
        code,
        "{}{gate}#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]\npub enum {name} {{",
        doc(&found.doc)
    )?;
    for value in &found.values {
        let text = if value.doc.is_empty() { format!("`{}`.", value.name) } else { value.doc.clone() };
        writeln!(code, "{}{},", doc(&text), variant(value))?;
    }
    writeln!(
        code,
        "/// A value that is newer than this package.
        Other {{ /// Its number in the contract.\n number: i32 }},
        }}
        {gate}impl From<i32> for {name} {{ fn from(number: i32) -> Self {{ match number {{"
    )?;
    for value in &found.values {
        writeln!(code, "{} => Self::{},", value.number, variant(value))?;
    }
    writeln!(
        code,
        "number => Self::Other {{ number }} }} }} }}
        {gate}impl From<{name}> for i32 {{ fn from(value: {name}) -> Self {{ match value {{"
    )?;
    for value in &found.values {
        writeln!(code, "{name}::{} => {},", variant(value), value.number)?;
    }
    writeln!(code, "{name}::Other {{ number }} => number }} }} }}")?;
    Ok(())
}

/// What a field holds once.
fn plain(contract: &Contract, kind: &Kind) -> Result<String> {
    Ok(match kind {
        Kind::Bool => "bool".into(),
        Kind::I32 => "i32".into(),
        Kind::I64 => "i64".into(),
        Kind::U32 => "u32".into(),
        Kind::U64 => "u64".into(),
        Kind::F32 => "f32".into(),
        Kind::F64 => "f64".into(),
        Kind::String => "String".into(),
        Kind::Bytes => "Vec<u8>".into(),
        Kind::Timestamp => "Timestamp".into(),
        Kind::Duration => "Span".into(),
        Kind::Message(name) => record_of(contract, name)?,
        Kind::Enum(name) => enum_name(&contract.enums[name]),
    })
}

/// Whether the type in the contract's crate is another one.
fn differs(kind: &Kind) -> bool {
    matches!(kind, Kind::Bytes | Kind::Timestamp | Kind::Duration | Kind::Message(_) | Kind::Enum(_))
}

/// Whether the contract's crate boxes the field, since a message would have no size otherwise.
fn boxed(contract: &Contract, message: &Message, field: &Field) -> bool {
    let held = matches!(field.label, Label::Optional | Label::Single);
    held && field.message().is_some_and(|name| is_recursive(contract, &message.full_name, name))
}

fn field_type(contract: &Contract, message: &Message, field: &Field) -> Result<String> {
    let mut inner = plain(contract, &field.kind)?;
    if boxed(contract, message, field) {
        inner = format!("Box<{inner}>");
    }
    Ok(match &field.label {
        Label::Single => inner,
        Label::Optional => format!("Option<{inner}>"),
        Label::Repeated => format!("Vec<{inner}>"),
        Label::Map(key) => format!("HashMap<{}, {inner}>", plain(contract, key)?),
    })
}

/// The default of a field where a program makes the record itself.
fn default(field: &Field) -> Option<&'static str> {
    if field.rules.required {
        return None;
    }
    Some(match (&field.label, &field.kind) {
        (Label::Optional, _) => "None",
        (Label::Repeated, _) => "[]",
        (Label::Map(_), _) => return None,
        (Label::Single, Kind::String) => "\"\"",
        (Label::Single, Kind::Bool) => "false",
        (Label::Single, Kind::I32 | Kind::I64 | Kind::U32 | Kind::U64) => "0",
        (Label::Single, Kind::F32 | Kind::F64) => "0.0",
        (Label::Single, _) => return None,
    })
}

/// An expression that turns the value `from` of a field into its counterpart, in either direction.
fn converted(contract: &Contract, message: &Message, field: &Field, from: &str) -> String {
    if !differs(&field.kind) {
        return from.to_owned();
    }
    let boxed = boxed(contract, message, field);
    match &field.label {
        Label::Single => format!("{from}.into()"),
        Label::Optional if boxed => format!("{from}.map(|inner| Box::new((*inner).into()))"),
        Label::Optional => format!("{from}.map(Into::into)"),
        Label::Repeated => format!("{from}.into_iter().map(Into::into).collect()"),
        Label::Map(_) => format!("{from}.into_iter().map(|(key, value)| (key, value.into())).collect()"),
    }
}

fn structure(contract: &Contract, gate: &str, message: &Message, code: &mut String) -> Result<()> {
    let name = record(message);
    let theirs = proto(&message_path(contract, &message.full_name)?);
    let text = if message.doc.is_empty() { format!("`{}`.", message.full_name) } else { message.doc.clone() };
    writeln!(code, "{}{gate}#[derive(Clone, Debug, PartialEq, uniffi::Record)]\npub struct {name} {{", doc(&text))?;
    let (mut into_ours, mut into_theirs) = (String::new(), String::new());
    for member in members(message) {
        let text = if member.doc().is_empty() { format!("`{}`.", member.name()) } else { member.doc() };
        write!(code, "{}", doc(&text))?;
        match member {
            Member::Field(field) => {
                if let Some(default) = default(field) {
                    writeln!(code, "#[uniffi(default = {default})]")?;
                }
                let ours = field.rust_name();
                writeln!(code, "pub {ours}: {},", field_type(contract, message, field)?)?;
                writeln!(into_ours, "{ours}: {},", converted(contract, message, field, &format!("theirs.{ours}")))?;
                writeln!(into_theirs, "{ours}: {},", converted(contract, message, field, &format!("ours.{ours}")))?;
            }
            Member::Oneof(oneof) => {
                let ours = oneof.name.to_snake_case();
                writeln!(code, "#[uniffi(default = None)]\npub {ours}: Option<{}>,", union_name(message, oneof.name))?;
                writeln!(into_ours, "{ours}: theirs.{ours}.map(Into::into),")?;
                writeln!(into_theirs, "{ours}: ours.{ours}.map(Into::into),")?;
            }
        }
    }
    let (theirs_used, ours_used) = if message.fields.is_empty() { ("_", "_") } else { ("theirs", "ours") };
    writeln!(
        code,
        "}}
        {gate}impl From<{theirs}> for {name} {{ fn from({theirs_used}: {theirs}) -> Self {{ Self {{ {into_ours} }} }} }}
        {gate}impl From<{name}> for {theirs} {{ fn from({ours_used}: {name}) -> Self {{ Self {{ {into_theirs} }} }} }}"
    )?;
    Ok(())
}

fn union(contract: &Contract, gate: &str, message: &Message, oneof: &Oneof<'_>, code: &mut String) -> Result<()> {
    let name = union_name(message, oneof.name);
    let path = proto(&message_path(contract, &message.full_name)?);
    let (module, own) = path.rsplit_once("::").unwrap_or_default();
    let theirs = format!("{module}::{}::{}", own.to_snake_case(), oneof.name.to_upper_camel_case());
    writeln!(
        code,
        "/// One of the forms that `{}` of [`{}`] can have.\n{gate}#[derive(Clone, Debug, PartialEq, uniffi::Enum)]\npub enum {name} {{",
        oneof.name,
        record(message)
    )?;
    let (mut into_ours, mut into_theirs) = (String::new(), String::new());
    for field in &oneof.fields {
        let text = if field.doc.is_empty() { format!("`{}`.", field.name) } else { field.doc.clone() };
        let variant = field.variant();
        let boxed = boxed(contract, message, field);
        let inner = plain(contract, &field.kind)?;
        let inner = if boxed { format!("Box<{inner}>") } else { inner };
        writeln!(code, "{}{variant} {{ /// What it holds.\n value: {inner} }},", doc(&text))?;
        let value = match (differs(&field.kind), boxed) {
            (false, _) => "value",
            (true, false) => "value.into()",
            (true, true) => "Box::new((*value).into())",
        };
        writeln!(into_ours, "{theirs}::{variant}(value) => Self::{variant} {{ value: {value} }},")?;
        writeln!(into_theirs, "{name}::{variant} {{ value }} => Self::{variant}({value}),")?;
    }
    writeln!(
        code,
        "}}
        {gate}impl From<{theirs}> for {name} {{ fn from(theirs: {theirs}) -> Self {{ match theirs {{ {into_ours} }} }} }}
        {gate}impl From<{name}> for {theirs} {{ fn from(ours: {name}) -> Self {{ match ours {{ {into_theirs} }} }} }}"
    )?;
    Ok(())
}

fn apis(binding: &Binding<'_>) -> Result<String> {
    let mut code = String::from(
        "use std::sync::Arc;
        use super::types::*;
        use crate::call::{FfiCall, FfiCancel};
        use crate::error::FfiError;
        use crate::home::Home;
        use crate::injection::entered;
        use crate::runtime::FfiRuntime;
        use crate::stream::Stream;\n",
    );
    for api in &binding.apis {
        let (service, gate) = (api.service, gate(api.service));
        let (object, block) = (object(service), &service.block);
        writeln!(
            code,
            "{gate}#[uniffi::export]
            impl FfiRuntime {{
                /// The calls of the building block `{block}`.
                pub fn {block}(&self) -> Arc<{object}> {{ entered(\"FfiRuntime.{block}\"); Arc::new({object} {{ home: self.home() }}) }}
            }}
            /// The calls of the building block `{block}`.
            {gate}#[derive(uniffi::Object)]
            pub struct {object} {{ home: Home }}
            {gate}#[uniffi::export]
            impl {object} {{"
        )?;
        for call in &api.methods {
            method(binding.contract, service, call, &mut code)?;
        }
        writeln!(code, "}}")?;
        for call in api.methods.iter().filter(|call| call.method.shape != Shape::Unary) {
            stream(binding.contract, service, call, &mut code)?;
        }
    }
    Ok(code)
}

/// The API object of a service, as an expression on `apis`.
fn reached(service: &Service) -> String {
    let block = &service.block;
    match service.feature {
        Some(_) => format!("crate::home::present(apis.{block}.as_ref(), {block:?})?"),
        None => format!("apis.{block}"),
    }
}

fn method(contract: &Contract, service: &Service, call: &Call<'_>, code: &mut String) -> Result<()> {
    let method = call.method;
    let (snake, api) = (method.snake(), reached(service));
    let (request, answer) = (record_of(contract, &method.input)?, record_of(contract, &method.output)?);
    let (object, stream) = (object(service), stream_object(service, call));
    write!(code, "{}", doc(&method.doc))?;
    match method.shape {
        Shape::Unary => writeln!(
            code,
            "pub async fn {snake}(&self, request: {request}, call: FfiCall) -> Result<{answer}, FfiError> {{
                entered(\"{object}.{snake}\");
                let answer = self.home.call(call, move |apis, cx| async move {{ {api}.{snake}(&cx, request.into()).await }});
                Ok(answer.await?.into())
            }}"
        )?,
        Shape::ServerStream => writeln!(
            code,
            "pub async fn {snake}(&self, request: {request}, call: FfiCall) -> Result<Arc<{stream}>, FfiError> {{
                entered(\"{object}.{snake}\");
                let stream = self.home.download(call, move |apis, cx| async move {{ {api}.{snake}(&cx, request.into()).await }});
                Ok(Arc::new({stream} {{ inner: stream.await? }}))
            }}"
        )?,
        Shape::ClientStream | Shape::Duplex => {
            let opened = if method.streams() { "converse" } else { "upload" };
            writeln!(
                code,
                "pub async fn {snake}(&self, call: FfiCall) -> Result<Arc<{stream}>, FfiError> {{
                    entered(\"{object}.{snake}\");
                    let stream = self.home.{opened}(call, move |apis, cx, requests| async move {{ {api}.{snake}(&cx, requests).await }});
                    Ok(Arc::new({stream} {{ inner: stream.await? }}))
                }}"
            )?;
        }
    }
    Ok(())
}

fn stream(contract: &Contract, service: &Service, call: &Call<'_>, code: &mut String) -> Result<()> {
    let (method, gate) = (call.method, gate(service));
    let name = stream_object(service, call);
    let (request, answer) = (record_of(contract, &method.input)?, record_of(contract, &method.output)?);
    let down = proto(&message_path(contract, &method.output)?);
    let up = if method.uploads() { proto(&message_path(contract, &method.input)?) } else { "()".to_owned() };
    writeln!(
        code,
        "/// A stream of `{}.{}`. Dropping it ends the call.
        {gate}#[derive(uniffi::Object)]
        pub struct {name} {{ inner: Stream<{up}, {down}> }}
        {gate}#[uniffi::export]
        impl {name} {{
            /// Ends the call and whatever waits for it.
            pub fn shut(&self) {{ entered(\"{name}.shut\"); self.inner.shut(); }}",
        service.block,
        method.snake()
    )?;
    if method.streams() {
        writeln!(
            code,
            "/// The next answer; nothing at the end.
            pub async fn next(&self, cancel: Option<Arc<FfiCancel>>) -> Result<Option<{answer}>, FfiError> {{
                entered(\"{name}.next\");
                Ok(self.inner.next(cancel).await?.map(Into::into))
            }}"
        )?;
    }
    if method.uploads() {
        let (given, finished) = if method.streams() {
            ("()", "Ok(self.inner.finish())".to_owned())
        } else {
            (answer.as_str(), "self.inner.finish(); Ok(self.inner.answer(cancel).await?.into())".to_owned())
        };
        let cancel = if method.streams() { "" } else { "cancel: Option<Arc<FfiCancel>>" };
        writeln!(
            code,
            "/// Sends a message; waits while the other side is behind.
            pub async fn send(&self, message: {request}, cancel: Option<Arc<FfiCancel>>) -> Result<(), FfiError> {{
                entered(\"{name}.send\");
                self.inner.send(message.into(), cancel).await
            }}
            /// Ends the sending side well.
            pub async fn finish(&self, {cancel}) -> Result<{given}, FfiError> {{ entered(\"{name}.finish\"); {finished} }}
            /// Ends the sending side with an error: what was sent never looks complete.
            pub async fn fail(&self, message: String) -> Result<(), FfiError> {{
                entered(\"{name}.fail\");
                self.inner.fail(message).await
            }}"
        )?;
    }
    writeln!(code, "}}")?;
    Ok(())
}

/// Records from and to the JSON that the driver protocol has.
fn json(contract: &Contract) -> Result<String> {
    let mut code = String::from(
        "use super::types::*;
        use crate::error::FfiError;
        use crate::json::{read, written};\n",
    );
    let methods: Vec<_> = contract.services.iter().flat_map(|service| &service.methods).collect();
    for name in methods.iter().map(|method| &method.input).collect::<BTreeSet<_>>() {
        let (record, theirs) = (record_of(contract, name)?, proto(&message_path(contract, name)?));
        writeln!(
            code,
            "/// Reads a `{name}`.\n#[uniffi::export]
            pub fn {}_from_json(text: String) -> Result<{record}, FfiError> {{ read::<{theirs}>(text).map(Into::into) }}",
            record.to_snake_case()
        )?;
    }
    for name in methods.iter().map(|method| &method.output).collect::<BTreeSet<_>>() {
        let (record, theirs) = (record_of(contract, name)?, proto(&message_path(contract, name)?));
        writeln!(
            code,
            "/// Writes a `{name}`.\n#[uniffi::export]
            pub fn {}_to_json(message: {record}) -> Result<String, FfiError> {{ written({name:?}, &{theirs}::from(message)) }}",
            record.to_snake_case()
        )?;
    }
    Ok(code)
}
