//! The native classes of messages and of the variants of their unions.

use std::fmt::Write;

use anyhow::Result;
use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};

use super::super::binding::{Binding, Member, Module, Oneof, members, rust_name};
use super::super::ir::{Enum, Field, Kind, Label, Message};
use super::super::rust::doc;
use super::name;

/// The classes of a module.
pub fn emit(binding: &Binding<'_>, module: &Module<'_>) -> Result<String> {
    let python = name::module(binding, module);
    let mut code = String::new();
    for found in &module.enums {
        let name = found.joined_name();
        writeln!(code, "pub static {}: Enumeration = Enumeration::new({python:?}, {name:?});", constant(found))?;
    }
    for message in &module.messages {
        class(binding, &python, message, &mut code)?;
    }
    Ok(code)
}

/// `CONSISTENCY`: where the class of an enum is found.
fn constant(found: &Enum) -> String {
    found.joined_name().to_shouty_snake_case()
}

/// `pillion::proto::testing::v1::Kinds`.
pub fn proto(message: &Message) -> String {
    path(message) + "::" + &message.name
}

/// The Rust module that a message is in.
fn path(message: &Message) -> String {
    let package = message.package.strip_prefix("pillion.").unwrap_or(&message.package).replace('.', "::");
    let parents = message.parents.iter().map(|parent| format!("::{}", parent.to_snake_case()));
    format!("pillion::proto::{package}") + &parents.collect::<String>()
}

/// `pillion::proto::testing::v1::kinds::Choice`.
fn oneof_type(message: &Message, oneof: &Oneof<'_>) -> String {
    format!("{}::{}::{}", path(message), message.name.to_snake_case(), oneof.name.to_upper_camel_case())
}

/// The Rust type of a member as a parameter takes it.
pub fn parameter_type(binding: &Binding<'_>, message: &Message, member: &Member<'_>) -> Result<String> {
    let field = match member {
        Member::Field(field) => field,
        Member::Oneof(oneof) => return Ok(format!("Option<{}>", oneof_type(message, oneof))),
    };
    let one = kind(binding, &field.kind)?;
    Ok(match &field.label {
        Label::Single => one,
        Label::Optional => format!("Option<{one}>"),
        Label::Repeated => format!("Vec<{one}>"),
        Label::Map(key) => format!("std::collections::HashMap<{}, {one}>", kind(binding, key)?),
    })
}

fn kind(binding: &Binding<'_>, kind: &Kind) -> Result<String> {
    Ok(match kind {
        Kind::Bool => "bool".into(),
        Kind::I32 | Kind::Enum(_) => "i32".into(),
        Kind::I64 => "i64".into(),
        Kind::U32 => "u32".into(),
        Kind::U64 => "u64".into(),
        Kind::F32 => "f32".into(),
        Kind::F64 => "f64".into(),
        Kind::String => "String".into(),
        Kind::Bytes => "bytes::Bytes".into(),
        Kind::Timestamp => "pillion::proto::Timestamp".into(),
        Kind::Duration => "pillion::proto::Duration".into(),
        Kind::Message(full_name) => proto(binding.contract.message(full_name)?),
    })
}

/// A parameter as Rust spells the name that Python sees.
pub fn parameter(member: &Member<'_>) -> String {
    let seen = name::python(member.name());
    if seen == member.name() { rust_name(&seen) } else { seen }
}

/// `key: key.0`: how a member of a message is made from its parameter.
pub fn assignment(member: &Member<'_>) -> String {
    let (field, parameter) = (rust_name(member.name()), parameter(member));
    match member {
        // A message that holds itself is boxed, which `into` does.
        Member::Field(Field { kind: Kind::Message(_), label: Label::Optional, .. }) => {
            format!("{field}: {parameter}.0.map(Into::into)")
        }
        Member::Field(_) | Member::Oneof(_) => format!("{field}: {parameter}.0"),
    }
}

/// The Python object of a field, where `place` is an expression for it.
fn shown(binding: &Binding<'_>, field: &Field, place: &str) -> Result<String> {
    let Kind::Enum(full_name) = &field.kind else { return Ok(format!("{place}.to_python(py)")) };
    let module = binding.module_of(full_name)?;
    let class = format!("crate::r#gen::{}::{}", module.block, constant(binding.enumeration(full_name)?));
    Ok(match &field.label {
        Label::Single => format!("{class}.one(py, {place})"),
        Label::Optional => format!("{class}.optional(py, {place})"),
        Label::Repeated => format!("{class}.many(py, &{place})"),
        Label::Map(_) => format!("{class}.map(py, &{place})"),
    })
}

