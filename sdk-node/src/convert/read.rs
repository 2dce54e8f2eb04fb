//! From JavaScript.

use std::collections::HashMap;
use std::ffi::CStr;
use std::hash::Hash;
use std::str::FromStr;

use bytes::Bytes;
use napi::bindgen_prelude::{BigInt, BufferSlice, FromNapiValue, JsObjectValue, Object, Unknown};
use napi::{JsDate, JsValue, KeyCollectionMode, KeyConversion, KeyFilter, ValueType};
use pillion::proto::{Duration, Timestamp};

use super::{Converted, Mismatch, Names, Read};

const NANOS: i128 = 1_000_000_000;
const NANOS_PER_MILLI: f64 = 1e6;
/// The integers that a number of JavaScript can tell apart (`Number.MAX_SAFE_INTEGER`).
const SAFE: f64 = 9_007_199_254_740_991.0;
/// Below this the nanoseconds of a number of milliseconds can be told apart.
const EXACT_MILLIS: f64 = SAFE / NANOS_PER_MILLI;

/// The fields of an object.
pub struct Fields<'a>(Object<'a>);

impl<'a> Fields<'a> {
    /// Those of an object.
    pub fn of(value: Unknown<'a>) -> Converted<Self> {
        object(value).map(Self)
    }

