//! The error tables.

use std::fmt::Write;

use anyhow::Result;
use heck::ToUpperCamelCase;

use super::ir::{Contract, Reason};
use super::rust::doc;
use super::{Compiled, Files, format};

/// Emits `proto/src/gen/errors.rs`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let mut code = String::from("use crate::error::Category;\npub use crate::common::v1::Reason;\n");
    writeln!(code, "/// Every reason, in the order of the table.\npub static REASONS: &[Reason] = &[")?;
    for reason in &contract.reasons {
        writeln!(code, "Reason::{},", variant(reason))?;
    }
    writeln!(code, "];\nimpl Reason {{")?;
    column(
        contract,
        &mut code,
        "/// The code that users see: `state.etag_mismatch`.",
        "name",
        "&'static str",
        |reason| format!("{:?}", reason.name),
    )?;
    column(contract, &mut code, "/// The kind of failure.", "category", "Category", |reason| {
        format!("Category::{}", reason.category.to_lowercase().to_upper_camel_case())
    })?;
    column(contract, &mut code, "/// The canonical gRPC status code.", "grpc_code", "i32", |reason| {
        reason.grpc.to_string()
    })?;
    column(contract, &mut code, "/// The HTTP status.", "http_status", "u16", |reason| reason.http.to_string())?;
    column(contract, &mut code, "/// Whether trying again later may succeed.", "retryable", "bool", |reason| {
        reason.retryable.to_string()
    })?;
    column(contract, &mut code, "/// What to do next.", "advice", "&'static str", |reason| {
        format!("{:?}", reason.advice)
    })?;
    column(contract, &mut code, "/// What it means.", "meaning", "&'static str", |reason| {
        format!("{:?}", reason.doc.replace('\n', " "))
    })?;
    writeln!(code, "/// The reason of this code.\npub fn from_name(name: &str) -> Option<Self> {{ match name {{")?;
    for reason in &contract.reasons {
        writeln!(code, "{:?} => Some(Self::{}),", reason.name, variant(reason))?;
    }
    writeln!(code, "_ => None }} }} }}\nimpl Category {{")?;
    for (text, name, result, value) in [
        (
            "The gRPC status code of reasons that do not say another.",
            "grpc_code",
            "i32",
            (|rules| rules.grpc) as fn(&super::ir::CategoryRules) -> i32,
        ),
        ("The HTTP status of reasons that do not say another.", "http_status", "u16", |rules| rules.http),
    ] {
        writeln!(code, "{}pub const fn {name}(self) -> {result} {{ match self {{", doc(text))?;
        for category in &contract.categories {
            writeln!(
                code,
                "Self::{} => {},",
                category.name.to_lowercase().to_upper_camel_case(),
                value(&category.rules)
            )?;
        }
        writeln!(code, "}} }}")?;
    }
    writeln!(code, "}}")?;
    Ok(Files::from([("proto/src/gen/errors.rs".into(), format(&code)?)]))
}

fn column(
    contract: &Contract,
    code: &mut String,
    comment: &str,
    name: &str,
    result: &str,
    value: impl Fn(&Reason) -> String,
) -> Result<()> {
    writeln!(code, "{comment}\npub const fn {name}(self) -> {result} {{ match self {{")?;
    for reason in &contract.reasons {
        writeln!(code, "Self::{} => {},", variant(reason), value(reason))?;
    }
    writeln!(code, "}} }}")?;
    Ok(())
}

/// `StateEtagMismatch`, as prost names it.
fn variant(reason: &Reason) -> String {
    reason.constant.to_lowercase().to_upper_camel_case()
}
