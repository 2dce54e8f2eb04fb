//! What an answer must look like.
//!
//! A pattern is written as the value that is expected, with these freedoms:
//!
//! * An object lists the fields that matter; others may be there. `null` is a field that is absent.
//!   A field that is absent counts as proto3's default of its kind: `false`, `0`, `""`, `[]`; a message has none.
//! * `$name` is compared with the variable's value; the first time it stands for any value, which
//!   it keeps from then on.
//! * `{$any: true}` is anything that is there; `{$not: p}` is whatever `p` is not; `{$all: [p, q]}`
//!   is both; `{$one_of: [p, q]}` is either.
//! * `{$contains: p}` is a text with this part, or a list with such an item; `{$each: p}` a list of
//!   nothing else; `{$unordered: [p, q]}` a list of these in any order; `{$length: 3}` a list or
//!   text of this length.
//! * `{$between: [least, most]}` is a number or duration in this range.
//! * The operators of [templates](super::template) stand for the values they make.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::template::{Fields, Template, Variables, operator};

/// An expectation.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// This value.
    Value(Template),
    /// A variable, or any value that it then keeps.
    Variable(String),
    /// At least these fields.
    Object(Vec<(String, Self)>),
    /// These items.
    List(Vec<Self>),
    /// Nothing.
    Absent,
    /// Something.
    Any,
    /// Anything else.
    Not(Box<Self>),
    /// All of these.
    All(Vec<Self>),
    /// One of these.
    OneOf(Vec<Self>),
    /// A part.
    Contains(Box<Self>),
    /// Of every item.
    Each(Box<Self>),
    /// These items in any order.
    Unordered(Vec<Self>),
    /// So many items, or characters.
    Length(usize),
    /// A range.
    Between(f64, f64),
}

/// Where and how a value differs from a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    path: String,
    problem: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the answer" } else { self.path.trim_start_matches('.') };
        write!(f, "{path}: {}", self.problem)
    }
}

impl std::error::Error for Mismatch {}

impl Mismatch {
    fn new(problem: impl Into<String>) -> Self {
        Self { path: String::new(), problem: problem.into() }
    }

    fn expected(wanted: impl fmt::Display, found: Option<&Value>) -> Self {
        Self::new(format!("expected {wanted}, found {}", shown(found)))
    }

    fn within(mut self, step: impl fmt::Display) -> Self {
        self.path.insert_str(0, &step.to_string());
        self
    }
}

type Matched = std::result::Result<(), Mismatch>;

impl Pattern {
    /// Reads a pattern of a scenario.
    ///
    /// # Errors
    /// An operator that does not exist or has the wrong operand.
    pub fn parse(value: Value) -> Result<Self> {
        Ok(match value {
            Value::Null => Self::Absent,
            Value::Array(items) => Self::List(many(items)?),
            Value::Object(fields) => match operator(fields)? {
                Fields::Operator(name, operand) => Self::operator(name, operand)?,
                Fields::Plain(fields) => {
                    let fields = fields.into_iter().map(|(name, value)| Ok((name, Self::parse(value)?)));
                    Self::Object(fields.collect::<Result<_>>()?)
                }
            },
            other => match Template::parse(other)? {
                Template::Variable(name) => Self::Variable(name),
                template => Self::Value(template),
            },
        })
    }

    fn operator(name: String, operand: Value) -> Result<Self> {
        let list = |operand: Value| match operand {
            Value::Array(items) => many(items),
            _ => bail!("`{name}` takes a list"),
        };
        Ok(match name.as_str() {
            "$any" => {
                ensure!(operand == Value::Bool(true), "`$any` takes `true`");
                Self::Any
            }
            "$not" => Self::Not(Box::new(Self::parse(operand)?)),
            "$contains" => Self::Contains(Box::new(Self::parse(operand)?)),
            "$each" => Self::Each(Box::new(Self::parse(operand)?)),
            "$all" => Self::All(list(operand)?),
            "$one_of" => Self::OneOf(list(operand)?),
            "$unordered" => Self::Unordered(list(operand)?),
            "$length" => {
                let length = operand.as_u64().and_then(|length| usize::try_from(length).ok());
                Self::Length(length.context("`$length` takes a whole number")?)
            }
            "$between" => {
                let range = operand.as_array().and_then(|range| match &range[..] {
                    [least, most] => Some((quantity(least)?, quantity(most)?)),
                    _ => None,
                });
                let (least, most) = range.context("`$between` takes two numbers or durations")?;
                ensure!(least <= most, "`$between` takes the lower bound first");
                Self::Between(least, most)
            }
            _ => Self::Value(Template::parse(Value::Object([(name, operand)].into_iter().collect()))?),
        })
    }

