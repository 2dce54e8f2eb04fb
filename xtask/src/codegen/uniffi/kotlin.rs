//! Kotlin: the classes that programs call, the exceptions, and the driver's table of methods.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use heck::{ToLowerCamelCase, ToUpperCamelCase};

use super::{enum_name, marked, record, record_of, union_name};
use crate::codegen::Files;
use crate::codegen::binding::{Api, Binding, Call, Member, Parameter};
use crate::codegen::ir::{Contract, Field, Kind, Label, Service, Shape};

const LIBRARY: &str = "sdk-ffi/kotlin/src/main/kotlin/dev/pillion";
const TESTS: &str = "sdk-ffi/kotlin/src/test/kotlin/dev/pillion";

/// What every call takes beside its own parameters.
const OPTIONS: &str =
    "timeout: Duration? = null, appId: String? = null, token: String? = null, traceparent: String? = null";
const PASSED: &str = "call(timeout, appId, token, traceparent)";
/// The feature of the services that only the tests of Pillion itself have. The test kit is for programs.
const HIDDEN: &str = "shapes";

/// Emits the generated part of the jar and of its tests.
pub fn emit(binding: &Binding<'_>) -> Result<Files> {
    let (library, tests) = (Path::new(LIBRARY), Path::new(TESTS));
    let contract = binding.contract;
    let public: Vec<_> = binding.apis.iter().filter(|api| is_public(api.service)).collect();
    let hidden: Vec<_> = binding.apis.iter().filter(|api| !is_public(api.service)).collect();
    let mut own = String::from(
        "/** The calls of every building block, as they are in the contract. */\npublic class Apis internal constructor(internal val ffi: FfiRuntime) {\n",
    );
    for api in &public {
        let (block, stem) = (api.service.block.to_lower_camel_case(), api.service.stem());
        writeln!(
            own,
            "    /** The building block `{block}`. */\n    public val {block}: {stem}Api = {stem}Api(crossing {{ ffi.`{block}`() }})\n"
        )?;
    }
    own.push_str("}\n");
    let mut added = String::new();
    for api in &hidden {
        let (block, stem) = (api.service.block.to_lower_camel_case(), api.service.stem());
        writeln!(added, "internal val Apis.{block}: {stem}Api get() = {stem}Api(crossing {{ ffi.`{block}`() }})\n")?;
    }
    Ok(Files::from([
        (library.join("Apis.kt"), file(&(own + &apis(contract, &public)?))),
        (library.join("Errors.kt"), file(&errors(contract)?)),
        (tests.join("TestApis.kt"), file(&(added + &apis(contract, &hidden)?))),
        (tests.join("Methods.kt"), file(&methods(binding)?)),
    ]))
}

fn file(code: &str) -> Vec<u8> {
    let imports = if code.contains("Duration") { "import kotlin.time.Duration\n\n" } else { "" };
    marked("//", &format!("package dev.pillion\n\n{imports}{code}"))
}

fn name(name: &str) -> String {
    format!("`{}`", name.to_lower_camel_case())
        .replace("`", if is_keyword(&name.to_lower_camel_case()) { "`" } else { "" })
}

fn is_keyword(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "as",
        "break",
        "class",
        "continue",
        "do",
        "else",
        "false",
        "for",
        "fun",
        "if",
        "in",
        "interface",
        "is",
        "null",
        "object",
        "package",
        "return",
        "super",
        "this",
        "throw",
        "true",
        "try",
        "typealias",
        "typeof",
        "val",
        "var",
        "when",
        "while",
    ];
    WORDS.contains(&name)
}

/// KDoc, `indent` spaces deep.
fn comment(indent: usize, text: &str) -> String {
    let mut lines = format!("{:indent$}/**\n", "");
    for line in text.lines() {
        lines.push_str(format!("{:indent$} * {line}", "").trim_end());
        lines.push('\n');
    }
    lines + &format!("{:indent$} */\n", "")
}

