//! The exceptions: one class per category, and the codes.

use std::fmt::Write;

use anyhow::Result;
use heck::ToUpperCamelCase;

use super::super::Files;
use super::super::ir::Contract;
use super::name::docstring;
use super::{PACKAGE, python};

/// What Python itself has for the same: programs that catch that catch ours.
const KIN: &[(&str, &str)] = &[("DEADLINE", "TimeoutError")];

/// Emits `_errors.py` and `reasons.py`.
pub fn emit(contract: &Contract) -> Result<Files> {
    Ok(Files::from([
        (format!("{PACKAGE}/_errors.py").into(), python(&classes(contract)?)),
        (format!("{PACKAGE}/reasons.py").into(), python(&reasons(contract)?)),
    ]))
}

fn classes(contract: &Contract) -> Result<String> {
    let mut code =
        "\"\"\"The exceptions that calls raise.\"\"\"\n\nfrom pillion._error import PillionError\n".to_owned();
    let (mut table, mut names) = (String::new(), vec!["PillionError".to_owned(), "of".to_owned()]);
    for category in contract.categories.iter().filter(|category| category.name != "UNSPECIFIED") {
        let name = format!("{}Error", category.name.to_lowercase().to_upper_camel_case());
        let kin =
            KIN.iter().find(|(of, _)| *of == category.name).map(|(_, kin)| format!(", {kin}")).unwrap_or_default();
        writeln!(code, "\n\nclass {name}(PillionError{kin}):\n{}", docstring(&category.doc, 1))?;
        writeln!(code, "    category = {:?}", category.name.to_lowercase())?;
        writeln!(table, "    {:?}: {name},", category.name.to_lowercase())?;
        names.push(name);
    }
    names.sort();
    writeln!(
        code,
        "\n\n_CLASSES: dict[str, type[PillionError]] = {{\n{table}}}\n\n\ndef of(category: str) -> type[PillionError]:\n    \"\"\"The class of a category; the base for one that this version does not know.\"\"\"\n    return _CLASSES.get(category, PillionError)\n\n\n# Programs find them there, so that is where tracebacks say they are.\nfor _class in _CLASSES.values():\n    _class.__module__ = \"pillion\"\n\n__all__ = ["
    )?;
    for name in names {
        writeln!(code, "    {name:?},")?;
    }
    code.push_str("]\n");
    Ok(code)
}

fn reasons(contract: &Contract) -> Result<String> {
    let mut code =
        "\"\"\"The codes of errors, for comparing with `PillionError.reason`.\"\"\"\n\nfrom typing import Final\n"
            .to_owned();
    for reason in &contract.reasons {
        let name = reason.name.to_uppercase().replace('.', "_");
        writeln!(code, "\n{name}: Final = {:?}\n{}", reason.name, docstring(&reason.doc, 0).trim_end())?;
    }
    Ok(code)
}