    /// Compares `found` with it. Variables that are met for the first time are added to `variables`
    /// if all of it matches, and only then.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, found: Option<&Value>, variables: &mut Variables) -> Matched {
        let mut tried = variables.clone();
        self.matches(found, &mut tried)?;
        *variables = tried;
        Ok(())
    }

    fn matches(&self, found: Option<&Value>, variables: &mut Variables) -> Matched {
        let found = found.filter(|found| !found.is_null());
        match self {
            Self::Value(template) => {
                let wanted = template.fill(variables).map_err(|error| Mismatch::new(format!("{error:#}")))?;
                ensure_same(&wanted, found)
            }
            Self::Variable(name) => match (variables.get(name), found) {
                (Some(wanted), _) => {
                    ensure_same(wanted, found).map_err(|mismatch| mismatch.noting(format!(" (`${name}`)")))
                }
                (None, Some(found)) => {
                    variables.insert(name.clone(), found.clone());
                    Ok(())
                }
                (None, None) => Err(Mismatch::new(format!("expected a value for `${name}`, found nothing"))),
            },
            Self::Object(fields) => {
                // A message that is absent is not one whose fields are all defaults.
                let Some(Value::Object(object)) = found else {
                    return Err(Mismatch::expected("an object", found));
                };
                fields.iter().try_for_each(|(name, pattern)| {
                    let matched = pattern.matches(object.get(name), variables);
                    matched.map_err(|mismatch| mismatch.within(format!(".{name}")))
                })
            }
            Self::List(patterns) => {
                let items = items(found)?;
                ensure_length(items, patterns.len(), found)?;
                patterns.iter().zip(items).enumerate().try_for_each(|(index, (pattern, item))| {
                    pattern.matches(Some(item), variables).map_err(|mismatch| mismatch.within(format!("[{index}]")))
                })
            }
            Self::Absent => match found {
                None => Ok(()),
                Some(_) => Err(Mismatch::expected("nothing", found)),
            },
            Self::Any => match found {
                Some(_) => Ok(()),
                None => Err(Mismatch::new("expected something, found nothing")),
            },
            Self::Not(pattern) => match pattern.matches(found, &mut variables.clone()) {
                Err(_) => Ok(()),
                Ok(()) => Err(Mismatch::new(format!("found {}, which it must not be", shown(found)))),
            },
            Self::All(patterns) => patterns.iter().try_for_each(|pattern| pattern.matches(found, variables)),
            Self::OneOf(patterns) => {
                let mut last = Mismatch::new("`$one_of` nothing");
                for pattern in patterns {
                    match pattern.check(found, variables) {
                        Ok(()) => return Ok(()),
                        Err(mismatch) => last = mismatch,
                    }
                }
                Err(last)
            }
            Self::Contains(pattern) => match (found, &**pattern) {
                (Some(Value::String(text)), Self::Value(part)) => {
                    let part = part.fill(variables).map_err(|error| Mismatch::new(format!("{error:#}")))?;
                    if part.as_str().is_some_and(|part| text.contains(part)) {
                        return Ok(());
                    }
                    Err(Mismatch::expected(format_args!("a text with {part} in it"), found))
                }
                (found, pattern) => {
                    let items = items(found)?;
                    if items.iter().any(|item| pattern.check(Some(item), variables).is_ok()) {
                        return Ok(());
                    }
                    Err(Mismatch::expected("an item as described", found))
                }
            },
            Self::Each(pattern) => items(found)?.iter().enumerate().try_for_each(|(index, item)| {
                pattern.check(Some(item), variables).map_err(|mismatch| mismatch.within(format!("[{index}]")))
            }),
            Self::Unordered(patterns) => {
                let items = items(found)?;
                ensure_length(items, patterns.len(), found)?;
                let mut left: Vec<_> = items.iter().collect();
                for (index, pattern) in patterns.iter().enumerate() {
                    let place = left.iter().position(|item| pattern.check(Some(item), variables).is_ok());
                    let Some(place) = place else {
                        return Err(Mismatch::expected(format_args!("a match for item {index} of the pattern"), found));
                    };
                    left.swap_remove(place);
                }
                Ok(())
            }
            Self::Length(wanted) => {
                let length = match found {
                    Some(Value::String(text)) => text.chars().count(),
                    found => items(found)?.len(),
                };
                if length == *wanted {
                    return Ok(());
                }
                Err(Mismatch::new(format!("expected a length of {wanted}, found {length}")))
            }
            Self::Between(least, most) => match found.and_then(quantity) {
                Some(number) if (*least..=*most).contains(&number) => Ok(()),
                _ => Err(Mismatch::expected(format_args!("something from {least} to {most}"), found)),
            },
        }
    }

    /// Tells `seen` of every variable.
    pub fn variables<'a>(&'a self, seen: &mut impl FnMut(&'a str)) {
        match self {
            Self::Value(template) => template.variables(seen),
            Self::Variable(name) => seen(name),
            Self::Object(fields) => fields.iter().for_each(|(_, pattern)| pattern.variables(seen)),
            Self::List(patterns) | Self::All(patterns) | Self::OneOf(patterns) | Self::Unordered(patterns) => {
                patterns.iter().for_each(|pattern| pattern.variables(seen));
            }
            Self::Not(pattern) | Self::Contains(pattern) | Self::Each(pattern) => pattern.variables(seen),
            Self::Absent | Self::Any | Self::Length(_) | Self::Between(..) => {}
        }
    }
}

