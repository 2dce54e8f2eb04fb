//! The Python modules of services, and their stubs with docstrings.

use std::fmt::Write;

use anyhow::Result;

use super::super::Files;
use super::super::binding::{Api, Binding, Call, Member};
use super::super::ir::{Kind, Label, Shape};
use super::name::{self, docstring};
use super::{PACKAGE, python};

/// Emits `apis.{py,pyi}` and `aio/apis.{py,pyi}`.
pub fn emit(binding: &Binding<'_>) -> Result<Files> {
    let mut files = Files::new();
    for asynchronous in [false, true] {
        let path = format!("{PACKAGE}/{}apis", if asynchronous { "aio/" } else { "" });
        files.insert(format!("{path}.py").into(), python(&source(binding, asynchronous)?));
        files.insert(format!("{path}.pyi").into(), python(&stub(binding, asynchronous)?));
    }
    Ok(files)
}

/// The services that wheels have.
fn services<'a>(binding: &'a Binding<'a>) -> impl Iterator<Item = &'a Api<'a>> {
    binding.apis.iter().filter(|api| api.service.in_process || api.service.feature.is_none())
}

const ABOUT: &str =
    "The APIs as they are in the contract: every method, with every field of its request as a parameter.";

fn source(binding: &Binding<'_>, asynchronous: bool) -> Result<String> {
    let prefix = if asynchronous { "Async" } else { "" };
    let mut code = format!("\"\"\"{ABOUT}\"\"\"\n\nfrom pillion import _native\n\nApis = _native.{prefix}Apis\n");
    let mut names = vec!["Apis".to_owned()];
    for api in services(binding) {
        let stem = api.service.stem();
        writeln!(code, "{stem}Api = _native.{}.{prefix}{stem}Api", api.service.block)?;
        names.push(format!("{stem}Api"));
    }
    names.sort();
    writeln!(code, "\n__all__ = {names:?}")?;
    Ok(code)
}

fn stub(binding: &Binding<'_>, asynchronous: bool) -> Result<String> {
    let mut code = format!("\"\"\"{ABOUT}\"\"\"\n\n{}", super::module::IMPORTS);
    let package = if asynchronous { "pillion.aio" } else { "pillion" };
    writeln!(code, "from pillion import CancelToken\nfrom {package} import Duplex, Stream, Upload")?;
    let modules = binding.modules.iter().filter(|module| super::shipped(binding, module));
    let modules: Vec<_> = modules
        .filter(|module| !module.messages.is_empty() || !module.enums.is_empty())
        .map(|module| module.block)
        .collect();
    writeln!(code, "from pillion.types import {}", modules.join(", "))?;
    let mut names = vec!["Apis".to_owned()];
    writeln!(code, "\n@final\nclass Apis:\n{}", docstring(ABOUT, 1))?;
    for api in services(binding) {
        let (block, stem) = (name::python(&api.service.block), api.service.stem());
        writeln!(code, "    @property\n    def {block}(self) -> {stem}Api: ...")?;
        names.push(format!("{stem}Api"));
    }
    for api in services(binding) {
        let stem = api.service.stem();
        writeln!(code, "\n{}class {stem}Api:", if asynchronous { "@final\n" } else { "" })?;
        code.push_str(&docstring(&api.service.description(), 1));
        for call in &api.methods {
            method(binding, api, call, asynchronous, &mut code)?;
        }
    }
    names.sort();
    writeln!(code, "\n__all__ = {names:?}")?;
    Ok(code)
}

