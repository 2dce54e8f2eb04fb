//! The promise to callers: what the committed baseline has, later contracts keep.

use std::path::Path;

use anyhow::{Context, Result, bail};
use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor};

use super::Compiled;

/// The descriptors to commit as a baseline.
pub fn of(compiled: &Compiled) -> Result<Vec<u8>> {
    Ok(compiled.bytes.clone())
}

/// Compares the contract with the baseline file, if there is one.
///
/// # Errors
/// Every broken promise, by name.
pub fn check(baseline: &Path, compiled: &Compiled) -> Result<()> {
    if !baseline.exists() {
        return Ok(());
    }
    let bytes = std::fs::read(baseline).with_context(|| format!("{}", baseline.display()))?;
    let problems = breaks(&DescriptorPool::decode(bytes.as_slice())?, &compiled.pool);
    if !problems.is_empty() {
        bail!("the contract breaks what callers rely on:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// What `new` takes away from those who rely on `old`.
fn breaks(old: &DescriptorPool, new: &DescriptorPool) -> Vec<String> {
    // The options are read by our generator alone.
    let ours = |package: &str| package.starts_with("pillion.") && !package.starts_with("pillion.options.");
    let mut problems = Vec::new();
    for message in old.all_messages().filter(|message| ours(message.package_name())) {
        match new.get_message_by_name(message.full_name()) {
            Some(found) => message_breaks(&message, &found, &mut problems),
            None => problems.push(format!("message {} was removed", message.full_name())),
        }
    }
    for descriptor in old.all_enums().filter(|descriptor| ours(descriptor.package_name())) {
        match new.get_enum_by_name(descriptor.full_name()) {
            Some(found) => enum_breaks(&descriptor, &found, &mut problems),
            None => problems.push(format!("enum {} was removed", descriptor.full_name())),
        }
    }
    for service in old.services().filter(|service| ours(service.package_name())) {
        match new.get_service_by_name(service.full_name()) {
            Some(found) => service_breaks(&service, &found, &mut problems),
            None => problems.push(format!("service {} was removed", service.full_name())),
        }
    }
    problems
}

fn message_breaks(old: &MessageDescriptor, new: &MessageDescriptor, problems: &mut Vec<String>) {
    for field in old.fields() {
        let name = field.full_name();
        let Some(found) = new.get_field_by_name(field.name()) else {
            problems.push(format!("field {name} was removed"));
            continue;
        };
        if found.number() != field.number() {
            problems.push(format!("field {name} was {} and is {}", field.number(), found.number()));
        }
        if (kind(&found), found.cardinality()) != (kind(&field), field.cardinality()) {
            problems.push(format!("field {name} changed its type"));
        }
        let oneof = |field: &FieldDescriptor| field.containing_oneof().map(|oneof| oneof.name().to_owned());
        if oneof(&found) != oneof(&field) {
            problems.push(format!("field {name} moved into or out of a oneof"));
        }
    }
}

/// What a field holds, comparable between two pools: descriptors are equal only within one.
fn kind(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(descriptor) => descriptor.full_name().to_owned(),
        plain => format!("{plain:?}"),
    }
}

fn enum_breaks(old: &EnumDescriptor, new: &EnumDescriptor, problems: &mut Vec<String>) {
    for value in old.values() {
        match new.get_value_by_name(value.name()) {
            None => problems.push(format!("{} of {} was removed", value.name(), old.full_name())),
            Some(found) if found.number() != value.number() => {
                problems.push(format!("{} was {} and is {}", value.name(), value.number(), found.number()));
            }
            Some(_) => {}
        }
    }
}

fn service_breaks(old: &ServiceDescriptor, new: &ServiceDescriptor, problems: &mut Vec<String>) {
    for method in old.methods() {
        let name = method.full_name();
        let Some(found) = new.methods().find(|candidate| candidate.name() == method.name()) else {
            problems.push(format!("method {name} was removed"));
            continue;
        };
        let shape = |method: &prost_reflect::MethodDescriptor| {
            (
                method.input().full_name().to_owned(),
                method.output().full_name().to_owned(),
                method.is_client_streaming(),
                method.is_server_streaming(),
            )
        };
        if shape(&found) != shape(&method) {
            problems.push(format!("method {name} changed what it takes or gives"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(source: &str) -> DescriptorPool {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.proto"), format!("syntax = \"proto3\"; package pillion.a.v1; {source}"))
            .unwrap();
        Compiled::of(folder.path()).unwrap().pool
    }

    const BASE: &str = "message M { string a = 1; optional int32 b = 2; oneof k { string c = 3; } M d = 4; E e = 5; map<string, M> f = 6; }
        enum E { E_UNSPECIFIED = 0; E_ONE = 1; }
        service S { rpc Do(M) returns (M); }";

    #[test]
    fn what_only_adds_breaks_nothing() {
        let more =
            BASE.replace("string a = 1;", "string a = 1; string z = 9;").replace("E_ONE = 1;", "E_ONE = 1; E_TWO = 2;");
        assert_eq!(breaks(&pool(BASE), &pool(&more)), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_break_is_named() {
        for (from, to, expected) in [
            ("string a = 1;", "", "field pillion.a.v1.M.a was removed"),
            ("string a = 1;", "string a = 7;", "field pillion.a.v1.M.a was 1 and is 7"),
            ("M d = 4;", "E d = 4;", "field pillion.a.v1.M.d changed its type"),
            ("string a = 1;", "bytes a = 1;", "field pillion.a.v1.M.a changed its type"),
            ("string a = 1;", "repeated string a = 1;", "field pillion.a.v1.M.a changed its type"),
            ("oneof k { string c = 3; }", "string c = 3;", "field pillion.a.v1.M.c moved into or out of a oneof"),
            ("E_ONE = 1;", "", "E_ONE of pillion.a.v1.E was removed"),
            ("E_ONE = 1;", "E_ONE = 2;", "E_ONE was 1 and is 2"),
            ("rpc Do(M) returns (M);", "", "method pillion.a.v1.S.Do was removed"),
            ("returns (M)", "returns (stream M)", "method pillion.a.v1.S.Do changed what it takes or gives"),
        ] {
            assert_eq!(breaks(&pool(BASE), &pool(&BASE.replace(from, to))), [expected], "{from} -> {to}");
        }
    }
}
