//! Node: the native half in Rust, and the classes, types and documentation that JavaScript sees.

mod error;
mod native;
mod scope;
mod script;
mod table;
mod types;

use anyhow::Result;
use heck::ToLowerCamelCase;

use super::binding::{Binding, Member};
use super::ir::{Contract, Method};
use super::{Compiled, Files};

/// Emits `sdk-node/{src/gen, lib/gen, driver/gen}`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let binding = Binding::of(contract)?;
    let scope = scope::Scope::of(&binding)?;
    let mut files = Files::new();
    files.extend(native::emit(&binding, &scope)?);
    files.extend(script::emit(&binding, &scope)?);
    files.extend(types::emit(&binding, &scope)?);
    files.extend(error::emit(contract)?);
    files.extend(table::emit(&binding, &scope)?);
    Ok(files)
}

/// `keepTtl`: the name of a member in JavaScript.
fn property(member: &Member<'_>) -> String {
    match member {
        Member::Field(field) => field.json_name.clone(),
        Member::Oneof(oneof) => oneof.name.to_lower_camel_case(),
    }
}

/// `getMany`: the name of a method in JavaScript.
fn function(method: &Method) -> String {
    method.name.to_lower_camel_case()
}

/// A source with the mark of generated ones.
fn source(code: String) -> Vec<u8> {
    let code = code.trim_end();
    format!("// {}\n\n{code}\n", super::MARK).into_bytes()
}

/// A comment of TSDoc, indented; nothing for an empty text.
fn comment(text: &str, indent: &str) -> String {
    let text = respelled(text);
    let text = text.trim_end();
    match text.lines().count() {
        0 => String::new(),
        1 => format!("{indent}/** {text} */\n"),
        _ => {
            let lines: String =
                text.lines().map(|line| format!("{indent} * {line}").trim_end().to_owned() + "\n").collect();
            format!("{indent}/**\n{lines}{indent} */\n")
        }
    }
}

/// The comment of a proto as JavaScript would have it: `next_page_token` is `nextPageToken` there.
fn respelled(text: &str) -> String {
    let mut parts: Vec<String> = text.split('`').map(str::to_owned).collect();
    for code in parts.iter_mut().skip(1).step_by(2) {
        let name = code.contains('_') && code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        if name {
            *code = code.to_lower_camel_case();
        }
    }
    parts.join("`").replace("*/", "*\u{200b}/")
}
