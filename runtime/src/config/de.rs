//! A serde deserializer over the tree, which reports every problem at its place.
//!
//! Serde stops at the first error, and an error that passes through a component's settings type
//! (erased) loses what it knows. So each deserializer on the way out of an error looks whether it
//! is the first to see it; if so, it reports it at its own node and dismisses the node. [`read`]
//! then tries again without it, until nothing new is found.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use pillion_proto::Reason;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::diagnostic::{Diagnostic, Span};
use super::mask::mask;
use super::report::Report;
use super::suggest::nearest;
use super::tree::{Entry, Expansion, Node, Resolved, Scalar, Value, resolve_number, shown};
use super::value::NAME;

/// Reads a value from `node`. What is wrong with the node as a whole is shown at `place`. Returns
/// nothing if there was a problem.
pub(crate) fn read<T: DeserializeOwned>(node: &Node, place: Span, report: &mut Report) -> Option<T> {
    read_with(node, place, &[], report, |visit: Visit<'_>| T::deserialize(visit))
}

/// Reads a value from `node` with `deserialize`, which may be called several times.
/// `known_beside` are keys that were read separately.
pub(crate) fn read_with<T, E: fmt::Display>(
    node: &Node,
    place: Span,
    known_beside: &[&str],
    report: &mut Report,
    deserialize: impl Fn(Visit<'_>) -> Result<T, E>,
) -> Option<T> {
    let context = Context { report: RefCell::new(std::mem::take(report)), known_beside, progress: Cell::new(false) };
    let before = context.report.borrow().len();
    let mut result = None;
    while node.is_open() && !context.report.borrow().is_full() {
        let visit = Visit { node, place, depth: 0, context: &context };
        match deserialize(visit) {
            Ok(value) => {
                result = Some(value);
                break;
            }
            Err(error) => drop(visit.blame::<()>(Err(<Error as de::Error>::custom(error)))),
        }
        // Each turn dismisses a node, so this ends. A settings type that invents an error after it
        // swallowed ours must not keep it going, nor end it without a word.
        if !context.progress.replace(false) {
            node.dismiss();
            context.report.borrow_mut().add(visit.describe(Error::Reported));
        }
    }
    *report = context.report.into_inner();
    result.filter(|_| report.len() == before)
}

impl Entry {
    /// [`read`]s its value.
    pub(crate) fn read<T: DeserializeOwned>(&self, report: &mut Report) -> Option<T> {
        read(&self.node, self.place(), report)
    }
}

#[derive(Debug)]
struct Context<'a> {
    report: RefCell<Report>,
    /// Keys that are known besides those of the type that is read.
    known_beside: &'a [&'a str],
    /// A node was dismissed in this turn.
    progress: Cell<bool>,
}

/// A node that is being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    node: &'a Node,
    /// Where to point if the node as a whole is wrong: its key, if it is a collection.
    place: Span,
    /// How far below the node that [`read_with`] was given.
    depth: usize,
    context: &'a Context<'a>,
}

/// What went wrong; private, as the report has the rest.
#[derive(Debug)]
pub(crate) enum Error {
    /// It has been reported.
    Reported,
    UnknownKey {
        key: String,
        expected: &'static [&'static str],
    },
    MissingKey(&'static str),
    /// A plain scalar such as `5` stands where text belongs.
    NotText {
        expected: String,
    },
    WrongType {
        expected: String,
    },
    InvalidValue {
        expected: String,
    },
    UnknownWord {
        word: String,
        expected: &'static [&'static str],
    },
    Custom(String),
}

