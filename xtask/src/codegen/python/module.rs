//! The Python modules of types, and their stubs.

use std::fmt::Write;

use anyhow::Result;

use super::super::Files;
use super::super::binding::{Binding, COMMON, Member, Module, members};
use super::super::ir::{Enum, Message};
use super::name::{self, Direction, docstring};
use super::{PACKAGE, TESTS, python, shipped};

/// Emits `types/<block>.{py,pyi}`, or a module beside the tests.
pub fn emit(binding: &Binding<'_>, module: &Module<'_>) -> Result<Files> {
    let path = if shipped(binding, module) {
        format!("{PACKAGE}/types/{}", module.block)
    } else {
        format!("{TESTS}/pillion_{}", module.block)
    };
    Ok(Files::from([
        (format!("{path}.py").into(), python(&source(module)?)),
        (format!("{path}.pyi").into(), python(&stub(binding, module)?)),
    ]))
}

fn about(module: &Module<'_>) -> String {
    match module.block {
        COMMON => "\"\"\"Types that building blocks share.\"\"\"\n".into(),
        block => format!("\"\"\"Types of the building block `{block}`.\"\"\"\n"),
    }
}

fn source(module: &Module<'_>) -> Result<String> {
    let mut code = about(module);
    code.push_str("\nfrom pillion import _native\n");
    if !module.enums.is_empty() {
        code.push_str("from pillion._enum import Enumeration\n");
    }
    code.push('\n');
    for message in &module.messages {
        writeln!(code, "{0} = _native.{1}.{0}", message.joined_name(), module.block)?;
    }
    for found in &module.enums {
        code.push_str("\n\n");
        enumeration(found, &mut code)?;
    }
    code.push_str(&all(module)?);
    Ok(code)
}

fn all(module: &Module<'_>) -> Result<String> {
    let mut names: Vec<_> = module.messages.iter().map(|message| message.joined_name()).collect();
    names.extend(module.enums.iter().map(|found| found.joined_name()));
    names.sort();
    let mut code = "\n\n__all__ = [\n".to_owned();
    for name in names {
        writeln!(code, "    {name:?},")?;
    }
    code.push_str("]\n");
    Ok(code)
}

fn enumeration(found: &Enum, code: &mut String) -> Result<()> {
    writeln!(code, "class {}(Enumeration):", found.joined_name())?;
    code.push_str(&docstring(&found.doc, 1));
    for value in &found.values {
        code.push('\n');
        writeln!(code, "    {} = {}", value.short, value.number)?;
        code.push_str(&docstring(&value.doc, 1));
    }
    Ok(())
}

/// The imports that any stub may need; unused ones cost nothing there.
pub const IMPORTS: &str = "from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, final

from pillion import PillionError
";

fn stub(binding: &Binding<'_>, module: &Module<'_>) -> Result<String> {
    let mut code = about(module);
    writeln!(code, "\n{IMPORTS}from pillion._enum import Enumeration")?;
    if module.block != COMMON {
        code.push_str("from pillion.types import common\n");
    }
    for message in &module.messages {
        class(binding, module, message, &mut code)?;
    }
    for found in &module.enums {
        code.push('\n');
        enumeration(found, &mut code)?;
    }
    code.push_str(&all(module)?);
    Ok(code)
}

fn class(binding: &Binding<'_>, module: &Module<'_>, message: &Message, code: &mut String) -> Result<()> {
    let (owner, here) = (message.joined_name(), Some(module.block));
    writeln!(code, "\n@final\nclass {owner}:")?;
    code.push_str(&docstring(&message.doc, 1));
    let members = members(message);
    for member in &members {
        let Member::Oneof(oneof) = member else { continue };
        for field in &oneof.fields {
            let kind = |direction| name::field(binding, here, field, direction);
            writeln!(code, "\n    @final\n    class {}:", field.variant())?;
            code.push_str(&docstring(&field.doc, 2));
            writeln!(
                code,
                "        __match_args__ = (\"value\",)\n        def __new__(cls, value: {}) -> {owner}.{}: ...\n        @property\n        def value(self) -> {}: ...\n        def __hash__(self) -> int: ...",
                kind(Direction::Taken)?,
                field.variant(),
                kind(Direction::Given)?,
            )?;
        }
    }
    let mut parameters = vec!["cls".to_owned()];
    if members.len() > 1 {
        parameters.push("*".into());
    }
    for member in &members {
        let kind = name::parameter(binding, here, &owner, member)?;
        parameters.push(format!("{}: {kind} = {}", name::python(member.name()), stub_default(member)));
    }
    writeln!(code, "\n    def __new__({}) -> {owner}: ...", parameters.join(", "))?;
    for member in &members {
        let kind = name::member(binding, here, &owner, member, Direction::Given)?;
        writeln!(code, "    @property\n    def {}(self) -> {kind}:", name::python(member.name()))?;
        let doc = docstring(&member.doc(), 2);
        code.push_str(if doc.is_empty() { "        ...\n" } else { &doc });
    }
    // Equality without a hash, as Python's own classes have it.
    code.push_str("    __hash__ = None  # type: ignore[assignment]\n");
    Ok(())
}

/// In a stub a number is no member of an enum, so its default stays open.
pub fn stub_default(member: &Member<'_>) -> &'static str {
    name::default(member)
}