fn method(binding: &Binding<'_>, api: &Api<'_>, call: &Call<'_>, asynchronous: bool, code: &mut String) -> Result<()> {
    let mut parameters = vec!["self".to_owned()];
    let mut named = false;
    for parameter in &call.parameters {
        if !parameter.positional && !std::mem::replace(&mut named, true) {
            parameters.push("*".into());
        }
        let kind = name::parameter(binding, None, &call.request.joined_name(), &parameter.member)?;
        let seen = name::python(parameter.member.name());
        parameters.push(if parameter.required {
            format!("{seen}: {kind}")
        } else {
            format!("{seen}: {kind} = {}", name::default(&parameter.member))
        });
    }
    if !named {
        parameters.push("*".into());
    }
    for (option, kind) in OPTIONS {
        parameters.push(format!("{option}: {kind} | None = None"));
    }
    let answer = name::class(binding, None, &call.answer.full_name)?;
    let result = match call.method.shape {
        Shape::Unary if asynchronous => format!("Coroutine[Any, Any, {answer}]"),
        Shape::Unary => answer.clone(),
        Shape::ServerStream => format!("Stream[{answer}]"),
        Shape::ClientStream => {
            format!("Upload[{}, {answer}]", name::class(binding, None, &call.request.full_name)?)
        }
        Shape::Duplex => format!("Duplex[{}, {answer}]", name::class(binding, None, &call.request.full_name)?),
    };
    writeln!(
        code,
        "\n    def {}(\n        {},\n    ) -> {result}:",
        name::python(&call.method.snake()),
        parameters.join(",\n        ")
    )?;
    code.push_str(&docstring(&documentation(api, call, asynchronous, &answer), 2));
    Ok(())
}

/// The options of every call, and their types.
const OPTIONS: &[(&str, &str)] =
    &[("timeout", "timedelta | float"), ("app_id", "str"), ("token", "str"), ("cancel", "CancelToken")];

/// A docstring as Google writes them.
pub fn documentation(api: &Api<'_>, call: &Call<'_>, asynchronous: bool, answer: &str) -> String {
    let mut text = call.method.doc.clone();
    let mut arguments = String::new();
    for parameter in &call.parameters {
        let doc = parameter.member.doc().replace('\n', " ");
        if !doc.is_empty() {
            arguments.push_str(&format!("\n    {}: {doc}", name::python(parameter.member.name())));
        }
    }
    arguments.push_str(match call.method.shape {
        Shape::Unary => "\n    timeout: How long the call may take, in seconds or as a timedelta; else the handle's.",
        _ => "\n    timeout: How long the whole stream may last; without it, for as long as it is wanted.",
    });
    arguments.push_str(
        "\n    app_id: The application on whose behalf to call, instead of the handle's.\n    token: The token to call with, instead of the handle's.\n    cancel: Cancels the call when it is cancelled.",
    );
    let returns = match call.method.shape {
        Shape::Unary => format!("A `{answer}`."),
        Shape::ServerStream => format!("A stream of `{answer}`; close it, or use it with `with`."),
        Shape::ClientStream => format!("An upload, whose `finish` gives a `{answer}`."),
        Shape::Duplex => format!("Both sides of a stream, which gives `{answer}`."),
    };
    text.push_str(&format!("\n\nArgs:{arguments}\n\nReturns:\n    {returns}\n\nRaises:\n    PillionError: One of its subclasses says why.\n\nExample:\n    {}", example(api, call, asynchronous)));
    text
}

/// The call as a program makes it.
fn example(api: &Api<'_>, call: &Call<'_>, asynchronous: bool) -> String {
    let arguments: Vec<_> = call.positional().map(|parameter| placeholder(&parameter.member)).collect();
    let method = format!("p.apis.{}.{}", name::python(&api.service.block), name::python(&call.method.snake()));
    let made = format!("{method}({})", arguments.join(", "));
    let (wait, with, each) = if asynchronous { ("await ", "async with", "async for") } else { ("", "with", "for") };
    match call.method.shape {
        Shape::Unary => format!("answer = {wait}{made}"),
        Shape::ServerStream => {
            format!("{with} {made} as stream:\n        {each} message in stream:\n            print(message)")
        }
        Shape::ClientStream => {
            format!(
                "{with} {made} as upload:\n        {wait}upload.send(message)\n        answer = {wait}upload.finish()"
            )
        }
        Shape::Duplex => {
            format!(
                "{with} {made} as stream:\n        {wait}stream.send(message)\n        {each} message in stream:\n            print(message)"
            )
        }
    }
}

fn placeholder(member: &Member<'_>) -> String {
    match member {
        Member::Field(field) if matches!(field.label, Label::Repeated) => {
            format!("[{}]", text(&field.kind, member.name()))
        }
        Member::Field(field) => text(&field.kind, member.name()),
        Member::Oneof(_) => member.name().to_owned(),
    }
}

fn text(kind: &Kind, name: &str) -> String {
    match kind {
        Kind::String => format!("{:?}", name.trim_end_matches('s')),
        _ => self::name::python(name),
    }
}