/// Survives the erasure of the error type, which keeps only the text.
const REPORTED: &str = "\u{0}reported";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str(REPORTED),
            Self::UnknownKey { .. } => f.write_str("unknown key"),
            Self::MissingKey(key) => write!(f, "the key `{key}` is missing"),
            Self::WrongType { expected } | Self::NotText { expected } | Self::InvalidValue { expected } => {
                write!(f, "expected {expected}")
            }
            Self::UnknownWord { expected, .. } => write!(f, "expected {}", alternatives(expected)),
            Self::Custom(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        if message == REPORTED { Self::Reported } else { Self::Custom(message) }
    }

    // What was found is not repeated: it may be the value of a variable.
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::WrongType { expected: expected.to_string() }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::InvalidValue { expected: expected.to_string() }
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::InvalidValue { expected: expected.to_string() }
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownWord { word: word.to_owned(), expected }
    }

    fn unknown_field(key: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownKey { key: key.to_owned(), expected }
    }

    fn missing_field(key: &'static str) -> Self {
        Self::MissingKey(key)
    }
}

impl<'a> Visit<'a> {
    /// If there is an error that nobody has reported yet, reports it here and dismisses the node.
    fn blame<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| {
            if !matches!(error, Error::Reported) {
                if !self.follows(&error) {
                    self.context.report.borrow_mut().add(self.describe(error));
                }
                if self.node.dismiss() {
                    self.context.progress.set(true);
                }
            }
            Error::Reported
        })
    }

    /// Whether the error is only a consequence of something that was reported before.
    fn follows(&self, error: &Error) -> bool {
        match (&self.node.value, error) {
            (Value::Map(entries), Error::MissingKey(key)) => {
                entries.iter().any(|entry| entry.node.is_dismissed() && entry.key == *key)
            }
            (Value::Map(entries), _) => entries.iter().any(|entry| entry.node.is_dismissed()),
            (Value::List(items), _) => items.iter().any(Node::is_dismissed),
            (Value::Scalar(_), _) => false,
        }
    }

    fn describe(&self, error: Error) -> Diagnostic {
        match error {
            Error::Reported => Diagnostic::new(Reason::ConfigInvalidValue, "this value is refused"),
            Error::UnknownKey { key, expected } => {
                let beside = if self.depth == 1 { self.context.known_beside } else { &[] };
                let known: Vec<&str> = beside.iter().chain(expected).copied().collect();
                unknown_key(&key, &known)
            }
            Error::MissingKey(key) => {
                Diagnostic::new(Reason::ConfigMissingKey, format!("the key `{key}` is missing here"))
            }
            Error::WrongType { expected } => self.wrong_type(type_name(&expected)),
            Error::NotText { expected } => {
                let expected = type_name(&expected);
                let refusal = self.wrong_type(expected);
                match ["text", "a path", NAME].contains(&expected) {
                    true => refusal.help("write it in quotes if it is meant as text"),
                    false => refusal,
                }
            }
            Error::InvalidValue { expected } => {
                Diagnostic::new(Reason::ConfigInvalidValue, format!("expected {}", range_name(&expected)))
            }
            Error::UnknownWord { word, expected } => {
                let refusal =
                    Diagnostic::new(Reason::ConfigInvalidValue, format!("expected {}", alternatives(expected)));
                // A word from the environment must not even be hinted at.
                match nearest(&word, expected).filter(|_| !self.node.is_from_environment()) {
                    Some(near) => refusal.label(format!("did you mean `{near}`?")),
                    None => refusal,
                }
            }
            Error::Custom(_) if self.node.is_from_environment() => {
                Diagnostic::new(Reason::ConfigInvalidValue, "this value is refused, once its variables are expanded")
                    .note("the reason is not shown, because it might repeat the value of a variable")
            }
            Error::Custom(message) => Diagnostic::new(Reason::ConfigInvalidValue, mask(&message)),
        }
        .at(self.place)
    }

    fn wrong_type(&self, expected: &str) -> Diagnostic {
        let message = match self.expanded() {
            Some(_) => format!("expected {expected}, but the variables expand to something else"),
            None => format!("expected {expected}, found {}", self.node.kind()),
        };
        let refusal = Diagnostic::new(Reason::ConfigWrongType, message);
        match self.node.is_null() {
            true => refusal.label("nothing stands here").help("give the key a value, or remove it"),
            false => refusal,
        }
    }

    fn child(&self, node: &'a Node, place: Span) -> Self {
        Self { node, place, depth: self.depth + 1, context: self.context }
    }

    fn entry(&self, entry: &'a Entry) -> Self {
        self.child(&entry.node, entry.place())
    }

    fn any<V: Visitor<'a>>(&self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { visit: self, items: items.iter() }),
            Value::Map(entries) => visitor.visit_map(Entries { visit: self, entries: entries.iter(), value: None }),
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => visitor.visit_unit(),
                Resolved::Bool(value) => visitor.visit_bool(value),
                Resolved::Unsigned(value) => visitor.visit_u64(value),
                Resolved::Signed(value) => visitor.visit_i64(value),
                Resolved::Float(value) => visitor.visit_f64(value),
                Resolved::Text => visitor.visit_borrowed_str(&scalar.text),
            },
        }
    }

    /// The scalar, if it had variables: then the setting, not the notation, says what it is.
    fn expanded(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.expansion != Expansion::None => Some(scalar),
            _ => None,
        }
    }

    fn text<V: Visitor<'a>>(&self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor).map_err(|error| match error {
            Error::WrongType { expected } if matches!(self.node.value, Value::Scalar(_)) && !self.node.is_null() => {
                Error::NotText { expected }
            }
            error => error,
        })
    }

    fn number<V: Visitor<'a>>(&self, visitor: V) -> Result<V::Value, Error> {
        match self.expanded().and_then(|scalar| resolve_number(&scalar.text)) {
            Some(Resolved::Unsigned(value)) => visitor.visit_u64(value),
            Some(Resolved::Signed(value)) => visitor.visit_i64(value),
            Some(Resolved::Float(value)) => visitor.visit_f64(value),
            _ => self.any(visitor),
        }
    }

    /// A mapping, or nothing, which is one without entries: so it looks when all are commented out.
    fn map<V: Visitor<'a>>(&self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(_) => self.any(visitor),
            Value::Scalar(_) if self.node.is_null() => {
                visitor.visit_map(Entries { visit: self, entries: [].iter(), value: None })
            }
            // Derived visitors of structs would take a list of their fields.
            _ => Err(Error::WrongType { expected: "a mapping".to_owned() }),
        }
    }
}