fn plain(contract: &Contract, kind: &Kind) -> Result<String> {
    Ok(match kind {
        Kind::Bool => "Boolean".into(),
        Kind::I32 => "Int".into(),
        Kind::I64 => "Long".into(),
        Kind::U32 => "UInt".into(),
        Kind::U64 => "ULong".into(),
        Kind::F32 => "Float".into(),
        Kind::F64 => "Double".into(),
        Kind::String => "String".into(),
        Kind::Bytes => "ByteArray".into(),
        Kind::Timestamp => "Timestamp".into(),
        Kind::Duration => "Duration".into(),
        Kind::Message(name) => record_of(contract, name)?,
        Kind::Enum(name) => enum_name(&contract.enums[name]),
    })
}

fn field_type(contract: &Contract, field: &Field) -> Result<String> {
    let inner = plain(contract, &field.kind)?;
    Ok(match &field.label {
        Label::Single => inner,
        Label::Optional => inner + "?",
        Label::Repeated => format!("List<{inner}>"),
        Label::Map(key) => format!("Map<{}, {inner}>", plain(contract, key)?),
    })
}

fn default(contract: &Contract, field: &Field) -> String {
    match (&field.label, &field.kind) {
        (Label::Optional, _) => "null".into(),
        (Label::Repeated, _) => "emptyList()".into(),
        (Label::Map(_), _) => "emptyMap()".into(),
        (Label::Single, Kind::String) => "\"\"".into(),
        (Label::Single, Kind::Bytes) => "byteArrayOf()".into(),
        (Label::Single, Kind::Bool) => "false".into(),
        (Label::Single, Kind::F32) => "0f".into(),
        (Label::Single, Kind::F64) => "0.0".into(),
        (Label::Single, Kind::U32 | Kind::U64) => "0u".into(),
        (Label::Single, Kind::Enum(name)) => enum_name(&contract.enums[name]) + ".Unspecified",
        (Label::Single, _) => "0".into(),
    }
}

fn parameter(contract: &Contract, call: &Call<'_>, parameter: &Parameter<'_>) -> Result<String> {
    let name = name(parameter.member.name());
    let (shown, default) = match &parameter.member {
        Member::Field(field) => (field_type(contract, field)?, default(contract, field)),
        Member::Oneof(oneof) => (union_name(call.request, oneof.name) + "?", "null".into()),
    };
    let default = if parameter.positional && parameter.required { String::new() } else { format!(" = {default}") };
    Ok(format!("{name}: {shown}{default}"))
}

fn apis(contract: &Contract, apis: &[&Api<'_>]) -> Result<String> {
    let mut code = String::new();
    for api in apis {
        let service = api.service;
        let text = service.description();
        let (stem, object, seen) = (service.stem(), super::object(service), visibility(service));
        writeln!(
            code,
            "\n{}{seen} class {stem}Api internal constructor(private val ffi: {object}) {{",
            comment(0, &text)
        )?;
        for call in &api.methods {
            method(contract, service, call, &mut code)?;
        }
        writeln!(code, "}}")?;
    }
    Ok(code)
}

fn is_public(service: &Service) -> bool {
    service.feature.as_deref() != Some(HIDDEN)
}

fn visibility(service: &Service) -> &'static str {
    if is_public(service) { "public" } else { "internal" }
}

