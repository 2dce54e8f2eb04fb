//! The classes of the APIs, and the names of enums.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};
use heck::ToUpperCamelCase;

use super::super::Files;
use super::super::binding::{Api, Binding, Call, ERROR};
use super::super::ir::{Contract, Kind, Label, Shape};
use super::scope::Scope;
use super::{function, native, property, source};

/// What calls may have beside their request; no field can be called so.
pub const CALL_OPTIONS: [&str; 6] = ["signal", "timeoutMs", "appId", "token", "traceparent", "tracestate"];

/// Emits `sdk-node/lib/gen/{BLOCK,apis}.js`.
pub fn emit(binding: &Binding<'_>, scope: &Scope<'_>) -> Result<Files> {
    let folder = Path::new("sdk-node/lib/gen");
    let mut files = Files::new();
    for file in scope.files().into_keys() {
        files.insert(folder.join(format!("{file}.js")), source(module(binding, scope, file)?));
    }
    files.insert(folder.join("apis.js"), source(apis(binding)?));
    Ok(files)
}

/// The APIs that every runtime has.
pub fn always<'a, 'b>(binding: &'b Binding<'a>) -> impl Iterator<Item = &'b Api<'a>> {
    binding.apis.iter().filter(|api| api.service.feature.is_none())
}

fn module(binding: &Binding<'_>, scope: &Scope<'_>, file: &str) -> Result<String> {
    let mut code = String::from("\"use strict\";\n");
    let mut exported = Vec::new();
    let api = binding.apis.iter().find(|api| api.service.block == file);
    if api.is_some() {
        writeln!(code, "\nconst {{ Api }} = require(\"../api.js\");")?;
    }
    for found in scope.enums(file) {
        let name = found.joined_name();
        writeln!(code, "\nconst {name} = Object.freeze({{")?;
        for value in &found.values {
            writeln!(code, "  {}: {:?},", value.short.to_upper_camel_case(), value.short.to_lowercase())?;
        }
        writeln!(code, "}});")?;
        exported.push(name);
    }
    if let Some(api) = api {
        let name = format!("{}Api", api.service.stem());
        writeln!(code, "\nclass {name} extends Api {{")?;
        let methods: Vec<_> =
            api.methods.iter().map(|call| method(binding.contract, api, call)).collect::<Result<_>>()?;
        writeln!(code, "{}}}", methods.join("\n"))?;
        exported.push(name);
    }
    writeln!(code)?;
    for name in exported {
        writeln!(code, "exports.{name} = {name};")?;
    }
    Ok(code)
}

fn method(contract: &Contract, api: &Api<'_>, call: &Call<'_>) -> Result<String> {
    let positional: Vec<_> = call.positional().map(|parameter| property(&parameter.member)).collect();
    if let Some(taken) = call
        .parameters
        .iter()
        .map(|parameter| property(&parameter.member))
        .find(|name| CALL_OPTIONS.contains(&name.as_str()))
    {
        bail!("{}: in Node `{taken}` is an option of every call", call.method.path);
    }
    let name = function(call.method);
    let export = native::export(api, call);
    let errors = errors(contract, &call.answer.full_name, &mut Vec::new())?;
    let errors = if errors.is_empty() { String::new() } else { format!(", {}", serde_json::to_string(&errors)?) };
    let parameters: String = positional.iter().map(|name| format!("{name}, ")).collect();
    let request = format!("{{ ...options{} }}", positional.iter().map(|name| format!(", {name}")).collect::<String>());
    Ok(match call.method.shape {
        Shape::Unary => format!(
            "  {name}({parameters}options) {{\n    return this.unary({export:?}, {request}, options{errors});\n  }}\n"
        ),
        Shape::ServerStream => format!(
            "  {name}({parameters}options) {{\n    return this.serverStream({export:?}, {request}, options{errors});\n  }}\n"
        ),
        Shape::ClientStream => format!(
            "  {name}(requests, options) {{\n    return this.clientStream({export:?}, requests, options{errors});\n  }}\n"
        ),
        Shape::Duplex => format!(
            "  {name}(requests, options) {{\n    return this.duplex({export:?}, requests, options{errors});\n  }}\n"
        ),
    })
}

/// Where an answer holds errors, which become exceptions: the names that lead to each.
fn errors(contract: &Contract, full_name: &str, above: &mut Vec<String>) -> Result<Vec<Vec<String>>> {
    if above.iter().any(|name| name == full_name) {
        return Ok(Vec::new());
    }
    above.push(full_name.to_owned());
    let mut found = Vec::new();
    for field in &contract.message(full_name)?.fields {
        let Kind::Message(inner) = &field.kind else { continue };
        let paths = if inner == ERROR { vec![Vec::new()] } else { errors(contract, inner, above)? };
        if !paths.is_empty() && (field.oneof.is_some() || matches!(field.label, Label::Map(_))) {
            bail!("{full_name}.{}: errors in maps and oneofs are not read in Node", field.name);
        }
        for mut path in paths {
            path.insert(0, field.json_name.clone());
            found.push(path);
        }
    }
    above.pop();
    Ok(found)
}

fn apis(binding: &Binding<'_>) -> Result<String> {
    let mut code = String::from("\"use strict\";\n\n");
    for api in always(binding) {
        writeln!(code, "const {{ {}Api }} = require(\"./{}.js\");", api.service.stem(), api.service.block)?;
    }
    writeln!(code, "\nclass Apis {{\n  constructor(caller) {{")?;
    for api in always(binding) {
        writeln!(code, "    this.{} = new {}Api(caller);", api.service.block, api.service.stem())?;
    }
    writeln!(code, "    Object.freeze(this);\n  }}\n}}\n\nexports.Apis = Apis;")?;
    Ok(code)
}