/// An unknown key, with the nearest known one, or with all.
fn unknown_key(key: &str, known: &[&str]) -> Diagnostic {
    let refusal = Diagnostic::new(Reason::ConfigUnknownKey, format!("unknown key `{}`", shown(key)));
    if let Some(near) = nearest(key, known) {
        return refusal.label(format!("did you mean `{near}`?"));
    }
    let mut known = known.to_vec();
    known.sort_unstable();
    match known.is_empty() {
        true => refusal.note("there are no settings here"),
        false => refusal.note(format!("known here: `{}`", known.join("`, `"))),
    }
}

fn alternatives(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// What serde calls a type, as a person would.
fn type_name(expected: &str) -> &str {
    match expected {
        "a boolean" => "`true` or `false`",
        "a string" | "a borrowed string" | "a character" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "path string" => "a path",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => {
            "a whole number"
        }
        "f32" | "f64" => "a number",
        _ if expected.starts_with("a nonzero ") => "a whole number",
        _ if expected.starts_with("struct ") => "a mapping",
        _ => expected,
    }
}

/// The same where a value of the right type is outside of the range of it.
fn range_name(expected: &str) -> Cow<'_, str> {
    let range = |least: i128, most: i128| format!("a whole number from {least} to {most}").into();
    match expected {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" | "u128" | "usize" => "a whole number that is not negative".into(),
        "i8" => range(i8::MIN.into(), i8::MAX.into()),
        "i16" => range(i16::MIN.into(), i16::MAX.into()),
        "i32" => range(i32::MIN.into(), i32::MAX.into()),
        _ if expected.starts_with("a nonzero u") => "a whole number of at least 1".into(),
        _ => type_name(expected).into(),
    }
}

