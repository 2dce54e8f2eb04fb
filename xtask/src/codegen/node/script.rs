//! The classes of the APIs, and the names of enums.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};
use heck::ToUpperCamelCase;

use super::super::Files;
use super::super::binding::{Api, Binding, Call, ERROR, Parameter};
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
        writeln!(code, "\nconst {{ Api, method }} = require(\"../api.js\");")?;
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
        writeln!(code, "\nconst METHODS = {{")?;
        for call in &api.methods {
            writeln!(code, "  {}: {},", function(call.method), description(binding.contract, api, call)?)?;
        }
        writeln!(code, "}};\n\nclass {name} extends Api {{\n  static METHODS = METHODS;\n")?;
        let methods: Vec<_> = api.methods.iter().map(method).collect();
        writeln!(code, "{}}}", methods.join("\n"))?;
        exported.push(name);
    }
    writeln!(code)?;
    for name in exported {
        writeln!(code, "exports.{name} = {name};")?;
    }
    Ok(code)
}

/// What `lib/api.js` has to know of a method: `method("stateGet", ["store", "consistency"])`.
fn description(contract: &Contract, api: &Api<'_>, call: &Call<'_>) -> Result<String> {
    let options: Vec<_> = match call.method.uploads() {
        true => Vec::new(),
        false => call.parameters.iter().filter(|parameter| !parameter.positional).map(name).collect(),
    };
    if let Some(taken) = call.parameters.iter().map(name).find(|name| CALL_OPTIONS.contains(&name.as_str())) {
        bail!("{}: in Node `{taken}` is an option of every call", call.method.path);
    }
    let errors = errors(contract, &call.answer.full_name, &mut Vec::new())?;
    let errors = if errors.is_empty() { String::new() } else { format!(", {}", serde_json::to_string(&errors)?) };
    let options = serde_json::to_string(&options)?;
    Ok(format!("method({:?}, {options}{errors})", native::export(api, call)))
}

fn name(parameter: &Parameter<'_>) -> String {
    property(&parameter.member)
}

fn method(call: &Call<'_>) -> String {
    let function = function(call.method);
    let positional: String = call.positional().map(|parameter| name(parameter) + ", ").collect();
    let (caller, parameters, request) = match call.method.shape {
        // The options last: this is the form that V8 copies quickly. A positional name is no option.
        Shape::Unary => ("unary", positional.as_str(), format!("{{ {positional}...options }}")),
        Shape::ServerStream => ("serverStream", positional.as_str(), format!("{{ {positional}...options }}")),
        Shape::ClientStream => ("clientStream", "requests, ", "requests".into()),
        Shape::Duplex => ("duplex", "requests, ", "requests".into()),
    };
    format!(
        "  {function}({parameters}options) {{\n    return this.{caller}(METHODS.{function}, {request}, options);\n  }}\n"
    )
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