impl Mismatch {
    fn noting(mut self, note: String) -> Self {
        self.problem.push_str(&note);
        self
    }
}

fn many(items: Vec<Value>) -> Result<Vec<Pattern>> {
    items.into_iter().map(Pattern::parse).collect()
}

fn items(found: Option<&Value>) -> std::result::Result<&[Value], Mismatch> {
    match found {
        Some(Value::Array(items)) => Ok(items),
        // proto3 JSON leaves empty lists out.
        None => Ok(&[]),
        other => Err(Mismatch::expected("a list", other)),
    }
}

fn ensure_length(items: &[Value], wanted: usize, found: Option<&Value>) -> Matched {
    if items.len() == wanted {
        return Ok(());
    }
    Err(Mismatch::expected(format_args!("{wanted} items"), found))
        .map_err(|mismatch| mismatch.noting(format!(" with {}", items.len())))
}

fn ensure_same(wanted: &Value, found: Option<&Value>) -> Matched {
    let same = match (wanted, found) {
        (Value::Bool(false), None) => true,
        (Value::Number(wanted), None) => wanted.as_f64() == Some(0.0),
        (Value::String(wanted), None) => wanted.is_empty() || wanted == "0",
        (Value::Array(wanted), None) => wanted.is_empty(),
        (_, None) => false,
        // proto3 JSON writes 64-bit numbers as texts.
        (Value::Number(wanted), Some(Value::String(found))) => *found == wanted.to_string(),
        (Value::String(wanted), Some(Value::Number(found))) => *wanted == found.to_string(),
        (Value::Number(wanted), Some(Value::Number(found))) => wanted == found || wanted.as_f64() == found.as_f64(),
        (wanted, Some(found)) => wanted == found,
    };
    if same { Ok(()) } else { Err(Mismatch::expected(shown(Some(wanted)), found)) }
}

/// A number, also as proto3 JSON writes 64-bit numbers and durations.
fn quantity(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.strip_suffix('s').unwrap_or(text).parse().ok(),
        _ => None,
    }
}

