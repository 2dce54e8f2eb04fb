//! To JavaScript.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fmt::Display;

use bytes::Bytes;
use napi::bindgen_prelude::{Array, BufferSlice, JsObjectValue, Object, ToNapiValue, Unknown};
use napi::{Env, JsValue, Property, PropertyAttributes, Result};
use pillion::proto::{Duration, Timestamp};

use super::{Names, Write};

/// From this size on bytes are handed over; smaller ones are quicker to copy than to watch over.
const HAND_OVER: usize = 64 << 10;
/// As properties that were assigned.
const ORDINARY: PropertyAttributes =
    PropertyAttributes::Writable.union(PropertyAttributes::Enumerable).union(PropertyAttributes::Configurable);

/// An object to which fields are added.
pub struct Building<'env> {
    env: &'env Env,
    object: Object<'env>,
}

impl<'env> Building<'env> {
    /// A field that is always there.
    pub fn single<T>(
        &mut self,
        name: &CStr,
        value: T,
        write: impl FnOnce(&'env Env, T) -> Result<Unknown<'env>>,
    ) -> Result<()> {
        let value = write(self.env, value)?;
        self.object.set_c_named_property(name, value)
    }

    /// A field that is left out where it is absent.
    pub fn optional<T>(
        &mut self,
        name: &CStr,
        value: Option<T>,
        write: impl FnOnce(&'env Env, T) -> Result<Unknown<'env>>,
    ) -> Result<()> {
        value.map_or(Ok(()), |value| self.single(name, value, write))
    }

    /// A list: an array.
    pub fn list<T>(
        &mut self,
        name: &CStr,
        values: Vec<T>,
        write: impl Fn(&'env Env, T) -> Result<Unknown<'env>>,
    ) -> Result<()> {
        let mut array: Array<'env> = self.env.create_array(u32::try_from(values.len()).unwrap_or(u32::MAX))?;
        for (at, value) in (0..).zip(values) {
            array.set_element(at, write(self.env, value)?)?;
        }
        self.object.set_c_named_property(name, array)
    }

    /// A map: an object.
    pub fn map<K: Display, T>(
        &mut self,
        name: &CStr,
        entries: HashMap<K, T>,
        write: impl Fn(&'env Env, T) -> Result<Unknown<'env>>,
    ) -> Result<()> {
        let mut map = Object::new(self.env)?;
        for (key, value) in entries {
            let value = write(self.env, value)?;
            // Defined, not assigned: `__proto__` is a key like any other.
            let property = Property::new().with_name(self.env, key.to_string())?.with_value(&value);
            map.define_properties(&[property.with_property_attributes(ORDINARY)])?;
        }
        self.object.set_c_named_property(name, map)
    }

    /// A tagged union: `{case, value}`.
    pub fn choice<T>(
        &mut self,
        name: &CStr,
        case: &str,
        value: T,
        write: impl FnOnce(&'env Env, T) -> Result<Unknown<'env>>,
    ) -> Result<()> {
        let mut choice = Object::new(self.env)?;
        choice.set_c_named_property(c"case", case)?;
        choice.set_c_named_property(c"value", write(self.env, value)?)?;
        self.object.set_c_named_property(name, choice)
    }
}

/// A message, as an object.
pub fn write_message<M: Write>(env: &Env, message: M) -> Result<Unknown<'_>> {
    let mut building = Building { env, object: Object::new(env)? };
    message.write(&mut building)?;
    Ok(building.object.to_unknown())
}

/// A text, yes or no, or a number that JavaScript can hold.
pub fn write_plain<T: ToNapiValue>(env: &Env, value: T) -> Result<Unknown<'_>> {
    value.into_unknown(env)
}

/// A number of less precision.
pub fn write_float(env: &Env, value: f32) -> Result<Unknown<'_>> {
    f64::from(value).into_unknown(env)
}

/// A bigint.
pub fn write_int64(env: &Env, value: i64) -> Result<Unknown<'_>> {
    napi::bindgen_prelude::BigInt::from(value).into_unknown(env)
}

/// A bigint.
pub fn write_uint64(env: &Env, value: u64) -> Result<Unknown<'_>> {
    napi::bindgen_prelude::BigInt::from(value).into_unknown(env)
}

/// A `Buffer`.
pub fn write_bytes(env: &Env, value: Bytes) -> Result<Unknown<'_>> {
    let buffer =
        if value.len() < HAND_OVER { BufferSlice::copy_from(env, value) } else { BufferSlice::from_data(env, value) };
    Ok(buffer?.to_unknown())
}

/// The name of an enum's value, or the number of one that this version does not know.
pub fn write_enumeration<E: Names>(env: &Env, value: i32) -> Result<Unknown<'_>> {
    match E::NAMES.iter().find(|(_, number)| *number == value) {
        Some((name, _)) => (*name).into_unknown(env),
        None => value.into_unknown(env),
    }
}

/// A `Date`; what is below its millisecond is its property `nanoseconds`, if there is any.
pub fn write_timestamp(env: &Env, value: Timestamp) -> Result<Unknown<'_>> {
    let below = value.nanos.rem_euclid(1_000_000);
    let millis = value.seconds.saturating_mul(1000).saturating_add(i64::from(value.nanos.div_euclid(1_000_000)));
    #[allow(clippy::cast_precision_loss)] // a Date has 53 bits
    let mut date = env.create_date(millis as f64)?;
    if below != 0 {
        let property = Property::new()
            .with_utf8_name("nanoseconds")?
            .with_property_attributes(PropertyAttributes::Default)
            .with_value(&below.into_unknown(env)?);
        date.define_properties(&[property])?;
    }
    Ok(date.to_unknown())
}

/// A number of milliseconds.
pub fn write_duration(env: &Env, value: Duration) -> Result<Unknown<'_>> {
    #[allow(clippy::cast_precision_loss)] // beyond 104 days it is exact to the microsecond, and so on
    let millis = value.seconds as f64 * 1000.0;
    let nanos = f64::from(value.nanos);
    let exact = (value.seconds as f64).abs() < 9e6;
    (if exact { (millis * 1e6 + nanos) / 1e6 } else { millis + nanos / 1e6 }).into_unknown(env)
}
