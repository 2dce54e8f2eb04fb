//! Swift: checked as text, since this machine has no compiler for it.
//!
//! What UniFFI makes of the built library is read beside what the package has: whatever the one calls, the
//! other must declare, with the same labels in the same order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use heck::{ToLowerCamelCase, ToUpperCamelCase};

use super::library;
use crate::codegen::ir::{Contract, Service};
use crate::codegen::{self, uniffi};
use crate::repository;
use crate::step::{command, quiet};

const PACKAGE: &str = "sdk-ffi/swift";

/// Reads the package beside the bridge that the generator in `programs` makes for the built library.
pub fn test(programs: &Path) -> Result<()> {
    let made = tempfile::tempdir()?;
    let mut bindgen = command(programs.join("pillion-ffi-bindgen"), &["swift"])?;
    bindgen.arg(library(programs, "pillion_ffi")?).arg(made.path());
    quiet("pillion-ffi-bindgen swift", bindgen)?;
    let bridge = fs::read_to_string(made.path().join("Pillion.swift"))?;
    let header = fs::read_to_string(made.path().join("PillionFFI.h"))?;
    let package = repository()?.join(PACKAGE);
    let mut sources = BTreeMap::new();
    for entry in fs::read_dir(package.join("Sources/Pillion"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sources.insert(name, fs::read_to_string(&path)?);
    }
    let contract = codegen::contract()?;

    for (name, text) in sources.iter().chain([(&"the bridge".to_owned(), &bridge)]) {
        balanced(&code(text)).with_context(|| name.clone())?;
    }
    let (apis, errors) = (file(&sources, "Apis.swift")?, file(&sources, "Errors.swift")?);
    let mut methods = 0;
    for service in contract.services.iter().filter(|service| service.feature.is_none()) {
        methods += every_method(service, apis).with_context(|| service.name.clone())?;
    }
    let (messages, enums) = every_type(&contract, &bridge)?;
    every_error(&contract, errors)?;
    names(apis)?;
    let made: String = sources.values().map(|text| code(text)).collect();
    let calls = declared(&made, &code(&bridge))?;
    manifest(&fs::read_to_string(package.join("Package.swift"))?, &header)?;
    println!("── Swift as text: {methods} methods, {messages} messages, {enums} enums, {calls} calls of the bridge");
    Ok(())
}

fn file<'a>(sources: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str> {
    Ok(sources.get(name).with_context(|| format!("there is no {name}"))?)
}

/// The text without comments and with empty strings.
fn code(text: &str) -> String {
    let (mut code, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['"', '/']) {
        let (before, from) = rest.split_at(at);
        code.push_str(before);
        let end = if let Some(text) = from.strip_prefix("\"\"\"") {
            text.find("\"\"\"").map(|end| end + 6)
        } else if let Some(text) = from.strip_prefix('"') {
            let mut escaped = false;
            let end = text.find(|letter| match (letter, escaped) {
                ('"', false) => true,
                _ => {
                    escaped = letter == '\\' && !escaped;
                    false
                }
            });
            end.map(|end| end + 2)
        } else if from.starts_with("//") {
            from.find('\n')
        } else if from.starts_with("/*") {
            from.find("*/").map(|end| end + 2)
        } else {
            code.push('/');
            Some(1)
        };
        if from.starts_with('"') {
            code.push_str("\"\"");
        }
        rest = &from[end.unwrap_or(from.len())..];
    }
    code + rest
}

/// Whether what is opened is closed.
fn balanced(code: &str) -> Result<()> {
    let mut open = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for letter in line.chars() {
            match letter {
                '(' => open.push(')'),
                '[' => open.push(']'),
                '{' => open.push('}'),
                ')' | ']' | '}' => {
                    ensure!(open.pop() == Some(letter), "line {}: `{letter}` closes nothing", number + 1);
                }
                _ => {}
            }
        }
    }
    ensure!(open.is_empty(), "{} brackets are not closed", open.len());
    Ok(())
}

