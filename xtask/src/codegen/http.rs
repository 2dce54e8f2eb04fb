//! The REST-shaped routes: binding requests to messages and messages to responses.

use std::fmt::Write;

use anyhow::{Result, bail};
use heck::ToUpperCamelCase;

use super::ir::{Binding, Contract, Field, HttpRule, Kind, Label, Method, Service};
use super::rust::{api, enum_path, gate, message_path};
use super::{Compiled, Files, format};

/// Emits `proto/src/gen/http_routes.rs`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let mut table = String::new();
    let mut functions = String::new();
    for service in contract.served() {
        for method in &service.methods {
            for (number, rule) in method.rules.http.iter().enumerate() {
                let function = format!("{}_{}_{number}", service.block, method.snake());
                writeln!(
                    table,
                    "{}Route {{ verb: {:?}, path: {:?}, info: &crate::{}_method::{}, body: {}, headers: &{:?}, call: {function} }},",
                    gate(service),
                    rule.verb,
                    rule.path,
                    service.block,
                    method.shouty(),
                    !rule.raw_body.is_empty() || !rule.json_body.is_empty(),
                    rule.headers.iter().map(|binding| binding.name.as_str()).collect::<Vec<_>>()
                )?;
                route(contract, service, method, rule, &function, &mut functions)?;
            }
        }
    }
    let code = format!(
        "use futures::future::BoxFuture;
        use crate::http::{{Reply, Request, Route}};
        use crate::text;
        use crate::{{Apis, Cx, Result}};
        /// Every REST-shaped binding.
        pub static ROUTES: &[Route] = &[{table}];
        {functions}"
    );
    Ok(Files::from([("proto/src/gen/http_routes.rs".into(), format(&code)?)]))
}

