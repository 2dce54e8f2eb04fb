//! The classes of errors.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use heck::ToUpperCamelCase;

use super::super::Files;
use super::super::ir::{Category, Contract};
use super::{comment, source};

/// Emits `sdk-node/lib/gen/errors.{js,d.ts}`.
pub fn emit(contract: &Contract) -> Result<Files> {
    let folder = Path::new("sdk-node/lib/gen");
    let mut files = Files::new();
    files.insert(folder.join("errors.js"), source(script(contract)?));
    files.insert(folder.join("errors.d.ts"), source(types(contract)?));
    Ok(files)
}

/// The categories that errors can have.
fn categories(contract: &Contract) -> impl Iterator<Item = &Category> {
    contract.categories.iter().filter(|category| category.name != "UNSPECIFIED")
}

/// `NotFoundError`.
fn class(category: &Category) -> String {
    format!("{}Error", category.name.to_upper_camel_case())
}

fn script(contract: &Contract) -> Result<String> {
    let mut code = String::from("\"use strict\";\n\nconst { PillionError, category } = require(\"../error.js\");\n");
    for found in categories(contract) {
        writeln!(code, "\nclass {} extends PillionError {{}}", class(found))?;
        writeln!(code, "category({}, {:?});", class(found), found.name.to_lowercase())?;
    }
    writeln!(code)?;
    for found in categories(contract) {
        writeln!(code, "exports.{0} = {0};", class(found))?;
    }
    Ok(code)
}

fn types(contract: &Contract) -> Result<String> {
    let mut code = String::from("import type { PillionError } from \"../error.js\";\n");
    for found in categories(contract) {
        writeln!(code, "\n{}export declare class {} extends PillionError {{", comment(&found.doc, ""), class(found))?;
        writeln!(code, "  readonly category: {:?};\n}}", found.name.to_lowercase())?;
    }
    let names: Vec<_> = categories(contract).map(|found| format!("{:?}", found.name.to_lowercase())).collect();
    writeln!(code, "\n/** What kind of failure it was. There is a class for each. */")?;
    writeln!(code, "export type Category = {};", names.join(" | "))?;
    writeln!(
        code,
        "\n/**\n * The codes of errors. A newer runtime may have others, so any string is allowed; those that are known\n * are completed by editors.\n */\nexport type Reason =\n  | (string & {{}})"
    )?;
    for reason in contract.reasons.iter().filter(|reason| reason.name.contains('.')) {
        write!(code, "{}", comment(&reason.doc, "  "))?;
        writeln!(code, "  | {:?}", reason.name)?;
    }
    Ok(code.trim_end().to_owned() + ";\n")
}
