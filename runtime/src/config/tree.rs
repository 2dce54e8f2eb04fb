//! YAML text as a tree in which every key and value knows its place.
//!
//! What would let the text say something other than it seems to say (aliases, tags, duplicate
//! keys, several documents) is refused here, and with it every way to make a small file large.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};
use pillion_proto::Reason;

use super::diagnostic::{Diagnostic, Position, Span};
use super::report::Report;
use super::source::Source;

/// How deep block collections may be nested, and flow collections (`[]`, `{}`) inside them.
const MAX_DEPTH: usize = 32;

/// A value.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
    state: Cell<State>,
}

/// Whether a node is still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// It was read; nobody else need know it.
    Taken,
    /// A problem with it was reported; it is passed over, so that the rest of the file can be
    /// checked.
    Dismissed,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Neither quoted nor a block: `true`, `5` and nothing are no text then.
    pub(crate) plain: bool,
    pub(crate) expansion: Expansion,
}

/// Whether variables were expanded in a scalar.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expansion {
    /// The text is the one in the file.
    #[default]
    None,
    /// There were variables, but only defaults of the file were put in.
    Defaults,
    /// Something of the environment was put in: the text must not be shown.
    Environment,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn new(span: Span, value: Value) -> Self {
        Self { span, value, state: Cell::new(State::Open) }
    }

    /// Whether it is to be read.
    pub(crate) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Whether a problem with it was reported.
    pub(crate) fn is_dismissed(&self) -> bool {
        self.state.get() == State::Dismissed
    }

    /// Marks it as one with a problem that was reported. Returns whether this is new.
    pub(crate) fn dismiss(&self) -> bool {
        self.state.replace(State::Dismissed) != State::Dismissed
    }

    /// Marks it as read.
    pub(crate) fn take(&self) {
        self.state.set(State::Taken);
    }

    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "nothing",
                Resolved::Bool(_) => "`true` or `false`",
                Resolved::Unsigned(_) | Resolved::Signed(_) => "a whole number",
                Resolved::Float(_) => "a number",
                Resolved::Text => "text",
            },
        }
    }

    /// The entry with this key, if it is to be read.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key && entry.node.is_open()),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if matches!(scalar.resolve(), Resolved::Null))
    }

    /// Whether any of it came from the environment.
    pub(crate) fn is_from_environment(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.expansion == Expansion::Environment,
            Value::List(items) => items.iter().any(Node::is_from_environment),
            Value::Map(entries) => entries.iter().any(|entry| entry.node.is_from_environment()),
        }
    }
}

impl Entry {
    /// Where its value is shown: a scalar at itself, a collection, or nothing, at its key.
    pub(crate) fn place(&self) -> Span {
        let is_visible = matches!(self.node.value, Value::Scalar(_)) && self.node.span.start < self.node.span.end;
        if is_visible { self.node.span } else { self.key_span }
    }
}

/// What a plain scalar stands for.
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

impl Scalar {
    /// By the core schema of YAML 1.2.2, section 10.3.2.
    pub(crate) fn resolve(&self) -> Resolved {
        if !self.plain || self.expansion != Expansion::None {
            return Resolved::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
            "true" | "True" | "TRUE" => Resolved::Bool(true),
            "false" | "False" | "FALSE" => Resolved::Bool(false),
            text => resolve_number(text).unwrap_or(Resolved::Text),
        }
    }
}

/// A number as YAML 1.2 writes it.
pub(crate) fn resolve_number(text: &str) -> Option<Resolved> {
    if let Some((radix, digits)) =
        text.strip_prefix("0x").map(|digits| (16, digits)).or_else(|| text.strip_prefix("0o").map(|digits| (8, digits)))
    {
        // `from_str_radix` alone would take a sign.
        return match u64::from_str_radix(digits, radix) {
            Ok(number) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => Some(Resolved::Unsigned(number)),
            _ => None,
        };
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    match digits {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => return Some(Resolved::Float(f64::NEG_INFINITY)),
        ".inf" | ".Inf" | ".INF" => return Some(Resolved::Float(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if digits.len() == text.len() => return Some(Resolved::Float(f64::NAN)),
        _ => {}
    }
    // Rust's own parser takes words such as `inf`; YAML's numbers begin with a digit or a point.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Ok(number) = text.parse() {
        return Some(Resolved::Unsigned(number));
    }
    if let Ok(number) = text.parse() {
        return Some(Resolved::Signed(number));
    }
    text.parse().ok().map(Resolved::Float)
}

/// Parses the text. Returns nothing if the rest of it could not be read; the report says why.
pub(crate) fn parse(source: &Source, report: &mut Report) -> Option<Node> {
    let mut builder = Builder { source, report, open: Vec::new(), root: None, documents: 0, has_reference: false };
    let options = granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                builder.report.add(scan_error(&source.text, &error));
                return None;
            }
        }
        if builder.report.is_full() {
            return None;
        }
    }
    match builder.root {
        Some(root) if !root.is_null() => Some(root),
        _ => {
            let empty = Diagnostic::new(Reason::ConfigEmpty, format!("`{}` sets nothing", source.name));
            report.add(empty.help("a configuration begins with, for example, `app: {id: orders}`"));
            None
        }
    }
}

