//! Values in scenarios: JSON with variables, and short ways to write what JSON is clumsy at.
//!
//! * `$name` anywhere in a text is the variable of that name; a text that is nothing else takes the
//!   variable's value whatever its kind. `$$` is a dollar sign.
//! * `{$text: apple}` is the text's bytes, as proto3 JSON writes bytes (base64).
//! * `{$hex: 00ff}` is these bytes.
//! * `{$repeat: {text: ab, times: 3}}` is `ababab`.
//! * `{$list: {times: 3, from: 1, each: …}}` is a list, `each` with `$i` counting from `from`, or 0.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The variables of a running scenario.
pub type Variables = BTreeMap<String, Value>;

/// The variable that counts in `$list` and in races.
pub const COUNTER: &str = "i";

/// Larger than any limit that a scenario has to exceed.
const LARGEST: usize = 200 << 20;

/// A value with holes.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// As it stands.
    Literal(Value),
    /// The value of a variable.
    Variable(String),
    /// A text with variables in it.
    Text(Vec<Piece>),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
    /// The bytes of a text, in base64.
    Encoded(Box<Self>),
    /// A text many times over.
    Repeated {
        /// The text.
        text: Box<Self>,
        /// How often.
        times: usize,
    },
    /// A list of values that differ by a number.
    Listed {
        /// How many.
        times: usize,
        /// The first number.
        from: u64,
        /// Each value.
        each: Box<Self>,
    },
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// As it stands.
    Literal(String),
    /// A variable.
    Variable(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    text: Value,
    times: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    times: usize,
    #[serde(default)]
    from: u64,
    each: Value,
}

impl Template {
    /// Reads a value of a scenario.
    ///
    /// # Errors
    /// An operator that does not exist or has the wrong operand.
    pub fn parse(value: Value) -> Result<Self> {
        Ok(match value {
            Value::String(text) => Self::text(&text)?,
            Value::Array(items) => Self::List(items.into_iter().map(Self::parse).collect::<Result<_>>()?),
            Value::Object(fields) => match operator(fields)? {
                Fields::Operator(name, operand) => Self::operator(&name, operand)?,
                Fields::Plain(fields) => {
                    let fields = fields.into_iter().map(|(name, value)| Ok((name, Self::parse(value)?)));
                    Self::Object(fields.collect::<Result<_>>()?)
                }
            },
            other => Self::Literal(other),
        })
    }

    fn operator(name: &str, operand: Value) -> Result<Self> {
        Ok(match name {
            "$text" => Self::Encoded(Box::new(Self::parse(operand)?)),
            "$hex" => {
                let bytes = operand.as_str().and_then(unhex).context("`$hex` takes pairs of hexadecimal digits")?;
                Self::Literal(BASE64.encode(bytes).into())
            }
            "$repeat" => {
                let Repeat { text, times } = serde_json::from_value(operand).context("`$repeat`")?;
                Self::Repeated { text: Box::new(Self::parse(text)?), times }
            }
            "$list" => {
                let List { times, from, each } = serde_json::from_value(operand).context("`$list`")?;
                Self::Listed { times, from, each: Box::new(Self::parse(each)?) }
            }
            _ => bail!("there is no operator `{name}`; a text that begins with `$` is written `$$`"),
        })
    }

    fn text(text: &str) -> Result<Self> {
        let mut pieces = pieces(text)?;
        Ok(match &mut pieces[..] {
            [] => Self::Literal("".into()),
            [Piece::Literal(literal)] => Self::Literal(std::mem::take(literal).into()),
            [Piece::Variable(name)] => Self::Variable(std::mem::take(name)),
            _ => Self::Text(pieces),
        })
    }

