//! Environment variables in values: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, and `$${`
//! for the characters `${` themselves.
//!
//! They are expanded in the parsed tree and never parsed again, so a value cannot change the shape
//! of the configuration.

use std::ffi::OsString;

use pillion_proto::Reason;

use super::diagnostic::{Diagnostic, Span};
use super::report::Report;
use super::source::Source;
use super::tree::{Expansion, Node, Scalar, Value};

/// The environment: the value of a variable, if it is set.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The most bytes that all variables of a file may expand to: one long variable, named often,
/// would otherwise fill the memory.
const MAX_EXPANDED_BYTES: usize = 4 << 20;

/// Expands the variables of all values. A value that cannot be expanded is reported and dismissed.
pub(crate) fn expand(source: &Source, root: &mut Node, environment: &Environment<'_>, report: &mut Report) {
    Expander { source, environment, report, room: MAX_EXPANDED_BYTES }.node(root);
}

struct Expander<'a> {
    source: &'a Source,
    environment: &'a Environment<'a>,
    report: &'a mut Report,
    room: usize,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node) {
        if !node.is_open() {
            return;
        }
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.node(&mut entry.node)),
            Value::Scalar(scalar) if scalar.text.contains("${") => match self.text(&scalar.text, node.span) {
                Some((text, expansion)) => *scalar = Scalar { text, plain: scalar.plain, expansion },
                None => {
                    node.dismiss();
                }
            },
            Value::Scalar(_) => {}
        }
    }

    /// The expanded text, unless a problem was reported.
    fn text(&mut self, text: &str, span: Span) -> Option<(String, Expansion)> {
        let mut expanded = String::with_capacity(text.len());
        let mut expansion = Expansion::None;
        let mut rest = text;
        // Where in the file to look for the next variable, to point at it and not at all of the value.
        let mut place = span;
        let mut failed = false;
        while let Some(dollar) = rest.find("${") {
            let (before, from) = rest.split_at(dollar);
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str("${");
                rest = &from[2..];
                continue;
            }
            expanded.push_str(before);
            let (body, after) = from[2..].split_once('}').unwrap_or((&from[2..], ""));
            let expression = &from[..from.len() - after.len()];
            let at = self.find(expression, &mut place);
            rest = after;
            match Variable::parse(expression, body).and_then(|variable| variable.resolve(self.environment)) {
                Ok((value, source)) => {
                    expanded.push_str(&value);
                    if expansion != Expansion::Environment {
                        expansion = source;
                    }
                }
                Err(problem) => {
                    self.report.add(problem.at(at));
                    failed = true;
                }
            }
            if expanded.len() > self.room {
                let message =
                    format!("the variables of this file expand to more than {} MiB", MAX_EXPANDED_BYTES >> 20);
                self.report.add(Diagnostic::new(Reason::ConfigTooLarge, message).at(at));
                return None;
            }
        }
        expanded.push_str(rest);
        self.room = self.room.saturating_sub(expanded.len());
        (!failed).then_some((expanded, expansion))
    }

    fn find(&self, expression: &str, place: &mut Span) -> Span {
        let searched = self.source.text.get(place.start..place.end).unwrap_or_default();
        // Escapes in quoted text can hide it; the whole value is shown then.
        match searched.find(expression) {
            Some(offset) => {
                let start = place.start + offset;
                let found = Span { start, end: start + expression.len() };
                place.start = found.end;
                found
            }
            None => *place,
        }
    }
}

struct Variable<'a> {
    name: &'a str,
    otherwise: Otherwise<'a>,
}

/// What to do if the variable is not set. Where something is given, an empty variable counts as
/// not set, as in a shell.
enum Otherwise<'a> {
    Fail,
    Default(&'a str),
    FailWith(&'a str),
}

impl<'a> Variable<'a> {
    fn parse(expression: &str, body: &'a str) -> Result<Self, Diagnostic> {
        let invalid = |message: &str| Diagnostic::new(Reason::ConfigVariableSyntax, message);
        if !expression.ends_with('}') {
            let refusal = invalid("this variable has no closing `}`");
            return Err(refusal.help("write `$${` if the characters themselves are meant"));
        }
        if body.contains("${") {
            return Err(invalid("variables cannot be nested"));
        }
        let end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
        let (name, operation) = body.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            let refusal = invalid("a variable's name has letters, digits and `_`, and begins with no digit");
            return Err(refusal.help("write `$${` if the characters themselves are meant"));
        }
        let otherwise = if operation.is_empty() {
            Otherwise::Fail
        } else if let Some(default) = operation.strip_prefix(":-") {
            Otherwise::Default(default)
        } else if let Some(message) = operation.strip_prefix(":?") {
            Otherwise::FailWith(message)
        } else {
            let refusal = invalid("this is no form of a variable");
            return Err(
                refusal.help(format!("the forms are `${{{name}}}`, `${{{name}:-default}}` and `${{{name}:?message}}`"))
            );
        };
        Ok(Self { name, otherwise })
    }

    fn resolve(self, environment: &Environment<'_>) -> Result<(String, Expansion), Diagnostic> {
        let name = self.name;
        let unresolved = |message: String| Diagnostic::new(Reason::ConfigUnresolvedVariable, message);
        let value = match environment(name).map(OsString::into_string) {
            None => None,
            Some(Ok(value)) => Some(value),
            Some(Err(_)) => return Err(unresolved(format!("the variable `{name}` is not UTF-8 text"))),
        };
        match (value, self.otherwise) {
            (Some(value), Otherwise::Fail) => Ok((value, Expansion::Environment)),
            (Some(value), _) if !value.is_empty() => Ok((value, Expansion::Environment)),
            (_, Otherwise::Default(default)) => Ok((default.to_owned(), Expansion::Defaults)),
            (_, Otherwise::FailWith(message)) => {
                Err(unresolved(format!("the variable `{name}` is not set: {message}")))
            }
            (_, Otherwise::Fail) => {
                let refusal = unresolved(format!("the variable `{name}` is not set"));
                Err(refusal.help(format!("set it, or give a default: `${{{name}:-default}}`")))
            }
        }
    }
}