/// Every method is there, is awaited and may throw, and its comment shows the call.
fn every_method(service: &Service, apis: &str) -> Result<usize> {
    let head = format!("public struct {}Api: Sendable {{", service.stem());
    let (_, api) = apis.split_once(&head).with_context(|| format!("there is no `{head}`"))?;
    let api = api.split("\n}\n").next().unwrap_or_default();
    for method in &service.methods {
        let name = method.name.to_lower_camel_case();
        let (before, after) =
            api.split_once(&format!("public func {name}(")).with_context(|| format!("there is no func `{name}`"))?;
        let signature = after.split(" {\n").next().unwrap_or_default();
        ensure!(signature.contains(") async throws -> "), "`{name}` is not `async throws`");
        let comment = before.rsplit("\n\n").next().unwrap_or_default();
        let call = format!("/// try await p.apis.{}.{name}(", service.block);
        ensure!(comment.contains(&call), "the comment of `{name}` does not show its call");
        ensure!(comment.contains("- Throws: "), "the comment of `{name}` does not say what it throws");
        ensure!(!method.streams() || signature.contains("-> AnswerStream<"), "`{name}` gives no AsyncSequence");
    }
    Ok(service.methods.len())
}

/// Every message and enum is a type of the bridge, with its fields and values.
fn every_type(contract: &Contract, bridge: &str) -> Result<(usize, usize)> {
    let reach = uniffi::Reach::of(contract, contract.services.iter())?;
    for message in &reach.messages {
        let name = uniffi::record(message);
        let body = body(bridge, &format!("public struct {name}: "))?;
        for field in message.fields.iter().filter(|field| field.oneof.is_none()) {
            let field = field.name.to_lower_camel_case();
            let declared = [format!("public let {field}: "), format!("public let `{field}`: ")];
            ensure!(declared.iter().any(|declared| body.contains(declared)), "`{name}` has no `{field}`");
        }
    }
    for found in &reach.enums {
        let name = uniffi::enum_name(found);
        let body = body(bridge, &format!("public enum {name}: "))?;
        for value in &found.values {
            let value = uniffi::variant(value).to_lower_camel_case();
            let declared = [format!("case {value}\n"), format!("case `{value}`\n")];
            ensure!(declared.iter().any(|declared| body.contains(declared)), "`{name}` has no case `{value}`");
        }
    }
    Ok((reach.messages.len(), reach.enums.len()))
}

fn body<'a>(bridge: &'a str, head: &str) -> Result<&'a str> {
    let (_, body) = bridge.split_once(head).with_context(|| format!("the bridge has no `{head}`"))?;
    Ok(body.split("\n}\n").next().unwrap_or_default())
}

/// Every category is a case, to and fro.
fn every_error(contract: &Contract, errors: &str) -> Result<()> {
    for category in contract.categories.iter().filter(|category| category.name != "UNSPECIFIED") {
        let case = category.name.to_lower_camel_case();
        for wanted in [
            format!("    case {case}(ErrorInfo)\n"),
            format!("        case .{case}: self = .{case}(info)\n"),
            format!(".{case}(let info)"),
        ] {
            ensure!(errors.contains(&wanted), "Errors.swift has no `{}`", wanted.trim());
        }
    }
    Ok(())
}

/// Names are Swift's: types begin with a capital, the rest does not, and nothing has an underscore within.
fn names(apis: &str) -> Result<()> {
    let code = code(apis);
    for (kind, capital) in [("func ", false), ("var ", false), ("struct ", true)] {
        for name in code.split(kind).skip(1).filter_map(|rest| rest.split(['(', ':', ' ']).next()) {
            let wanted = if capital { name.to_upper_camel_case() } else { name.to_lower_camel_case() };
            ensure!(name.trim_matches('`') == wanted.as_str(), "`{name}` should be `{wanted}`");
        }
    }
    Ok(())
}

