//! What is stored: bytes with a content type, and the Rust types they are made from and read as.

use bytes::Bytes;
use pillion_proto::{Error, Reason, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use pillion_proto::common::v1::Value;

const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What can be stored.
///
/// | type | content type |
/// |---|---|
/// | [`Bytes`], `Vec<u8>`, `&[u8]` | `application/octet-stream` |
/// | `String`, `&str` | `text/plain; charset=utf-8` |
/// | [`Json<T>`] | `application/json` |
/// | [`Value`] | its own |
pub trait IntoValue {
    /// The bytes and their content type.
    ///
    /// # Errors
    /// `value.malformed` if it cannot be written as its content type.
    fn into_value(self) -> Result<Value>;
}

/// What stored values can be read as.
///
/// The content type decides. Bytes of any type can be read as [`Bytes`], `Vec<u8>` and [`Value`];
/// text only as `String`; JSON only as [`Json<T>`]; anything else is the error
/// `value.content_type_mismatch`. A value *without* a content type, as other clients of the same
/// backend may have written it, is read as the type that is asked for.
pub trait FromValue: Sized {
    /// Reads a value.
    ///
    /// # Errors
    /// `value.content_type_mismatch`, or `value.malformed` if the bytes are not what the content
    /// type says.
    fn from_value(value: Value) -> Result<Self>;
}

/// A value that is stored as JSON.
///
/// ```
/// # use pillion::{FromValue, IntoValue, Json};
/// let value = Json(vec![1, 2]).into_value()?;
/// assert_eq!((&value.data[..], &value.content_type[..]), (&b"[1,2]"[..], "application/json"));
/// let Json(list): Json<Vec<u32>> = Json::from_value(value)?;
/// assert_eq!(list, [1, 2]);
/// # Ok::<(), pillion::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl IntoValue for Value {
    fn into_value(self) -> Result<Value> {
        Ok(self)
    }
}

impl IntoValue for Bytes {
    fn into_value(self) -> Result<Value> {
        Ok(Value { data: self, content_type: BYTES.to_owned() })
    }
}

impl IntoValue for Vec<u8> {
    fn into_value(self) -> Result<Value> {
        Bytes::from(self).into_value()
    }
}

impl IntoValue for &[u8] {
    fn into_value(self) -> Result<Value> {
        Bytes::copy_from_slice(self).into_value()
    }
}

impl<const N: usize> IntoValue for &[u8; N] {
    fn into_value(self) -> Result<Value> {
        self.as_slice().into_value()
    }
}

impl IntoValue for String {
    fn into_value(self) -> Result<Value> {
        Ok(Value { data: self.into(), content_type: TEXT.to_owned() })
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Result<Value> {
        self.to_owned().into_value()
    }
}

impl<T: Serialize> IntoValue for Json<T> {
    fn into_value(self) -> Result<Value> {
        let data = serde_json::to_vec(&self.0)
            .map_err(|error| Error::new(Reason::ValueMalformed, "the value cannot be written as JSON").source(error))?;
        Ok(Value { data: data.into(), content_type: JSON.to_owned() })
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self> {
        Ok(value)
    }
}

impl FromValue for Bytes {
    fn from_value(value: Value) -> Result<Self> {
        Ok(value.data)
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self> {
        Ok(value.data.into())
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self> {
        MediaType::of(&value).expect(MediaType::is_text, "text")?;
        Self::from_utf8(value.data.into())
            .map_err(|error| Error::new(Reason::ValueMalformed, "the text is not UTF-8").source(error))
    }
}

impl<T: DeserializeOwned> FromValue for Json<T> {
    fn from_value(value: Value) -> Result<Self> {
        MediaType::of(&value).expect(MediaType::is_json, "JSON")?;
        serde_json::from_slice(&value.data).map(Self).map_err(|error| {
            let message = format!("the value cannot be read as {}", std::any::type_name::<T>());
            Error::new(Reason::ValueMalformed, message).source(error)
        })
    }
}

/// Reads nothing: for whom the key is enough.
impl FromValue for () {
    fn from_value(_: Value) -> Result<Self> {
        Ok(())
    }
}

/// A media type (RFC 9110, 8.3.1).
struct MediaType<'a> {
    text: &'a str,
    /// `type/subtype`.
    essence: &'a str,
    charset: Option<&'a str>,
}

impl<'a> MediaType<'a> {
    fn of(value: &'a Value) -> Self {
        let text = value.content_type.as_str();
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let charset = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("charset"))
            .map(|(_, charset)| charset.trim_matches('"'));
        Self { text, essence, charset }
    }

    fn is_text(&self) -> bool {
        let unicode =
            |charset: &str| ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
        self.essence.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"))
            && self.charset.is_none_or(unicode)
    }

    fn is_json(&self) -> bool {
        let suffix = self.essence.len().checked_sub("+json".len()).and_then(|at| self.essence.get(at..));
        self.essence.eq_ignore_ascii_case(JSON) || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
    }

    fn expect(&self, fits: impl FnOnce(&Self) -> bool, wanted: &str) -> Result<()> {
        if self.essence.is_empty() || fits(self) {
            return Ok(());
        }
        let message = format!("the value is `{}` and was to be read as {wanted}", self.text);
        Err(Error::new(Reason::ValueContentTypeMismatch, message).with("content_type", self.text))
    }
}
