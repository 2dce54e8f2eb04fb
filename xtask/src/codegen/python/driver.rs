//! The table from which the driver of the scenario runner takes methods and messages.

use std::fmt::Write;

use anyhow::Result;

use super::super::Files;
use super::super::binding::{Binding, ERROR};
use super::super::ir::{Field, Kind, Label, Message, Shape};
use super::{TESTS, name, python};

/// Emits `tests/driver/table.py`.
pub fn emit(binding: &Binding<'_>) -> Result<Files> {
    let mut code =
        "\"\"\"Methods and messages of the contract.\"\"\"\n\nfrom driver.model import Field, Message, Method\n"
            .to_owned();
    code.push_str("\nMETHODS = {\n");
    for api in &binding.apis {
        for call in &api.methods {
            let shape = match call.method.shape {
                Shape::Unary => "unary",
                Shape::ServerStream => "stream",
                Shape::ClientStream => "upload",
                Shape::Duplex => "duplex",
            };
            let block = &api.service.block;
            let required = call.parameters.iter().filter(|parameter| parameter.required);
            let required = required.map(|parameter| format!("{:?}, ", parameter.member.name())).collect::<String>();
            writeln!(
                code,
                "    ({block:?}, {:?}): Method({:?}, {:?}, {shape:?}, {:?}, {:?}, ({required})),",
                call.method.snake(),
                name::python(block),
                name::python(&call.method.snake()),
                call.request.full_name,
                call.answer.full_name,
            )?;
        }
    }
    code.push_str("}\n\nMESSAGES = {\n");
    for message in binding.contract.messages.values().filter(|message| message.full_name != ERROR) {
        entry(binding, message, &mut code)?;
    }
    code.push_str("}\n\nENUMS = {\n");
    for module in &binding.modules {
        for found in &module.enums {
            writeln!(
                code,
                "    {:?}: ({:?}, {:?}, {:?}),",
                found.full_name,
                name::module(binding, module),
                found.joined_name(),
                found.values.first().and_then(|value| value.name.strip_suffix(&value.short)).unwrap_or_default(),
            )?;
        }
    }
    code.push_str("}\n");
    Ok(Files::from([(format!("{TESTS}/driver/table.py").into(), python(&code))]))
}

fn entry(binding: &Binding<'_>, message: &Message, code: &mut String) -> Result<()> {
    // A request of one message has no class: its fields are parameters.
    let class = match binding.module_of(&message.full_name) {
        Ok(module) => format!("({:?}, {:?})", name::module(binding, module), message.joined_name()),
        Err(_) => "None".into(),
    };
    writeln!(code, "    {:?}: Message(\n        {class},\n        (", message.full_name)?;
    for field in &message.fields {
        let oneof = field
            .oneof
            .as_ref()
            .map_or("None".to_owned(), |oneof| format!("({:?}, {:?})", name::python(oneof), field.variant()));
        writeln!(
            code,
            "            Field({:?}, {:?}, {}, {}, {oneof}),",
            name::python(&field.name),
            field.json_name,
            kind(&field.kind),
            label(field),
        )?;
    }
    code.push_str("        ),\n    ),\n");
    Ok(())
}

fn kind(kind: &Kind) -> String {
    let name = match kind {
        Kind::Bool => "bool",
        Kind::I32 | Kind::U32 => "int",
        Kind::I64 | Kind::U64 => "long",
        Kind::F32 => "float",
        Kind::F64 => "double",
        Kind::String => "str",
        Kind::Bytes => "bytes",
        Kind::Timestamp => "timestamp",
        Kind::Duration => "duration",
        Kind::Message(name) if name == ERROR => "error",
        Kind::Message(name) | Kind::Enum(name) => name,
    };
    format!("{name:?}")
}

fn label(field: &Field) -> String {
    match &field.label {
        Label::Single => "\"single\"".into(),
        Label::Optional => "\"optional\"".into(),
        Label::Repeated => "\"repeated\"".into(),
        Label::Map(key) => format!("(\"map\", {})", kind(key)),
    }
}