fn route(
    contract: &Contract,
    service: &Service,
    method: &Method,
    rule: &HttpRule,
    function: &str,
    code: &mut String,
) -> Result<()> {
    if method.uploads() {
        bail!("{}: an upload has no REST-shaped binding", method.path);
    }
    let (take, unwrap) = api(service);
    writeln!(
        code,
        "{}#[allow(unused_mut, unused_variables)]
        fn {function}(apis: &Apis, cx: Cx, mut http: Request) -> BoxFuture<'static, Result<Reply>> {{
            {take}
            Box::pin(async move {{ {unwrap}
            let mut request = {}::default();",
        gate(service),
        message_path(contract, &method.input)?
    )?;
    if rule.json_body == "*" {
        writeln!(code, "request = http.json()?;")?;
    } else if !rule.json_body.is_empty() {
        assign(contract, &method.input, &rule.json_body, "http.json()?", code)?;
    }
    if !rule.raw_body.is_empty() {
        assign(contract, &method.input, &rule.raw_body, "std::mem::take(&mut http.body)", code)?;
    }
    for name in rule.path_fields() {
        let fields = contract.resolve(&method.input, &name)?;
        let value = parse(contract, fields[fields.len() - 1], &name, "&value", "")?;
        writeln!(code, "let value = http.path_field({name:?})?;")?;
        assign(contract, &method.input, &name, &value, code)?;
    }
    let names: Vec<_> = rule.query.iter().map(|binding| binding.name.as_str()).collect();
    writeln!(code, "for (name, value) in http.query_fields(&{names:?})? {{ match name.as_str() {{")?;
    for binding in &rule.query {
        writeln!(code, "{:?} => {{", binding.name)?;
        bind(contract, &method.input, rule, binding, "&value", code)?;
        writeln!(code, "}}")?;
    }
    writeln!(code, "_ => {{}} }} }}")?;
    for binding in &rule.headers {
        writeln!(code, "if let Some(value) = http.header({:?})? {{", binding.name)?;
        bind(contract, &method.input, rule, binding, "value", code)?;
        writeln!(code, "}}")?;
    }
    writeln!(code, "let answer = api.{}(&cx, request).await?;", method.snake())?;
    respond(contract, method, rule, code)?;
    writeln!(code, "}}) }}")?;
    Ok(())
}

fn bind(
    contract: &Contract,
    message: &str,
    rule: &HttpRule,
    binding: &Binding,
    text: &str,
    code: &mut String,
) -> Result<()> {
    let fields = contract.resolve(message, &binding.field)?;
    if let Some(place) = shared_oneof(contract, message, rule, binding)? {
        // The last one would win, and the others would be lost without a word.
        writeln!(code, "if {place}.is_some() {{ return Err(crate::http::excluded({:?})); }}", binding.name)?;
    }
    let value = parse(contract, fields[fields.len() - 1], &binding.name, text, &binding.form)?;
    assign(contract, message, &binding.field, &value, code)
}

/// The oneof that a parameter or header sets, if another one or the body may have set it before.
fn shared_oneof(contract: &Contract, message: &str, rule: &HttpRule, binding: &Binding) -> Result<Option<String>> {
    let Some(own) = oneof_of(contract, message, &binding.field)? else { return Ok(None) };
    let mut setters = usize::from(!rule.json_body.is_empty());
    for other in rule.query.iter().chain(&rule.headers) {
        setters += usize::from(oneof_of(contract, message, &other.field)?.as_ref() == Some(&own));
    }
    Ok((setters > 1).then_some(own))
}

/// The place of the oneof that a field is in.
fn oneof_of(contract: &Contract, message: &str, path: &str) -> Result<Option<String>> {
    let fields = contract.resolve(message, path)?;
    let Some((last, before)) = fields.split_last() else { return Ok(None) };
    let Some(oneof) = &last.oneof else { return Ok(None) };
    let before: String = before.iter().map(|field| format!(".{}.get_or_insert_default()", field.name)).collect();
    Ok(Some(format!("request{before}.{oneof}")))
}

/// An expression that reads a field's value from text.
fn parse(contract: &Contract, field: &Field, name: &str, text: &str, form: &str) -> Result<String> {
    Ok(match (form, &field.kind) {
        ("FORM_ETAG", Kind::String) => format!("text::parse_etag({name:?}, {text})?"),
        ("FORM_ANY", Kind::Message(message)) => {
            format!("{{ text::parse_any({name:?}, {text})?; {}::default() }}", message_path(contract, message)?)
        }
        (_, Kind::Enum(found)) => {
            let path = enum_path(contract, found);
            let values = &contract.enums[found].values;
            let prefix = values.first().map_or("", |value| value.name.trim_end_matches(value.short.as_str()));
            format!("text::parse_enum({name:?}, {text}, {prefix:?}, {path}::from_str_name)?")
        }
        (_, Kind::Message(_) | Kind::Bytes | Kind::Timestamp) => {
            bail!("`{}` has no text form", field.name)
        }
        _ => format!("text::parse({name:?}, {text})?"),
    })
}

/// A statement that sets a field along a path, making the messages on the way.
fn assign(contract: &Contract, message: &str, path: &str, value: &str, code: &mut String) -> Result<()> {
    let fields = contract.resolve(message, path)?;
    let mut place = "request".to_owned();
    let mut owner = message.to_owned();
    for (index, field) in fields.iter().enumerate() {
        let last = index + 1 == fields.len();
        if let Some(oneof) = &field.oneof {
            if !last {
                bail!("`{path}` goes through a oneof");
            }
            let owner = message_path(contract, &owner)?;
            let (module, name) = owner.rsplit_once("::").unwrap_or_default();
            use heck::ToSnakeCase as _;
            let variant = format!(
                "{module}::{}::{}::{}",
                name.to_snake_case(),
                oneof.to_upper_camel_case(),
                field.name.to_upper_camel_case()
            );
            writeln!(code, "{place}.{oneof} = Some({variant}({value}));")?;
            return Ok(());
        }
        place = format!("{place}.{}", field.name);
        if last {
            match field.label {
                Label::Single => writeln!(code, "{place} = {value};")?,
                Label::Optional => writeln!(code, "{place} = Some({value});")?,
                Label::Repeated | Label::Map(_) => bail!("`{path}` is repeated"),
            }
            return Ok(());
        }
        let Kind::Message(inner) = &field.kind else { bail!("`{path}` goes through what is no message") };
        place.push_str(".get_or_insert_default()");
        owner = inner.clone();
    }
    Ok(())
}

fn respond(contract: &Contract, method: &Method, rule: &HttpRule, code: &mut String) -> Result<()> {
    if method.streams() {
        writeln!(code, "Ok(Reply::stream(answer))")?;
        return Ok(());
    }
    if !rule.required_response.is_empty() {
        let variant = rule.missing_reason.split(['.', '_']).map(|word| word.to_upper_camel_case()).collect::<String>();
        let missing = missing(contract, &rule.required_response, &method.output, "answer")?;
        writeln!(
            code,
            "if {missing} {{ return Err(crate::Error::new(crate::Reason::{variant}, crate::Reason::{variant}.meaning())); }}"
        )?;
    }
    for (index, binding) in rule.response_headers.iter().enumerate() {
        let fields = contract.resolve(&method.output, &binding.field)?;
        let value = read(&fields, "answer");
        let text = match (binding.form.as_str(), &fields[fields.len() - 1].kind) {
            ("FORM_ETAG", _) => "format!(\"\\\"{value}\\\"\")",
            (_, Kind::String) => "value.clone()",
            _ => "text::Text::to_text(value)",
        };
        writeln!(
            code,
            "let header_{index} = {value}.filter(|value| crate::http::is_set(*value)).map(|value| {text});"
        )?;
    }
    if rule.raw_response.is_empty() {
        writeln!(code, "let mut reply = Reply::json(&answer)?;")?;
    } else {
        let fields = contract.resolve(&method.output, &rule.raw_response)?;
        writeln!(code, "let mut reply = Reply::raw({}.cloned().unwrap_or_default());", read(&fields, "answer"))?;
    }
    for (index, binding) in rule.response_headers.iter().enumerate() {
        writeln!(code, "if let Some(value) = header_{index} {{ reply.header({:?}, &value); }}", binding.name)?;
    }
    writeln!(code, "Ok(reply)")?;
    Ok(())
}

/// An expression of type `Option<&T>` for the field at the end of a path.
fn read(fields: &[&Field], message: &str) -> String {
    let mut expression = format!("Some(&{message})");
    for field in fields {
        let name = &field.name;
        match field.label {
            Label::Optional => write!(expression, ".and_then(|message| message.{name}.as_ref())"),
            _ => write!(expression, ".map(|message| &message.{name})"),
        }
        .unwrap_or_default();
    }
    expression
}

fn missing(contract: &Contract, path: &str, message: &str, name: &str) -> Result<String> {
    let fields = contract.resolve(message, path)?;
    Ok(format!("{}.is_none()", read(&fields, name)))
}
