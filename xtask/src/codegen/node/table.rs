//! What the driver knows of the contract: the methods, and how proto3 JSON and objects differ.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::super::Files;
use super::super::binding::{Binding, Member, members};
use super::super::ir::{Field, Kind, Label, Shape};
use super::scope::Scope;
use super::{function, property, source};

/// Emits `sdk-node/driver/gen/contract.js`.
pub fn emit(binding: &Binding<'_>, scope: &Scope<'_>) -> Result<Files> {
    let contract = binding.contract;
    let mut methods = Map::new();
    for api in &binding.apis {
        for call in &api.methods {
            let positional: Vec<_> = call.positional().map(|parameter| property(&parameter.member)).collect();
            let shape = match call.method.shape {
                Shape::Unary => "unary",
                Shape::ServerStream => "serverStream",
                Shape::ClientStream => "clientStream",
                Shape::Duplex => "duplex",
            };
            methods.insert(
                format!("{}.{}", api.service.block, call.method.snake()),
                json!({
                    "api": api.service.block,
                    "class": format!("{}Api", api.service.stem()),
                    "method": function(call.method),
                    "shape": shape,
                    "positional": positional,
                    "request": call.request.full_name,
                    "answer": call.answer.full_name,
                }),
            );
        }
    }
    let mut messages = Map::new();
    for message in contract.messages.values() {
        if !scope.read.contains(&message.full_name) && !scope.written.contains(&message.full_name) {
            continue;
        }
        let mut fields = Map::new();
        for member in members(message) {
            match &member {
                Member::Field(field) => {
                    fields.insert(field.json_name.clone(), described(field, None));
                }
                Member::Oneof(oneof) => {
                    for field in &oneof.fields {
                        fields.insert(field.json_name.clone(), described(field, Some(property(&member))));
                    }
                }
            }
        }
        messages.insert(message.full_name.clone(), Value::Object(fields));
    }
    let mut enums = Map::new();
    for found in contract.enums.values() {
        let names = found.values.iter().map(|value| (value.short.to_lowercase(), Value::from(value.name.as_str())));
        enums.insert(found.full_name.clone(), Value::Object(names.collect()));
    }
    let mut code = String::from("\"use strict\";\n");
    for (name, table) in [("METHODS", methods), ("MESSAGES", messages), ("ENUMS", enums)] {
        code += &format!("\nexports.{name} = {};\n", serde_json::to_string_pretty(&Value::Object(table))?);
    }
    let mut files = Files::new();
    files.insert(Path::new("sdk-node/driver/gen/contract.js").into(), source(code));
    Ok(files)
}

fn described(field: &Field, choice: Option<String>) -> Value {
    let (kind, of) = match &field.kind {
        Kind::Bool => ("bool", None),
        Kind::I32 | Kind::U32 => ("int", None),
        Kind::F32 => ("float", None),
        Kind::F64 => ("double", None),
        Kind::I64 | Kind::U64 => ("bigint", None),
        Kind::String => ("string", None),
        Kind::Bytes => ("bytes", None),
        Kind::Timestamp => ("timestamp", None),
        Kind::Duration => ("duration", None),
        Kind::Message(_) if field.is_error() => ("error", None),
        Kind::Message(name) => ("message", Some(name)),
        Kind::Enum(name) => ("enum", Some(name)),
    };
    let mut described = json!({ "kind": kind });
    if let Some(of) = of {
        described["of"] = of.as_str().into();
    }
    if let Some(choice) = choice {
        described["choice"] = choice.into();
    }
    match field.label {
        Label::Single => {}
        Label::Optional => described["label"] = "optional".into(),
        Label::Repeated => described["label"] = "list".into(),
        Label::Map(_) => described["label"] = "map".into(),
    }
    described
}