macro_rules! forward {
    ($to:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            self.blame(self.$to(visitor))
        })*
    };
}

impl<'a> de::Deserializer<'a> for Visit<'a> {
    type Error = Error;

    forward! { text: deserialize_str deserialize_string deserialize_char deserialize_identifier }
    forward! { any: deserialize_any
    deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq deserialize_ignored_any }
    forward! { number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 }
    forward! { map: deserialize_map }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.blame(match self.expanded().map(|scalar| scalar.text.as_str()) {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            _ => self.any(visitor),
        })
    }

    /// A key that is there has a value: nothing is not a way to leave it out.
    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.blame(visitor.visit_some(self))
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.blame(self.any(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.blame(visitor.visit_newtype_struct(self))
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.blame(self.any(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.blame(self.any(visitor))
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.blame(self.map(visitor))
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.blame(match &self.node.value {
            Value::Scalar(scalar) if matches!(scalar.resolve(), Resolved::Text) => {
                visitor.visit_enum(Word { visit: self, text: &scalar.text })
            }
            Value::Map(entries) if entries.len() == 1 && entries[0].node.is_open() => {
                visitor.visit_enum(Variant { visit: self, entry: &entries[0] })
            }
            _ => Err(Error::WrongType { expected: alternatives(words) }),
        })
    }
}

struct Items<'v, 'a> {
    visit: &'v Visit<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'a> SeqAccess<'a> for Items<'_, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.find(|item| item.is_open()) else { return Ok(None) };
        let visit = self.visit.child(item, item.span);
        visit.blame(seed.deserialize(visit)).map(Some)
    }
}

struct Entries<'v, 'a> {
    visit: &'v Visit<'a>,
    entries: std::slice::Iter<'a, Entry>,
    value: Option<Visit<'a>>,
}

impl<'a> MapAccess<'a> for Entries<'_, 'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.find(|entry| entry.node.is_open()) else { return Ok(None) };
        self.value = Some(self.visit.entry(entry));
        let key = Word { visit: Visit { place: entry.key_span, ..self.visit.entry(entry) }, text: &entry.key };
        key.visit.blame(seed.deserialize(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let Some(visit) = self.value.take() else { return Err(Error::Custom("a value without a key".to_owned())) };
        visit.blame(seed.deserialize(visit))
    }
}

/// A key, or an enum written as one word.
#[derive(Clone, Copy)]
struct Word<'a> {
    /// The value that is blamed if the word is wrong.
    visit: Visit<'a>,
    text: &'a str,
}

impl<'de> de::Deserializer<'de> for Word<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit.blame(visitor.visit_borrowed_str(self.text))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.visit.blame(visitor.visit_enum(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.visit.blame(visitor.visit_newtype_struct(self))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'a> EnumAccess<'a> for Word<'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(self)?, self))
    }
}

impl<'a> VariantAccess<'a> for Word<'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, _: T) -> Result<T::Value, Error> {
        self.needs_more()
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        self.needs_more()
    }

    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        self.needs_more()
    }
}

impl Word<'_> {
    fn needs_more<T>(&self) -> Result<T, Error> {
        self.visit.blame(Err(Error::WrongType { expected: "a mapping of this word to its settings".to_owned() }))
    }
}

/// An enum written as a mapping of one entry.
struct Variant<'a> {
    visit: Visit<'a>,
    entry: &'a Entry,
}

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = Error;
    type Variant = Visit<'a>;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Visit<'a>), Error> {
        let value = self.visit.entry(self.entry);
        let key = Word { visit: Visit { place: self.entry.key_span, ..value }, text: &self.entry.key };
        Ok((key.visit.blame(seed.deserialize(key))?, value))
    }
}

impl<'a> VariantAccess<'a> for Visit<'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.blame(Err(Error::WrongType { expected: "the word alone".to_owned() }))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Error> {
        self.blame(seed.deserialize(self))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.blame(self.any(visitor))
    }

    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.blame(self.map(visitor))
    }
}
