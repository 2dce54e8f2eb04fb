//! Kotlin, Swift and Ruby: the surface that UniFFI makes bindings of, and in each language the API
//! that programs see.
//!
//! There are two layers. [`rust`] writes records, enums and objects that UniFFI carries across; they
//! take a request as one record. [`kotlin`], [`ruby`] and [`swift`] write what programs call: the
//! fields of the request as parameters with the language's defaults, its exceptions, its streams.

mod kotlin;
mod ruby;
mod rust;
mod swift;

use std::collections::BTreeSet;

use anyhow::Result;
use heck::ToUpperCamelCase;

use super::binding::{Binding, Call, ERROR};
use super::ir::{Contract, Enum, EnumValue, Kind, Message, Service};
use super::{Compiled, Files, MARK};

/// Emits the generated part of `sdk-ffi`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let binding = Binding::of(contract)?;
    let mut files = rust::emit(&binding)?;
    files.extend(kotlin::emit(&binding)?);
    files.extend(ruby::emit(&binding)?);
    files.extend(swift::emit(&binding)?);
    Ok(files)
}

/// The name of a message's record.
pub fn record(message: &Message) -> String {
    // `Error` is taken in every one of the languages.
    if message.full_name == ERROR {
        "ErrorInfo".to_owned()
    } else {
        flat(&message.package, &message.parents, &message.name)
    }
}

/// The name of an enum.
pub fn enum_name(found: &Enum) -> String {
    flat(&found.package, &found.parents, &found.name)
}

/// The variant of an enum's value, `Strong`. Two words cannot be class names in Ruby.
pub fn variant(value: &EnumValue) -> String {
    match value.short.as_str() {
        "BEGIN" | "END" => value.short.to_upper_camel_case() + "Value",
        short => short.to_upper_camel_case(),
    }
}

/// `StateEntry`: there is one name space for the types of all blocks. Those that blocks share have no prefix.
fn flat(package: &str, parents: &[String], name: &str) -> String {
    let prefix = match package.split('.').nth(1) {
        None | Some("common") => String::new(),
        Some(block) => block.to_upper_camel_case(),
    };
    prefix + &parents.concat() + name
}

/// The record of the message of this full name.
fn record_of(contract: &Contract, full_name: &str) -> Result<String> {
    Ok(record(contract.message(full_name)?))
}

/// The name of a tagged union.
fn union_name(message: &Message, oneof: &str) -> String {
    record(message) + &oneof.to_upper_camel_case()
}

/// The object that carries a service's calls across: `FfiState`.
fn object(service: &Service) -> String {
    format!("Ffi{}", service.stem())
}

/// The object of a stream: `FfiStateWatch`.
fn stream_object(service: &Service, call: &Call<'_>) -> String {
    object(service) + &call.method.name
}

/// What users meet, and what only tests of Pillion itself do.
fn is_public(service: &Service) -> bool {
    service.feature.is_none()
}

/// Every message and enum that goes across, requests and errors included, in the order of their
/// names.
pub struct Reach<'a> {
    /// The messages.
    pub messages: Vec<&'a Message>,
    /// The enums.
    pub enums: Vec<&'a Enum>,
}

impl<'a> Reach<'a> {
    /// What the methods of these services carry.
    pub fn of(contract: &'a Contract, services: impl Iterator<Item = &'a Service>) -> Result<Self> {
        let mut messages = BTreeSet::from([ERROR]);
        let mut queue = vec![ERROR];
        for method in services.flat_map(|service| &service.methods) {
            for name in [method.input.as_str(), method.output.as_str()] {
                if messages.insert(name) {
                    queue.push(name);
                }
            }
        }
        let mut enums = BTreeSet::new();
        while let Some(name) = queue.pop() {
            for field in &contract.message(name)?.fields {
                match &field.kind {
                    Kind::Message(name) if messages.insert(name) => queue.push(name),
                    Kind::Enum(name) => {
                        enums.insert(name.as_str());
                    }
                    _ => {}
                }
            }
        }
        Ok(Self {
            messages: messages.into_iter().map(|name| contract.message(name)).collect::<Result<_>>()?,
            enums: enums.into_iter().map(|name| &contract.enums[name]).collect(),
        })
    }
}

/// Whether `message` holds itself, over however many steps.
fn is_recursive(contract: &Contract, message: &str, field: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut queue = vec![field];
    while let Some(name) = queue.pop() {
        if name == message {
            return true;
        }
        if !seen.insert(name) {
            continue;
        }
        let Ok(found) = contract.message(name) else { continue };
        queue.extend(found.fields.iter().filter_map(|field| match &field.kind {
            Kind::Message(name) => Some(name.as_str()),
            _ => None,
        }));
    }
    false
}

/// Marks a file whose comments begin with `comment`.
fn marked(comment: &str, code: &str) -> Vec<u8> {
    format!("{comment} {MARK}\n\n{}\n", code.trim_end()).into_bytes()
}