fn scan_error(text: &str, error: &ScanError) -> Diagnostic {
    let help = match error.kind() {
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => Some("quote a text with `: ` in it"),
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            Some("indent with blanks")
        }
        _ => None,
    };
    let (reason, message) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            (Reason::ConfigTooDeep, format!("lists and mappings are nested more than {MAX_DEPTH} deep"))
        }
        ErrorKind::DirectiveDisallowed => (Reason::ConfigUnsupportedYaml, "directives are not supported".to_owned()),
        _ => (Reason::ConfigSyntax, error.info()),
    };
    let start = floor_char_boundary(text, error.marker().byte_offset().unwrap_or_default());
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    let refusal = Diagnostic::new(reason, message).at(Span { start, end });
    match help {
        Some(help) => refusal.help(help),
        None => refusal,
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A collection that has begun and not yet ended.
enum Open {
    List { span: Span, items: Vec<Node> },
    Map { span: Span, entries: Vec<Entry>, positions: HashMap<String, usize>, key: Option<Key> },
}

/// A key whose value is expected.
struct Key {
    text: String,
    span: Span,
    /// It was reported, so its value is passed over.
    is_refused: bool,
}

struct Builder<'a> {
    source: &'a Source,
    report: &'a mut Report,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    /// An anchor or alias was reported; one says it for all.
    has_reference: bool,
}

impl Builder<'_> {
    /// Takes the next event; nothing if what follows cannot be understood.
    fn event(&mut self, event: Event<'_>, at: granit_parser::Span) -> Option<()> {
        let span = self.span(at);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.unsupported(span, "a second document begins here", "keep one document in the file");
                    return None;
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.reference(span);
                if self.is_key_next() {
                    return None;
                }
                self.put(dismissed(span));
            }
            Event::Anchor(..) => self.reference(span),
            Event::Scalar(text, style, _, tag) => {
                let tagged = self.refuse_tag(tag.as_ref(), at);
                if self.is_key_next() {
                    return self.key(text.into_owned(), style, span);
                }
                let plain = style == ScalarStyle::Plain;
                let scalar = Scalar { text: text.into_owned(), plain, expansion: Expansion::None };
                let node = Node::new(span, Value::Scalar(scalar));
                if tagged {
                    node.dismiss();
                }
                self.put(node);
            }
            Event::SequenceStart(_, _, tag) => {
                self.refuse_tag(tag.as_ref(), at);
                self.expect_value(span)?;
                self.open.push(Open::List { span, items: Vec::new() });
            }
            Event::MappingStart(_, _, tag) => {
                self.refuse_tag(tag.as_ref(), at);
                self.expect_value(span)?;
                self.open.push(Open::Map { span, entries: Vec::new(), positions: HashMap::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop()? {
                    Open::List { span: start, items } => Node::new(join(start, span), Value::List(items)),
                    Open::Map { span: start, entries, .. } => Node::new(join(start, span), Value::Map(entries)),
                };
                self.put(node);
            }
            _ => {}
        }
        Some(())
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let text = &self.source.text;
        let range = span.byte_range().unwrap_or_default();
        let start = floor_char_boundary(text, range.start);
        Span { start, end: floor_char_boundary(text, range.end).max(start) }
    }

    fn unsupported(&mut self, span: Span, message: &str, help: &str) {
        self.report.add(Diagnostic::new(Reason::ConfigUnsupportedYaml, message).at(span).help(help));
    }

    fn reference(&mut self, span: Span) {
        if !std::mem::replace(&mut self.has_reference, true) {
            self.unsupported(span, "anchors and aliases are not supported", "write each value out where it is used");
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Cow<'_, Tag>>, at: granit_parser::Span) -> bool {
        if tag.is_some() {
            let span = self.span(at.tag_span().unwrap_or(at));
            self.unsupported(span, "tags are not supported", "remove it: the setting decides the type of its value");
        }
        tag.is_some()
    }

    fn is_key_next(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    /// Refuses a collection or alias where a key stands.
    fn expect_value(&mut self, span: Span) -> Option<()> {
        if self.is_key_next() {
            self.unsupported(Span::at(span.start), "a key must be text", "quote it if it begins with `{`, `[` or `*`");
            return None;
        }
        Some(())
    }

    fn key(&mut self, text: String, style: ScalarStyle, span: Span) -> Option<()> {
        let is_merge = text == "<<" && style == ScalarStyle::Plain;
        let is_variable = text.contains("${");
        if is_merge {
            self.unsupported(span, "merge keys are not supported", "write the entries out");
        } else if is_variable {
            let refusal =
                Diagnostic::new(Reason::ConfigVariableSyntax, "variables are expanded in values, not in keys");
            self.report.add(refusal.at(span));
        }
        if let Some(Open::Map { key, .. }) = self.open.last_mut() {
            *key = Some(Key { text, span, is_refused: is_merge || is_variable });
        }
        Some(())
    }

    /// Adds a complete node to what it belongs to.
    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, positions, key, .. }) => {
                let Some(Key { text: key, span: key_span, is_refused }) = key.take() else { return };
                if is_refused {
                    node.dismiss();
                }
                if let Some(first) = positions.get(&key) {
                    node.dismiss();
                    let first = Position::of(&self.source.text, entries[*first].key_span.start);
                    let duplicate =
                        Diagnostic::new(Reason::ConfigDuplicateKey, format!("the key `{}` stands twice", shown(&key)));
                    self.report.add(duplicate.at(key_span).label(format!("first set in line {}", first.line)));
                } else {
                    positions.insert(key.clone(), entries.len());
                }
                entries.push(Entry { key, key_span, node });
            }
        }
    }
}

fn dismissed(span: Span) -> Node {
    let scalar = Scalar { text: String::new(), plain: true, expansion: Expansion::None };
    let node = Node::new(span, Value::Scalar(scalar));
    node.dismiss();
    node
}

fn join(start: Span, end: Span) -> Span {
    Span { start: start.start, end: end.end.max(start.end) }
}

/// A key as it is quoted in a message: keys can be as long as the file.
pub(crate) fn shown(key: &str) -> Cow<'_, str> {
    const MOST: usize = 60;
    match key.char_indices().nth(MOST) {
        None => key.into(),
        Some((end, _)) => format!("{}…", &key[..end]).into(),
    }
}