/// A value in an error: not longer than a few lines.
pub(super) fn shown(value: Option<&Value>) -> String {
    const MOST: usize = 600;
    let Some(value) = value else { return "nothing".to_owned() };
    let mut text = value.to_string();
    if text.len() > MOST {
        let cut = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let length = text.len();
        text.truncate(cut);
        text.push_str(&format!("… ({length} bytes)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pattern: Value, found: Value) -> std::result::Result<Variables, String> {
        let mut variables = Variables::from([("etag".to_owned(), json!("7-x"))]);
        let pattern = Pattern::parse(pattern).unwrap();
        pattern.check(Some(&found), &mut variables).map_err(|mismatch| mismatch.to_string())?;
        Ok(variables)
    }

    #[test]
    fn what_is_not_mentioned_does_not_matter_and_what_is_does() {
        assert!(check(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}, "d": 3})).is_ok());
        let error = check(json!({"a": {"b": [1, 2]}}), json!({"a": {"b": [1, 3]}})).unwrap_err();
        assert_eq!(error, "a.b[1]: expected 2, found 3");
        assert!(check(json!([1]), json!([1, 2])).is_err());
        assert!(check(json!({"a": 1}), json!([])).is_err());
    }

    #[test]
    fn absent_fields_are_defaults_and_null_is_absence() {
        assert!(check(json!({"a": false, "b": 0, "c": "", "d": [], "e": null}), json!({})).is_ok());
        for pattern in
            [json!({"a": true}), json!({"a": "x"}), json!({"a": [1]}), json!({"a": {}}), json!({"a": {"b": 0}})]
        {
            assert!(check(pattern.clone(), json!({})).is_err(), "{pattern}");
        }
        assert!(check(json!({"a": null}), json!({"a": ""})).is_err());
        assert!(check(json!({"a": null}), json!({"a": null})).is_ok());
    }

    #[test]
    fn a_variable_is_kept_and_then_compared() {
        assert!(check(json!({"a": "$etag"}), json!({"a": "7-x"})).is_ok());
        assert!(check(json!({"a": "$etag"}), json!({"a": "8-x"})).unwrap_err().contains("$etag"));
        assert_eq!(check(json!({"a": "$new"}), json!({"a": [1]})).unwrap()["new"], json!([1]));
        assert!(check(json!({"a": "$new", "b": "$new"}), json!({"a": 1, "b": 2})).is_err());
        assert!(check(json!({"a": "$new"}), json!({})).is_err());
    }

    #[test]
    fn nothing_is_kept_of_what_did_not_match() {
        let mut variables = Variables::new();
        let pattern = Pattern::parse(json!({"a": "$new", "b": 1})).unwrap();
        assert!(pattern.check(Some(&json!({"a": 1, "b": 2})), &mut variables).is_err());
        assert!(variables.is_empty());
    }

    #[test]
    fn operators_say_what_they_say() {
        for (pattern, found, matches) in [
            (json!({"$any": true}), json!(0), true),
            (json!({"a": {"$any": true}}), json!({}), false),
            (json!({"$not": "$etag"}), json!("8-x"), true),
            (json!({"$not": "$etag"}), json!("7-x"), false),
            (json!({"$contains": "pp"}), json!("apple"), true),
            (json!({"$contains": "x"}), json!("apple"), false),
            (json!({"$contains": {"a": 1}}), json!([{"a": 2}, {"a": 1}]), true),
            (json!({"$contains": {"a": 3}}), json!([{"a": 2}, {"a": 1}]), false),
            (json!({"$each": {"a": {"$between": [1, 2]}}}), json!([{"a": 2}, {"a": 1}]), true),
            (json!({"$each": {"a": 2}}), json!([{"a": 2}, {"a": 1}]), false),
            (json!({"$unordered": [1, 2]}), json!([2, 1]), true),
            (json!({"$unordered": [1, 1]}), json!([2, 1]), false),
            (json!({"$unordered": [1]}), json!([1, 1]), false),
            (json!({"$length": 2}), json!([2, 1]), true),
            (json!({"$length": 2}), json!("é"), false),
            (json!({"$between": ["1s", "2s"]}), json!("1.500s"), true),
            (json!({"$between": ["1s", "2s"]}), json!("2.001s"), false),
            (json!({"$between": [1, 2]}), json!("2"), true),
            (json!({"$between": [1, 2]}), json!(true), false),
            (json!({"$all": [{"$any": true}, 1]}), json!(1), true),
            (json!({"$all": [{"$any": true}, 2]}), json!(1), false),
            (json!({"$one_of": [2, 1]}), json!(1), true),
            (json!({"$one_of": [2, 3]}), json!(1), false),
            (json!({"$text": "apple"}), json!("YXBwbGU="), true),
            (json!({"$text": "apple"}), json!("apple"), false),
            (json!(18_446_744_073_709_551_615_u64), json!("18446744073709551615"), true),
            (json!(1), json!("2"), false),
            (json!(1.5), json!(1.5), true),
            (json!("1"), json!(1), true),
        ] {
            assert_eq!(check(pattern.clone(), found.clone()).is_ok(), matches, "{pattern} of {found}");
        }
    }

    #[test]
    fn slips_are_errors() {
        for pattern in [
            json!({"$contain": "a"}),
            json!({"$any": 1}),
            json!({"$unordered": 1}),
            json!({"$length": -1}),
            json!({"$between": [2, 1]}),
            json!({"$any": true, "a": 1}),
        ] {
            assert!(Pattern::parse(pattern.clone()).is_err(), "{pattern}");
        }
    }
}