fn method(contract: &Contract, service: &Service, call: &Call<'_>, code: &mut String) -> Result<()> {
    let camel = call.method.name.to_lower_camel_case();
    let (request, answer) = (record(call.request), record(call.answer));
    let mut heads: Vec<_> = call.parameters.iter().map(|p| parameter(contract, call, p)).collect::<Result<_>>()?;
    heads.push(OPTIONS.into());
    let example: Vec<_> = call.positional().map(|p| name(p.member.name())).collect();
    let mut text = format!(
        "{}\n\n```kotlin\np.apis.{}.{camel}({})\n```\n\n",
        call.method.doc,
        service.block.to_lower_camel_case(),
        example.join(", ")
    );
    for parameter in &call.parameters {
        let doc = parameter.member.doc();
        if !doc.is_empty() {
            writeln!(text, "@param {} {doc}", parameter.member.name().to_lower_camel_case())?;
        }
    }
    text.push_str("@throws PillionException if the call fails");
    let fields: Vec<_> = call.parameters.iter().map(|p| format!("{0} = {0}", name(p.member.name()))).collect();
    let request_of = format!("{request}({})", fields.join(", "));
    let sent = format!("called {{ ffi.`{camel}`({request_of}, {PASSED}) }}");
    let opened = format!("called {{ ffi.`{camel}`({PASSED}) }}");
    let (returned, body) = match call.method.shape {
        Shape::Unary => (answer, sent),
        Shape::ServerStream => {
            (format!("AnswerStream<{answer}>"), format!("{sent}.let {{ AnswerStream({{ it.next(null) }}, it::shut) }}"))
        }
        Shape::ClientStream => (
            format!("Upload<{request}, {answer}>"),
            format!(
                "{opened}.let {{ Upload({{ m -> it.send(m, null) }}, {{ it.finish(null) }}, it::fail, it::shut) }}"
            ),
        ),
        Shape::Duplex => (
            format!("Conversation<{request}, {answer}>"),
            format!(
                "{opened}.let {{ Conversation({{ it.next(null) }}, {{ m -> it.send(m, null) }}, it::finish, it::fail, it::shut) }}"
            ),
        ),
    };
    write!(
        code,
        "{}    {} suspend fun {camel}(\n        {},\n    ): {returned} =\n        {body}\n\n",
        comment(4, text.trim()),
        visibility(service),
        heads
            .join(",\n        ")
            .replace(", appId", ",\n        appId")
            .replace(", token", ",\n        token")
            .replace(", traceparent", ",\n        traceparent"),
    )?;
    Ok(())
}

fn errors(contract: &Contract) -> Result<String> {
    let categories: Vec<_> = contract.categories.iter().filter(|category| category.name != "UNSPECIFIED").collect();
    let mut code = String::new();
    for category in &categories {
        let name = category.name.to_upper_camel_case();
        writeln!(
            code,
            "{}public class {name}Exception(info: ErrorInfo) : PillionException(info)\n",
            comment(0, &category.doc)
        )?;
    }
    writeln!(
        code,
        "/** The exception for what the runtime said. */\ninternal fun exception(info: ErrorInfo): PillionException =\n    when (info.category) {{"
    )?;
    for category in &categories {
        let name = category.name.to_upper_camel_case();
        writeln!(code, "        Category.{name} -> {name}Exception(info)")?;
    }
    writeln!(code, "        else -> InternalErrorException(info)\n    }}")?;
    Ok(code.replace("InternalException", "InternalErrorException"))
}

/// The driver's table: from JSON to a call of the classes above, and back.
fn methods(binding: &Binding<'_>) -> Result<String> {
    let mut code = String::from("internal val METHODS: Map<String, Row> = mapOf(\n");
    for api in &binding.apis {
        for call in &api.methods {
            let (block, camel) = (api.service.block.to_lower_camel_case(), call.method.name.to_lower_camel_case());
            let (request, answer) =
                (record(call.request).to_lower_camel_case(), record(call.answer).to_lower_camel_case());
            let arguments: Vec<_> = call
                .parameters
                .iter()
                .map(|parameter| format!("{0} = r.{0}", name(parameter.member.name())))
                .chain(["timeout = o.timeout, appId = o.appId, token = o.token".into()])
                .collect();
            let called = format!("p.apis.{block}.{camel}({})", arguments.join(", "));
            let read = format!("val r = {request}FromJson(args); ");
            let row = match call.method.shape {
                Shape::Unary => format!("Row.Unary {{ p, args, o -> {read}{answer}ToJson({called}) }}"),
                Shape::ServerStream => {
                    format!("Row.Download {{ p, args, o -> {read}Taking({called}) {{ m -> {answer}ToJson(m) }} }}")
                }
                Shape::ClientStream => format!(
                    "Row.Up {{ p, o -> Uploading({called}, {{ {request}FromJson(it) }}, {{ m -> {answer}ToJson(m) }}) }}"
                ),
                Shape::Duplex => format!(
                    "Row.Both {{ p, o -> Conversing({called}, {{ {request}FromJson(it) }}, {{ m -> {answer}ToJson(m) }}) }}"
                ),
            };
            writeln!(code, "    \"{}.{}\" to {row},", api.service.block, call.method.snake())?;
        }
    }
    writeln!(code, ")")?;
    Ok(code)
}
