//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use pillion_proto::Reason;

use super::mask::mask;
use super::source::Source;

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

    /// Why; one of those that begin with `config.`.
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
        match (&self.source, &excerpt) {
            (Some(source), Some(Excerpt::Line { text, number, mark })) => {
                let annotation = AnnotationKind::Primary.span(mark.clone()).label(item.label.as_deref());
                let snippet = Snippet::source(&**text).line_start(*number).path(&*source.name);
                elements.push(snippet.annotation(annotation).into());
            }
            (Some(source), Some(Excerpt::TooLong(position))) => {
                let origin = Origin::path(&*source.name).line(position.line).char_column(position.column);
                elements.push(origin.into());
                elements.extend(item.label.as_ref().map(|label| Level::NOTE.message(label).into()));
            }
            _ => {}
        }
        elements.extend(item.advice.iter().map(|advice| match advice {
            Advice::Note(note) => Level::NOTE.message(note).into(),
            Advice::Help(help) => Level::HELP.message(help).into(),
        }));
        let title = Level::ERROR.primary_title(&*item.message).id(item.reason.name());
        renderer.render(&[title.elements(elements)])
    }

    /// For programs: `{"errors": [{reason, message, file, line, column, end, label, notes, help}]}`;
    /// members without a value are left out. `end` is the `{line, column}` after the last character.
    pub fn to_json(&self) -> serde_json::Value {
        let errors: Vec<_> = self.items.iter().map(|item| self.item_to_json(item)).collect();
        serde_json::json!({ "errors": errors })
    }

    fn item_to_json(&self, item: &Diagnostic) -> serde_json::Value {
        let mut json = serde_json::json!({ "reason": item.reason.name(), "message": item.message });
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

/// The longest line that is shown; masking takes time, and nobody finds anything in a longer one.
const MAX_LINE: usize = 4 << 10;

/// What a diagnostic shows of the text.
enum Excerpt {
    /// Its line, secrets masked, and what to mark in it.
    Line { text: String, number: usize, mark: Range<usize> },
    /// Only where it is.
    TooLong(Position),
}

impl Excerpt {
    fn of(text: &str, span: Span) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let position = Position::of(text, before.len());
        if line.len() > MAX_LINE {
            return Self::TooLong(position);
        }
        let from = (before.len() - start).min(line.len());
        let to = span.end.saturating_sub(start).clamp(from, line.len());
        Self::Line { text: mask(line), number: position.line, mark: from..to }
    }
}