/// Whatever the sources make or call of the bridge is declared there with the same labels. Gives how many.
fn declared(sources: &str, bridge: &str) -> Result<usize> {
    let mut found = BTreeSet::new();
    for line in bridge.split("func ").skip(1) {
        let (name, rest) = line.split_once('(').unwrap_or_default();
        found.insert((name.trim_matches('`').to_owned(), labels(rest)));
    }
    for kind in ["public struct ", "open class "] {
        for rest in bridge.split(kind).skip(1) {
            let name = rest.split([':', ' ']).next().unwrap_or_default();
            let own = rest.split("\n}\n").next().unwrap_or_default();
            for init in own.split(" init(").skip(1) {
                found.insert((name.to_owned(), labels(init)));
            }
        }
    }
    let defaults = |name: &str, given: &[String]| {
        found.iter().any(|(known, labels)| {
            // Those with a default may be left out, but none may stand elsewhere.
            let mut rest = labels.iter();
            known == name && given.iter().all(|label| rest.any(|known| known == label))
        })
    };
    let known: BTreeSet<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    let mut calls = 0;
    for (at, _) in sources.match_indices('(') {
        let (before, rest) = (&sources[..at], &sources[at + 1..]);
        let start = before.rfind(|letter: char| !letter.is_alphanumeric()).map_or(0, |at| at + 1);
        let name = &before[start..];
        let is_call = before[..start].ends_with("ffi.")
            || before[..start].ends_with("FfiRuntime.")
            || (name.starts_with(char::is_uppercase) && known.contains(name) && !before[..start].ends_with("func "));
        if !is_call || name.is_empty() {
            continue;
        }
        let given = labels(rest);
        if !defaults(name, &given) {
            bail!("`{name}({}:)` is called and the bridge does not declare it", given.join(":"));
        }
        calls += 1;
    }
    ensure!(calls > 0, "nothing of the bridge is called");
    Ok(calls)
}

/// The labels of the arguments or parameters from here to the closing bracket.
fn labels(text: &str) -> Vec<String> {
    let (mut depth, mut labels, mut part) = (0, Vec::new(), String::new());
    let end = |part: &mut String, labels: &mut Vec<String>| {
        if let Some((label, _)) = part.split_once(':') {
            labels.push(label.trim().trim_matches('`').split(' ').next().unwrap_or_default().to_owned());
        }
        part.clear();
    };
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                end(&mut part, &mut labels);
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            part.push(letter);
        }
    }
    end(&mut part, &mut labels);
    labels
}

/// The manifest names what UniFFI makes, and has the place for the checksum of a release.
fn manifest(manifest: &str, header: &str) -> Result<()> {
    let settings = fs::read_to_string(repository()?.join("sdk-ffi/uniffi.toml"))?;
    for (setting, target) in [("module_name", ".target(name: "), ("ffi_module_name", ".binaryTarget(name: ")] {
        let name = settings.split(&format!("\n{setting} = ")).nth(1).and_then(|rest| rest.lines().next());
        let name = name.with_context(|| format!("uniffi.toml has no `{setting}`"))?;
        ensure!(manifest.contains(&format!("{target}{name}")), "Package.swift has no `{target}{name}`");
    }
    ensure!(manifest.starts_with("// swift-tools-version: "), "Package.swift does not begin with its version of Swift");
    let checksum = manifest.split("let checksum = \"").nth(1).and_then(|rest| rest.split('"').next());
    let checksum = checksum.context("Package.swift has no place for a checksum")?;
    ensure!(checksum.len() == 64 && checksum.chars().all(|digit| digit.is_ascii_hexdigit()), "`{checksum}` is none");
    let version = format!("/v{}/", env!("CARGO_PKG_VERSION"));
    ensure!(manifest.contains(&version), "Package.swift is not of the version {version}");
    balanced(&code(manifest))?;
    ensure!(header.contains("uniffi_pillion_ffi_fn_method_ffistate_get("), "the header has no `get` of a store");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(code("a /* ( */ b // (\nc \"\\\"(\" d / e"), "a  b \nc \"\" d / e");
        assert!(balanced("f(a[1]) { }").is_ok());
        assert!(balanced("f(a[1)]").is_err());
        assert!(balanced("f(").is_err());
    }

    #[test]
    fn what_is_called_is_declared_with_its_labels_in_their_order() {
        let bridge = "public struct Point: Equatable {\n    public init(x: Int = 0, y: [Int: Int]) {\n}\n}\n
            open func next(cancel: FfiCancel?) async throws";
        assert_eq!(declared("Point(x: 1, y: [:]); Point(y: f(a: 1)); ffi.next(cancel: nil)", bridge).unwrap(), 3);
        assert!(declared("Point(y: [:], x: 1)", bridge).is_err());
        assert!(declared("Point(z: 1)", bridge).is_err());
        assert!(declared("ffi.last(cancel: nil)", bridge).is_err());
    }
}
