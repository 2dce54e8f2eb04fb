//! Swift: what programs call, and the errors. UniFFI passes on no cancellation here, so every call is made
//! with a handle that the task's cancellation uses.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use heck::ToLowerCamelCase;

use super::{enum_name, is_public, marked, object, record, record_of, stream_object, union_name};
use crate::codegen::Files;
use crate::codegen::binding::{Api, Binding, Call, Member, Parameter, members};
use crate::codegen::ir::{Contract, Field, Kind, Label, Service, Shape};

const SOURCES: &str = "sdk-ffi/swift/Sources/Pillion";

/// Emits the generated part of the Swift package.
pub fn emit(binding: &Binding<'_>) -> Result<Files> {
    let folder = Path::new(SOURCES);
    let public: Vec<_> = binding.apis.iter().filter(|api| is_public(api.service)).collect();
    Ok(Files::from([
        (folder.join("Apis.swift"), marked("//", &apis(binding.contract, &public)?)),
        (folder.join("Errors.swift"), marked("//", &errors(binding.contract)?)),
    ]))
}

fn name(name: &str) -> String {
    const WORDS: &[&str] = &[
        "as", "case", "default", "do", "for", "func", "if", "in", "is", "let", "repeat", "return", "var", "where",
        "while",
    ];
    let name = name.to_lower_camel_case();
    if WORDS.contains(&name.as_str()) { format!("`{name}`") } else { name }
}

fn comment(indent: usize, text: &str) -> String {
    text.lines().map(|line| format!("{:indent$}/// {line}", "").trim_end().to_owned() + "\n").collect()
}

fn plain(contract: &Contract, kind: &Kind) -> Result<String> {
    Ok(match kind {
        Kind::Bool => "Bool".into(),
        Kind::I32 => "Int32".into(),
        Kind::I64 => "Int64".into(),
        Kind::U32 => "UInt32".into(),
        Kind::U64 => "UInt64".into(),
        Kind::F32 => "Float".into(),
        Kind::F64 => "Double".into(),
        Kind::String => "String".into(),
        Kind::Bytes => "Data".into(),
        Kind::Timestamp => "Timestamp".into(),
        Kind::Duration => "Span".into(),
        Kind::Message(name) => record_of(contract, name)?,
        Kind::Enum(name) => enum_name(&contract.enums[name]),
    })
}

fn field_type(contract: &Contract, field: &Field) -> Result<String> {
    let inner = plain(contract, &field.kind)?;
    Ok(match &field.label {
        Label::Single => inner,
        Label::Optional => inner + "?",
        Label::Repeated => format!("[{inner}]"),
        Label::Map(key) => format!("[{}: {inner}]", plain(contract, key)?),
    })
}

fn default(field: &Field) -> &'static str {
    match (&field.label, &field.kind) {
        (Label::Optional, _) => "nil",
        (Label::Repeated, _) => "[]",
        (Label::Map(_), _) => "[:]",
        (Label::Single, Kind::String) => "\"\"",
        (Label::Single, Kind::Bytes) => "Data()",
        (Label::Single, Kind::Bool) => "false",
        (Label::Single, Kind::Enum(_)) => ".unspecified",
        (Label::Single, _) => "0",
    }
}

fn parameter(contract: &Contract, call: &Call<'_>, parameter: &Parameter<'_>) -> Result<String> {
    let name = name(parameter.member.name());
    let (shown, default) = match &parameter.member {
        Member::Field(field) => (field_type(contract, field)?, default(field)),
        Member::Oneof(oneof) => (union_name(call.request, oneof.name) + "?", "nil"),
    };
    let default = if parameter.positional && parameter.required { String::new() } else { format!(" = {default}") };
    let label = if parameter.positional { "_ " } else { "" };
    Ok(format!("{label}{name}: {shown}{default}"))
}

