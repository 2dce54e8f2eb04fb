//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

use super::mask::mask;
use super::source::Source;

/// Why a configuration was refused: the stable code of a [`Diagnostic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// `config.not_found`
    NotFound,
    /// `config.unreadable`
    Unreadable,
    /// `config.too_large`
    TooLarge,
    /// `config.not_text`
    NotText,
    /// `config.unsupported_format`
    UnsupportedFormat,
    /// `config.ambiguous`
    Ambiguous,
    /// `config.empty`
    Empty,
    /// `config.syntax`
    Syntax,
    /// `config.too_deep`
    TooDeep,
    /// `config.unsupported_yaml`
    UnsupportedYaml,
    /// `config.duplicate_key`
    DuplicateKey,
    /// `config.unknown_key`
    UnknownKey,
    /// `config.missing_key`
    MissingKey,
    /// `config.wrong_type`
    WrongType,
    /// `config.invalid_value`
    InvalidValue,
    /// `config.unknown_type`
    UnknownType,
    /// `config.variable_syntax`
    VariableSyntax,
    /// `config.unresolved_variable`
    UnresolvedVariable,
    /// `config.conflict`
    Conflict,
    /// `config.token_required`
    TokenRequired,
}

impl Reason {
    /// Every reason, in the order in which a file is checked.
    pub const ALL: [Self; 20] = [
        Self::NotFound,
        Self::Unreadable,
        Self::TooLarge,
        Self::NotText,
        Self::UnsupportedFormat,
        Self::Ambiguous,
        Self::Empty,
        Self::Syntax,
        Self::TooDeep,
        Self::UnsupportedYaml,
        Self::DuplicateKey,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::InvalidValue,
        Self::UnknownType,
        Self::VariableSyntax,
        Self::UnresolvedVariable,
        Self::Conflict,
        Self::TokenRequired,
    ];

    /// The code, such as `config.unknown_key`.
    pub const fn code(self) -> &'static str {
        self.facts().0
    }

    /// What it means and what to do about it, for people.
    pub const fn explanation(self) -> &'static str {
        self.facts().1
    }

    const fn facts(self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound => {
                ("config.not_found", "The configuration file that was named does not exist. Check the path.")
            }
            Self::Unreadable => (
                "config.unreadable",
                "The configuration is not a regular file that this user may read. A folder, a pipe or a device is refused.",
            ),
            Self::TooLarge => (
                "config.too_large",
                "A configuration file has at most 1 MiB, and its variables expand to at most 4 MiB. Nothing beyond that is read.",
            ),
            Self::NotText => (
                "config.not_text",
                "The configuration file holds bytes that are not UTF-8 text. Check that the path names the right file and save it as UTF-8.",
            ),
            Self::UnsupportedFormat => (
                "config.unsupported_format",
                "The file is a configuration, but in a format that this version does not read. Configurations are YAML, or JSON, which is a subset of it.",
            ),
            Self::Ambiguous => (
                "config.ambiguous",
                "One folder holds several files that could be the configuration. Keep one, or name one with --config.",
            ),
            Self::Empty => (
                "config.empty",
                "The file sets nothing. To run without a configuration, do not name one; an empty file is more likely an accident.",
            ),
            Self::Syntax => {
                ("config.syntax", "The file is not well-formed YAML. The text cannot be read beyond the place shown.")
            }
            Self::TooDeep => ("config.too_deep", "Lists and mappings are nested deeper than any configuration needs."),
            Self::UnsupportedYaml => (
                "config.unsupported_yaml",
                "Anchors, aliases, merge keys, tags, directives, keys that are not text and several documents in one file are refused: each hides what the configuration says. Write the value out.",
            ),
            Self::DuplicateKey => (
                "config.duplicate_key",
                "A key stands twice in one mapping, so one of the two values would be ignored. Remove one.",
            ),
            Self::UnknownKey => (
                "config.unknown_key",
                "There is no such setting here. Keys are checked strictly, so that a misspelt one does not silently leave a default in force.",
            ),
            Self::MissingKey => ("config.missing_key", "A setting that has no default is not there."),
            Self::WrongType => (
                "config.wrong_type",
                "The value is of another type than the setting: text instead of a number, a list instead of a mapping, or nothing at all.",
            ),
            Self::InvalidValue => {
                ("config.invalid_value", "The value has the right type, but the setting does not allow it.")
            }
            Self::UnknownType => (
                "config.unknown_type",
                "No component of this type is part of this build. `pillion schema` lists those that are.",
            ),
            Self::VariableSyntax => (
                "config.variable_syntax",
                "Text that begins with `${` is not a variable. The forms are ${NAME}, ${NAME:-default} and ${NAME:?message}; write $${ for the characters themselves. Variables stand in values, not in keys.",
            ),
            Self::UnresolvedVariable => (
                "config.unresolved_variable",
                "An environment variable that the configuration needs is not set. Set it, or give a default with ${NAME:-default}.",
            ),
            Self::Conflict => ("config.conflict", "Two settings exclude each other. Remove one of them."),
            Self::TokenRequired => (
                "config.token_required",
                "The runtime would be reachable from other machines, and everybody there could use it. Set security.token or security.token_file, or listen on 127.0.0.1.",
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A place in the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn at(start: usize) -> Self {
        Self { start, end: start }
    }
}

/// A line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Position {
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    reason: Reason,
    message: String,
    span: Option<Span>,
    label: Option<String>,
    advice: Vec<Advice>,
}