fn class(binding: &Binding<'_>, python: &str, message: &Message, code: &mut String) -> Result<()> {
    let (name, proto) = (message.joined_name(), proto(message));
    let members = members(message);
    let count = members.len();
    for member in &members {
        if let Member::Oneof(oneof) = member {
            variants(binding, python, message, oneof, code)?;
        }
    }
    writeln!(
        code,
        "{}#[pyclass(frozen, name = {name:?}, module = {python:?})]
        #[derive(PartialEq)]
        pub struct {name}(Frozen<{proto}, {count}>);
        impl FromPython for {proto} {{
            fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {{
                let found = value.cast::<{name}>().map_err(|_| wanted(value, {name:?}))?;
                Ok(found.get().0.message.clone())
            }}
        }}
        impl ToPython for {proto} {{
            fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {{
                Ok(Py::new(py, {name}(self.clone().into()))?.into_any())
            }}
        }}
        #[pymethods]
        impl {name} {{",
        doc(&message.doc)
    )?;
    constructor(binding, message, &members, &proto, code)?;
    let mut fields = String::new();
    for (place, member) in members.iter().enumerate() {
        let (field, python) = (member.name(), name::python(member.name()));
        let value = match member {
            Member::Field(found) => shown(binding, found, &format!("message.{}", found.rust_name()))?,
            Member::Oneof(oneof) => {
                for found in &oneof.fields {
                    let variant = found.variant();
                    writeln!(
                        code,
                        "#[classattr]\n#[pyo3(name = {variant:?})]\nfn class_{}(py: Python<'_>) -> Bound<'_, pyo3::types::PyType> {{ py.get_type::<{name}{variant}>() }}",
                        found.name
                    )?;
                }
                format!("message.{}.to_python(py)", rust_name(oneof.name))
            }
        };
        writeln!(
            code,
            "{}#[getter]\n#[pyo3(name = {python:?})]\nfn get_{field}(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {{ guard(py, || self.0.show(py, {place}, |message| {value})) }}",
            doc(&member.doc())
        )?;
        write!(fields, "({python:?}, self.get_{field}(py)),")?;
    }
    writeln!(
        code,
        "fn __repr__(&self, py: Python<'_>) -> PyResult<String> {{ guard(py, || repr(py, {name:?}, &[{fields}])) }}
        fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: pyo3::pyclass::CompareOp) -> PyResult<Py<PyAny>> {{
            guard(other.py(), || compare(self, other, op))
        }}
        }}"
    )?;
    Ok(())
}

fn constructor(
    binding: &Binding<'_>,
    message: &Message,
    members: &[Member<'_>],
    proto: &str,
    code: &mut String,
) -> Result<()> {
    // What a message is all about need not be named.
    let star = if members.len() > 1 { vec!["*".to_owned()] } else { Vec::new() };
    let (mut signature, mut shown) = (star.clone(), star);
    let (mut parameters, mut assignments) = (String::new(), String::new());
    for member in members {
        let inner = parameter(member);
        signature.push(format!("{inner} = In::default()"));
        shown.push(format!("{}={}", name::python(member.name()), name::default(member)));
        write!(parameters, "{inner}: In<{}>,", parameter_type(binding, message, member)?)?;
        write!(assignments, "{},", assignment(member))?;
    }
    writeln!(
        code,
        "#[new]
        #[pyo3(signature = ({}), text_signature = \"({})\")]
        fn new(py: Python<'_>, {parameters}) -> PyResult<Self> {{
            guard(py, || Ok(Self({proto} {{ {assignments} }}.into())))
        }}",
        signature.join(", "),
        shown.join(", "),
    )?;
    Ok(())
}

fn variants(
    binding: &Binding<'_>,
    python: &str,
    message: &Message,
    oneof: &Oneof<'_>,
    code: &mut String,
) -> Result<()> {
    let (owner, union) = (message.joined_name(), oneof_type(message, oneof));
    let (mut from, mut to, mut names) = (String::new(), String::new(), Vec::new());
    for field in &oneof.fields {
        let variant = field.variant();
        let class = format!("{owner}{variant}");
        let doc = if field.doc.is_empty() { format!("The variant `{}`.", field.name) } else { field.doc.clone() };
        writeln!(code, "variant!({class}, {variant:?}, {python:?}, {owner:?}, {doc:?});")?;
        writeln!(
            from,
            "if let Ok(found) = value.cast::<{class}>() {{
                return Ok(Self::{variant}(FromPython::from_python(found.get().value.bind(value.py()))?));
            }}"
        )?;
        let shown = match &field.kind {
            Kind::Enum(_) => shown(binding, field, "*value")?,
            _ => "value.to_python(py)".into(),
        };
        writeln!(to, "Self::{variant}(value) => Py::new(py, {class} {{ value: {shown}? }})?.into_any(),")?;
        names.push(format!("{owner}.{variant}"));
    }
    writeln!(
        code,
        "impl FromPython for {union} {{
            fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {{ {from} Err(wanted(value, {:?})) }}
        }}
        impl ToPython for {union} {{
            fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {{ Ok(match self {{ {to} }}) }}
        }}",
        names.join(" or ")
    )?;
    Ok(())
}