    /// The value of a field, unless it is absent.
    fn value(&self, name: &CStr) -> Converted<Option<Unknown<'a>>> {
        let value: Unknown<'a> = self.0.get_c_named_property_unchecked(name)?;
        Ok(match value.get_type()? {
            ValueType::Undefined | ValueType::Null => None,
            _ => Some(value),
        })
    }

    /// A field that may be absent.
    pub fn optional<T>(&self, name: &CStr, read: impl FnOnce(Unknown<'a>) -> Converted<T>) -> Converted<Option<T>> {
        self.value(name)?.map(read).transpose().map_err(|mismatch| mismatch.at(&name.to_string_lossy()))
    }

    /// A field whose absence is its zero value.
    pub fn single<T: Default>(&self, name: &CStr, read: impl FnOnce(Unknown<'a>) -> Converted<T>) -> Converted<T> {
        Ok(self.optional(name, read)?.unwrap_or_default())
    }

    /// A list: an array.
    pub fn list<T>(&self, name: &CStr, read: impl Fn(Unknown<'a>) -> Converted<T>) -> Converted<Vec<T>> {
        self.single(name, |value| {
            let array = object(value)?;
            if !array.is_array()? {
                return Err(Mismatch::new("must be an array"));
            }
            (0..array.get_array_length()?)
                .map(|at| read(array.get_element(at)?).map_err(|mismatch| mismatch.at(&format!("[{at}]"))))
                .collect()
        })
    }

    /// A map: an object.
    pub fn map<K: FromStr + Eq + Hash, T>(
        &self,
        name: &CStr,
        read: impl Fn(Unknown<'a>) -> Converted<T>,
    ) -> Converted<HashMap<K, T>> {
        self.single(name, |value| {
            let map = object(value)?;
            let names = map.get_all_property_names(
                KeyCollectionMode::OwnOnly,
                KeyFilter::Enumerable,
                KeyConversion::NumbersToStrings,
            )?;
            let mut entries = HashMap::new();
            for at in 0..names.get_array_length()? {
                let name: Unknown<'a> = names.get_element(at)?;
                if name.get_type()? != ValueType::String {
                    continue;
                }
                let text = string(name)?;
                let key =
                    text.parse().map_err(|_| Mismatch::new("has the wrong type of key").at(&format!("[{text:?}]")))?;
                let value: Unknown<'a> = map.get_property_unchecked(name)?;
                entries.insert(key, read(value).map_err(|mismatch| mismatch.at(&format!("[{text:?}]")))?);
            }
            Ok(entries)
        })
    }

    /// A tagged union: `{case, value}`.
    pub fn choice<T>(
        &self,
        name: &CStr,
        read: impl FnOnce(&str, Unknown<'a>) -> Option<Converted<T>>,
    ) -> Converted<Option<T>> {
        self.optional(name, |choice| {
            let choice = Fields::of(choice)?;
            let Some(case) = choice.optional(c"case", string)? else {
                return Err(Mismatch::new("must say which it is").at("case"));
            };
            let value = choice.0.get_c_named_property_unchecked(c"value")?;
            match read(&case, value) {
                Some(value) => value.map_err(|mismatch| mismatch.at("value")),
                None => Err(Mismatch::new(format!("cannot be {case:?}")).at("case")),
            }
        })
    }
}

fn wrong<T>(value: Unknown<'_>, wanted: &str) -> Converted<T> {
    let found = match value.get_type()? {
        ValueType::BigInt => "a bigint".to_owned(),
        ValueType::Undefined | ValueType::Null => "absent".to_owned(),
        ValueType::Object => "an object".to_owned(),
        found => format!("a {}", found.to_string().to_lowercase()),
    };
    Err(Mismatch::new(format!("must be {wanted}, but is {found}")))
}

fn object(value: Unknown<'_>) -> Converted<Object<'_>> {
    match value.get_type()? {
        ValueType::Object => Ok(Object::from_unknown(value)?),
        _ => wrong(value, "an object"),
    }
}

/// A message. What is absent is an empty one.
pub fn message<M: Read>(value: Unknown<'_>) -> Converted<M> {
    M::read(&Fields::of(value)?)
}

/// A text.
pub fn string(value: Unknown<'_>) -> Converted<String> {
    match value.get_type()? {
        ValueType::String => Ok(String::from_unknown(value)?),
        _ => wrong(value, "a string"),
    }
}

/// A yes or no.
pub fn boolean(value: Unknown<'_>) -> Converted<bool> {
    match value.get_type()? {
        ValueType::Boolean => Ok(bool::from_unknown(value)?),
        _ => wrong(value, "a boolean"),
    }
}

/// A number.
pub fn double(value: Unknown<'_>) -> Converted<f64> {
    match value.get_type()? {
        ValueType::Number => Ok(f64::from_unknown(value)?),
        _ => wrong(value, "a number"),
    }
}

/// A number of less precision.
#[allow(clippy::cast_possible_truncation)] // it is what the field can hold
pub fn float(value: Unknown<'_>) -> Converted<f32> {
    Ok(double(value)? as f32)
}

/// A whole number, given as a number or a bigint.
fn integer(value: Unknown<'_>, wanted: &str) -> Converted<i128> {
    match value.get_type()? {
        ValueType::Number => {
            let number = f64::from_unknown(value)?;
            #[allow(clippy::cast_possible_truncation)] // it was compared with what fits
            let whole = number as i128;
            let exact = number.fract() == 0.0 && number.abs() <= SAFE;
            if exact { Ok(whole) } else { Err(Mismatch::new(format!("must be {wanted}, but is {number}"))) }
        }
        ValueType::BigInt => {
            let (number, lossless) = BigInt::from_unknown(value)?.get_i128();
            if lossless { Ok(number) } else { Err(Mismatch::new(format!("must be {wanted}, but is larger"))) }
        }
        _ => wrong(value, wanted),
    }
}

fn fitting<T: TryFrom<i128>>(value: Unknown<'_>, wanted: &str) -> Converted<T> {
    let number = integer(value, wanted)?;
    T::try_from(number).map_err(|_| Mismatch::new(format!("must be {wanted}, but is {number}")))
}

/// A whole number of 32 bits.
pub fn int32(value: Unknown<'_>) -> Converted<i32> {
    fitting(value, "a whole number of 32 bits")
}

/// A whole number of 32 bits that is not negative.
pub fn uint32(value: Unknown<'_>) -> Converted<u32> {
    fitting(value, "a whole number of 32 bits that is not negative")
}

/// A whole number of 64 bits.
pub fn int64(value: Unknown<'_>) -> Converted<i64> {
    fitting(value, "a whole number of 64 bits")
}

/// A whole number of 64 bits that is not negative.
pub fn uint64(value: Unknown<'_>) -> Converted<u64> {
    fitting(value, "a whole number of 64 bits that is not negative")
}

/// A `Buffer`, a `Uint8Array` or another view. It is copied: JavaScript may change it later.
pub fn bytes(value: Unknown<'_>) -> Converted<Bytes> {
    if value.get_type()? == ValueType::Object && (value.is_buffer()? || value.is_typedarray()?) {
        return Ok(Bytes::copy_from_slice(&BufferSlice::from_unknown(value)?));
    }
    wrong(value, "a Buffer or Uint8Array")
}

/// An enum's value: its name, or the number of one that this version does not know.
pub fn enumeration<E: Names>(value: Unknown<'_>) -> Converted<i32> {
    if value.get_type()? == ValueType::Number {
        return int32(value);
    }
    let name = string(value)?;
    let found = E::NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<_> = E::NAMES.iter().map(|(known, _)| format!("{known:?}")).collect();
        Mismatch::new(format!("is {name:?}, and must be one of {}", names.join(", ")))
    })
}

/// A `Date`, with what `lib/time.js` adds below the millisecond.
pub fn timestamp(value: Unknown<'_>) -> Converted<Timestamp> {
    if value.get_type()? != ValueType::Object || !value.is_date()? {
        return wrong(value, "a Date");
    }
    let millis = JsDate::from_unknown(value)?.value_of()?;
    if !millis.is_finite() {
        return Err(Mismatch::new("is an invalid Date"));
    }
    let below = Fields(Object::from_unknown(value)?).single(c"nanoseconds", uint32)?;
    #[allow(clippy::cast_possible_truncation)] // a Date is a whole number of 53 bits
    let nanos = millis as i128 * 1_000_000 + i128::from(below);
    let (seconds, nanos) = (nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS));
    let outside = |_| Mismatch::new("is outside of what a time can be");
    Ok(Timestamp { seconds: seconds.try_into().map_err(outside)?, nanos: nanos.try_into().map_err(outside)? })
}

/// A number of milliseconds; the nanoseconds are behind the point.
pub fn duration(value: Unknown<'_>) -> Converted<Duration> {
    let ValueType::Number = value.get_type()? else { return wrong(value, "a number of milliseconds") };
    let millis = f64::from_unknown(value)?;
    let nanos = if millis.abs() < EXACT_MILLIS { millis * NANOS_PER_MILLI } else { millis.trunc() * NANOS_PER_MILLI };
    if !nanos.is_finite() {
        return Err(Mismatch::new(format!("must be a number of milliseconds, but is {millis}")));
    }
    #[allow(clippy::cast_possible_truncation)] // finite, and saturating beyond
    let nanos = if millis.abs() < EXACT_MILLIS { nanos.round() as i128 } else { millis.trunc() as i128 * 1_000_000 };
    let outside = |_| Mismatch::new("is outside of what a duration can be");
    // Both parts have the sign of the whole, as the type demands.
    Ok(Duration { seconds: (nanos / NANOS).try_into().map_err(outside)?, nanos: (nanos % NANOS) as i32 })
}
