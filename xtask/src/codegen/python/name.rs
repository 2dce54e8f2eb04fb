//! Names and types as Python spells them.

use anyhow::Result;

use super::super::binding::{Binding, Member, Module};
use super::super::ir::{Field, Kind, Label};
use super::shipped;

const KEYWORDS: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield", "False", "None", "True",
];

/// A name; one that is a keyword has an underscore behind it.
pub fn python(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// `pillion.types.state`: where the types of a module are.
pub fn module(binding: &Binding<'_>, module: &Module<'_>) -> String {
    if shipped(binding, module) {
        format!("pillion.types.{}", module.block)
    } else {
        format!("pillion_{}", module.block)
    }
}

/// How a type of `full_name` is written in the stub of the module `here`.
pub fn class(binding: &Binding<'_>, here: Option<&str>, full_name: &str) -> Result<String> {
    let owner = binding.module_of(full_name)?;
    let name = match binding.contract.messages.get(full_name) {
        Some(message) => message.joined_name(),
        None => binding.enumeration(full_name)?.joined_name(),
    };
    Ok(if here == Some(owner.block) { name } else { format!("{}.{name}", owner.block) })
}

/// Whether values are read from Python, or shown to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Wide: whatever is understood.
    Taken,
    /// Narrow: what it is.
    Given,
}

/// The type of a field, without what its label says.
fn single(binding: &Binding<'_>, here: Option<&str>, kind: &Kind, direction: Direction) -> Result<String> {
    Ok(match kind {
        Kind::Bool => "bool".into(),
        Kind::I32 | Kind::I64 | Kind::U32 | Kind::U64 => "int".into(),
        Kind::F32 | Kind::F64 => "float".into(),
        Kind::String => "str".into(),
        Kind::Bytes if direction == Direction::Taken => "bytes | bytearray | memoryview".into(),
        Kind::Bytes => "bytes".into(),
        Kind::Timestamp => "datetime".into(),
        Kind::Duration if direction == Direction::Taken => "timedelta | float".into(),
        Kind::Duration => "timedelta".into(),
        Kind::Message(name) if name == super::super::binding::ERROR => "PillionError".into(),
        Kind::Message(name) | Kind::Enum(name) => class(binding, here, name)?,
    })
}

/// The type of a field.
pub fn field(binding: &Binding<'_>, here: Option<&str>, field: &Field, direction: Direction) -> Result<String> {
    let one = single(binding, here, &field.kind, direction)?;
    Ok(match (&field.label, direction) {
        (Label::Single, _) => one,
        (Label::Optional, _) => format!("{one} | None"),
        (Label::Repeated, Direction::Taken) => format!("Iterable[{one}]"),
        (Label::Repeated, Direction::Given) => format!("tuple[{one}, ...]"),
        (Label::Map(key), _) => {
            let key = single(binding, here, key, direction)?;
            format!("{}[{key}, {one}]", if direction == Direction::Taken { "Mapping" } else { "dict" })
        }
    })
}

/// The type of a member of the class `owner`.
pub fn member(
    binding: &Binding<'_>,
    here: Option<&str>,
    owner: &str,
    member: &Member<'_>,
    direction: Direction,
) -> Result<String> {
    match member {
        Member::Field(found) => field(binding, here, found, direction),
        Member::Oneof(oneof) => {
            let variants = oneof.fields.iter().map(|field| format!("{owner}.{}", field.variant()));
            Ok(variants.chain(["None".to_owned()]).collect::<Vec<_>>().join(" | "))
        }
    }
}

/// The default of a member, as Python writes it.
pub fn default(member: &Member<'_>) -> &'static str {
    let Member::Field(field) = member else { return "None" };
    match (&field.label, &field.kind) {
        (Label::Optional, _) => "None",
        (Label::Repeated, _) => "()",
        (Label::Map(_), _) => "{}",
        (Label::Single, Kind::Bool) => "False",
        (Label::Single, Kind::F32 | Kind::F64) => "0.0",
        (Label::Single, Kind::I32 | Kind::I64 | Kind::U32 | Kind::U64 | Kind::Enum(_)) => "0",
        (Label::Single, Kind::String) => "''",
        (Label::Single, Kind::Bytes) => "b''",
        (Label::Single, Kind::Timestamp | Kind::Duration | Kind::Message(_)) => "None",
    }
}

/// The type of a parameter, which also takes its default.
pub fn parameter(binding: &Binding<'_>, here: Option<&str>, owner: &str, found: &Member<'_>) -> Result<String> {
    let text = member(binding, here, owner, found, Direction::Taken)?;
    // A plain number stands for an enum's member that this version does not know.
    let number =
        matches!(found, Member::Field(field) if field.label == Label::Single && matches!(field.kind, Kind::Enum(_)));
    Ok(if number { format!("{text} | int") } else { text })
}

/// A comment as a docstring, indented by `depth` steps; nothing for none.
pub fn docstring(text: &str, depth: usize) -> String {
    if text.is_empty() {
        return String::new();
    }
    let indent = "    ".repeat(depth);
    let text = text.replace('\\', "\\\\").replace("\"\"\"", "'''");
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") });
    let body = lines.collect::<Vec<_>>().join("\n");
    let close = if text.contains('\n') { format!("\n{indent}") } else { String::new() };
    format!("{indent}\"\"\"{}{close}\"\"\"\n", body.trim_start())
}