/// A line below the excerpt.
#[derive(Clone, Debug)]
enum Advice {
    Note(String),
    Help(String),
}

impl Diagnostic {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), span: None, label: None, advice: Vec::new() }
    }

    #[must_use]
    pub(crate) fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// What stands beside the caret.
    #[must_use]
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.advice.push(Advice::Note(note.into()));
        self
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.advice.push(Advice::Help(help.into()));
        self
    }

    /// Why, as a stable code.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What is wrong, in one sentence. It never repeats the value of a variable.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Everything that is wrong with one configuration, in the order of the file; never empty.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    source: Option<Source>,
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(source: Option<Source>, mut items: Vec<Diagnostic>) -> Self {
        items.sort_by_key(|item| item.span);
        Self { source, items }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// Where one of them is, if it is about a place.
    pub fn position(&self, item: &Diagnostic) -> Option<Position> {
        Some(Position::of(&self.source.as_ref()?.text, item.span?.start))
    }

    /// For people: each with the line it is about, a caret and advice; with ANSI colours if
    /// `color`. Values that look like secrets are masked.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let reports: Vec<_> = self.items.iter().map(|item| self.render_one(&renderer, item)).collect();
        reports.join("\n\n")
    }

    fn render_one(&self, renderer: &Renderer, item: &Diagnostic) -> String {
        let excerpt = self.source.as_ref().zip(item.span).map(|(source, span)| Excerpt::of(&source.text, span));
        let mut elements: Vec<Element<'_>> = Vec::new();
        if let (Some(source), Some(excerpt)) = (&self.source, &excerpt) {
            let annotation = AnnotationKind::Primary.span(excerpt.mark.clone()).label(item.label.as_deref());
            let snippet = Snippet::source(&*excerpt.line).line_start(excerpt.number).path(&*source.name);
            elements.push(snippet.annotation(annotation).into());
        }
        elements.extend(item.advice.iter().map(|advice| match advice {
            Advice::Note(note) => Level::NOTE.message(note).into(),
            Advice::Help(help) => Level::HELP.message(help).into(),
        }));
        let title = Level::ERROR.primary_title(&*item.message).id(item.reason.code());
        renderer.render(&[title.elements(elements)])
    }

    /// For programs: `{"errors": [{reason, message, file, line, column, end, label, notes, help}]}`;
    /// members without a value are left out. `end` is the `{line, column}` after the last character.
    pub fn to_json(&self) -> serde_json::Value {
        let errors: Vec<_> = self.items.iter().map(|item| self.item_to_json(item)).collect();
        serde_json::json!({ "errors": errors })
    }

    fn item_to_json(&self, item: &Diagnostic) -> serde_json::Value {
        let mut json = serde_json::json!({ "reason": item.reason.code(), "message": item.message });
        if let Some(source) = &self.source {
            json["file"] = (*source.name).into();
            if let Some(span) = item.span {
                let start = Position::of(&source.text, span.start);
                let end = Position::of(&source.text, span.end);
                json["line"] = start.line.into();
                json["column"] = start.column.into();
                json["end"] = serde_json::json!({ "line": end.line, "column": end.column });
            }
        }
        if let Some(label) = &item.label {
            json["label"] = label.as_str().into();
        }
        for advice in &item.advice {
            let (list, text) = match advice {
                Advice::Note(note) => ("notes", note),
                Advice::Help(help) => ("help", help),
            };
            match json.get_mut(list).and_then(serde_json::Value::as_array_mut) {
                Some(list) => list.push(text.as_str().into()),
                None => json[list] = serde_json::json!([text]),
            }
        }
        json
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// The one line of the text that a diagnostic shows, secrets masked.
struct Excerpt {
    line: String,
    number: usize,
    mark: Range<usize>,
}

impl Excerpt {
    fn of(text: &str, span: Span) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let from = (before.len() - start).min(line.len());
        let to = span.end.saturating_sub(start).clamp(from, line.len());
        Self { line: mask(line), number: Position::of(text, before.len()).line, mark: from..to }
    }
}