fn apis(contract: &Contract, apis: &[&Api<'_>]) -> Result<String> {
    let mut code = String::from(
        "import Foundation\n\n/// The calls of every building block, as they are in the contract.\npublic struct Apis: Sendable {\n    let ffi: FfiRuntime\n",
    );
    for api in apis {
        let (block, stem) = (name(&api.service.block), api.service.stem());
        writeln!(
            code,
            "\n    /// The building block `{block}`.\n    public var {block}: {stem}Api {{ {stem}Api(ffi: ffi.{block}()) }}"
        )?;
    }
    writeln!(code, "}}")?;
    for api in apis {
        let service = api.service;
        let text = service.description();
        writeln!(
            code,
            "\n{}public struct {}Api: Sendable {{\n    let ffi: {}",
            comment(0, &text),
            service.stem(),
            object(service)
        )?;
        for call in &api.methods {
            method(contract, service, call, &mut code)?;
        }
        writeln!(code, "}}")?;
        for call in api.methods.iter().filter(|call| call.method.shape == Shape::ServerStream) {
            writeln!(
                code,
                "\nextension {}: AnswerSource {{\n    public typealias Answer = {}\n}}",
                stream_object(service, call),
                record(call.answer)
            )?;
        }
    }
    Ok(code)
}

fn method(contract: &Contract, service: &Service, call: &Call<'_>, code: &mut String) -> Result<()> {
    let camel = name(&call.method.name);
    let (request, answer) = (record(call.request), record(call.answer));
    let mut heads: Vec<_> = call.parameters.iter().map(|p| parameter(contract, call, p)).collect::<Result<_>>()?;
    heads.push("options: CallOptions = CallOptions()".into());
    let example: Vec<_> = call.positional().map(|p| name(p.member.name())).collect();
    // Swift takes them in the order of the record only.
    let fields: Vec<_> =
        members(call.request).iter().map(|m| format!("{}: {}", name(m.name()), name(m.name()))).collect();
    let request_of = format!("{request}({})", fields.join(", "));
    let stream = stream_object(service, call);
    let (returned, made) = match call.method.shape {
        Shape::Unary => (answer, format!("ffi.{camel}(request: {request_of}, call: $0)")),
        Shape::ServerStream => {
            (format!("AnswerStream<{stream}>"), format!("AnswerStream(ffi.{camel}(request: {request_of}, call: $0))"))
        }
        Shape::ClientStream | Shape::Duplex => (stream, format!("ffi.{camel}(call: $0)")),
    };
    let mut text = format!(
        "{}\n\n```swift\ntry await p.apis.{}.{camel}({})\n```\n",
        call.method.doc,
        name(&service.block),
        example.join(", ")
    );
    for parameter in &call.parameters {
        let doc = parameter.member.doc().replace('\n', "\n    ");
        if !doc.is_empty() {
            write!(text, "\n- Parameter {}: {doc}", name(parameter.member.name()))?;
        }
    }
    text.push_str("\n- Throws: ``PillionError``, or `CancellationError` if the task was cancelled.");
    write!(
        code,
        "\n{}    public func {camel}(\n        {}\n    ) async throws -> {returned} {{\n        try await called(options) {{ try await {made} }}\n    }}\n",
        comment(4, &text),
        heads.join(",\n        "),
    )?;
    Ok(())
}

fn errors(contract: &Contract) -> Result<String> {
    let categories: Vec<_> = contract.categories.iter().filter(|category| category.name != "UNSPECIFIED").collect();
    let mut code = String::from(
        "/// What every failed call throws; there is a case for each category. `info` is all of it, as the runtime gave it.\npublic enum PillionError: Error, Sendable {\n",
    );
    for category in &categories {
        writeln!(code, "{}    case {}(ErrorInfo)", comment(4, &category.doc), category.name.to_lower_camel_case())?;
    }
    code.push_str("\n    /// The error for what the runtime said.\n    init(_ info: ErrorInfo) {\n        switch info.category {\n");
    for category in &categories {
        let case = category.name.to_lower_camel_case();
        writeln!(code, "        case .{case}: self = .{case}(info)")?;
    }
    code.push_str("        default: self = .internal(info)\n        }\n    }\n\n    /// All of it, as the runtime gave it.\n    public var info: ErrorInfo {\n        switch self {\n");
    let all: Vec<_> =
        categories.iter().map(|category| format!(".{}(let info)", category.name.to_lower_camel_case())).collect();
    writeln!(code, "        case {}: return info\n        }}\n    }}\n}}", all.join(",\n             "))?;
    Ok(code)
}