    /// The value, with the variables filled in.
    ///
    /// # Errors
    /// A variable that has no value, or one that is no text where a text is needed.
    pub fn fill(&self, variables: &Variables) -> Result<Value> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Variable(name) => variable(variables, name)?.clone(),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => text.push_str(literal),
                        Piece::Variable(name) => match variable(variables, name)? {
                            Value::String(value) => text.push_str(value),
                            Value::Number(value) => text.push_str(&value.to_string()),
                            other => bail!("`${name}` is {other}, which cannot stand in a text"),
                        },
                    }
                }
                text.into()
            }
            Self::List(items) => items.iter().map(|item| item.fill(variables)).collect::<Result<Value>>()?,
            Self::Object(fields) => {
                let mut filled = Map::new();
                for (name, field) in fields {
                    filled.insert(name.clone(), field.fill(variables)?);
                }
                filled.into()
            }
            Self::Encoded(text) => {
                let text = text.fill(variables)?;
                BASE64.encode(text.as_str().with_context(|| format!("`$text` of {text}, which is no text"))?).into()
            }
            Self::Repeated { text, times } => {
                let text = text.fill(variables)?;
                let text = text.as_str().with_context(|| format!("`$repeat` of {text}, which is no text"))?;
                ensure!(text.len().saturating_mul(*times) <= LARGEST, "`$repeat` makes more than {LARGEST} bytes");
                text.repeat(*times).into()
            }
            Self::Listed { times, from, each } => {
                ensure!(*times <= LARGEST / 64, "`$list` makes more than {} items", LARGEST / 64);
                let mut variables = variables.clone();
                let mut items = Vec::with_capacity(*times);
                for index in (*from..).take(*times) {
                    variables.insert(COUNTER.to_owned(), index.into());
                    items.push(each.fill(&variables)?);
                }
                items.into()
            }
        })
    }

    /// Tells `seen` of every variable.
    pub fn variables<'a>(&'a self, seen: &mut impl FnMut(&'a str)) {
        match self {
            Self::Literal(_) => {}
            Self::Variable(name) => seen(name),
            Self::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Variable(name) = piece {
                        seen(name);
                    }
                }
            }
            Self::List(items) => items.iter().for_each(|item| item.variables(seen)),
            Self::Object(fields) => fields.iter().for_each(|(_, field)| field.variables(seen)),
            Self::Encoded(inner) | Self::Repeated { text: inner, .. } | Self::Listed { each: inner, .. } => {
                inner.variables(seen);
            }
        }
    }
}

/// An object of a scenario.
pub(super) enum Fields {
    /// `{$name: operand}`.
    Operator(String, Value),
    /// Any other.
    Plain(Map<String, Value>),
}

/// Tells an operator from an object.
pub(super) fn operator(fields: Map<String, Value>) -> Result<Fields> {
    let Some(name) = fields.keys().find(|name| name.starts_with('$')).cloned() else {
        return Ok(Fields::Plain(fields));
    };
    ensure!(fields.len() == 1, "the operator `{name}` stands alone in its object");
    let operand = fields.into_iter().next().map(|(_, operand)| operand).unwrap_or_default();
    Ok(Fields::Operator(name, operand))
}

fn variable<'a>(variables: &'a Variables, name: &str) -> Result<&'a Value> {
    variables.get(name).with_context(|| format!("`${name}` has no value here"))
}

fn pieces(text: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            literal.push('$');
            rest = after;
            continue;
        }
        let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        ensure!(!name.is_empty(), "`$` in {text:?} names no variable; a dollar sign is written `$$`");
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Variable(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(value: Value) -> Result<Value> {
        let variables = Variables::from([("own".to_owned(), json!("s1")), ("etag".to_owned(), json!(7))]);
        Template::parse(value)?.fill(&variables)
    }

    #[test]
    fn variables_fill_texts_and_stand_for_whole_values() {
        let value = json!({"key": "$own/a", "n": "$etag", "t": "v$etag-", "cost": "$$5", "list": ["$own", true, null]});
        let wanted = json!({"key": "s1/a", "n": 7, "t": "v7-", "cost": "$5", "list": ["s1", true, null]});
        assert_eq!(filled(value).unwrap(), wanted);
    }

    #[test]
    fn operators_make_bytes_long_texts_and_lists() {
        assert_eq!(filled(json!({"$text": "apple"})).unwrap(), json!("YXBwbGU="));
        assert_eq!(filled(json!({"$hex": "00ff"})).unwrap(), json!("AP8="));
        assert_eq!(filled(json!({"$repeat": {"text": "ab", "times": 3}})).unwrap(), json!("ababab"));
        assert_eq!(filled(json!({"$list": {"times": 2, "each": "$own/$i"}})).unwrap(), json!(["s1/0", "s1/1"]));
        assert_eq!(filled(json!({"$list": {"times": 1, "from": 10, "each": "$i"}})).unwrap(), json!([10]));
    }

    #[test]
    fn slips_are_errors() {
        for value in [
            json!("$nobody"),
            json!("costs $5"),
            json!({"$txt": "apple"}),
            json!({"$text": "a", "more": 1}),
            json!({"$text": 5}),
            json!({"$hex": "0"}),
            json!({"$repeat": {"text": "a"}}),
            json!({"$repeat": {"text": "ab", "times": 1_000_000_000}}),
        ] {
            assert!(filled(value.clone()).is_err(), "{value}");
        }
    }
}
