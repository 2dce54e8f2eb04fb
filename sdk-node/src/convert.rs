//! Objects of JavaScript and messages of the contract.
//!
//! Generated code says which fields a message has; how each kind of field looks in JavaScript is said here.
//! An object is read leniently: what is left out, `undefined` or `null` has its default. A value of the wrong
//! type is an error that names the field.

mod read;
mod write;

use napi::bindgen_prelude::Unknown;
use napi::{Env, Result, ValueType};
use pillion::{Error, Reason};

pub use read::*;
pub use write::*;

use crate::bridge::Answer;
use crate::error::exception;

/// A message that requests hold.
pub trait Read: Sized {
    /// Reads it from an object.
    fn read(fields: &Fields<'_>) -> Converted<Self>;
}

/// A message that answers hold.
pub trait Write {
    /// Writes it into an object.
    fn write(self, object: &mut Building<'_>) -> Result<()>;
}

impl<M: Read> Read for Box<M> {
    fn read(fields: &Fields<'_>) -> Converted<Self> {
        M::read(fields).map(Self::new)
    }
}

impl<M: Write> Write for Box<M> {
    fn write(self, object: &mut Building<'_>) -> Result<()> {
        (*self).write(object)
    }
}

/// The names of an enum's values in JavaScript.
pub trait Names {
    /// With their numbers.
    const NAMES: &'static [(&'static str, i32)];
}

/// What was read.
pub type Converted<T> = std::result::Result<T, Mismatch>;

/// A value of the wrong type.
#[derive(Debug)]
pub struct Mismatch {
    /// `kinds.nesteds[3].name`, as far as it is known.
    place: String,
    problem: String,
}

impl Mismatch {
    /// What is wrong with a value; [`at`](Self::at) says where.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { place: String::new(), problem: problem.into() }
    }

    /// The same inside of `outer`.
    #[must_use]
    pub fn at(mut self, outer: &str) -> Self {
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.place = format!("{outer}{dot}{}", self.place);
        self
    }
}

impl From<napi::Error> for Mismatch {
    fn from(error: napi::Error) -> Self {
        Self::new(format!("cannot be read: {}", error.reason))
    }
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        let Mismatch { place, problem } = mismatch;
        let named = if place.is_empty() { "the request".to_owned() } else { format!("`{place}`") };
        Error::new(Reason::RequestInvalid, format!("{named} {problem}"))
    }
}

/// Reads a request.
pub fn request<M: Read>(value: Unknown<'_>) -> Result<M> {
    message(value).map_err(|mismatch| exception(&mismatch.into()))
}

/// Reads a parameter that is part of no object.
pub fn argument<'a, T>(name: &str, value: Unknown<'a>, read: impl FnOnce(Unknown<'a>) -> Converted<T>) -> Result<T> {
    read(value).map_err(|mismatch| exception(&mismatch.at(name).into()))
}

/// Reads an object that is no message of the contract; an absent one has all defaults.
pub fn settings<T: Default>(value: Unknown<'_>, read: impl FnOnce(&Fields<'_>) -> Converted<T>) -> Result<T> {
    if matches!(value.get_type()?, ValueType::Undefined | ValueType::Null) {
        return Ok(T::default());
    }
    Fields::of(value).and_then(|fields| read(&fields)).map_err(|mismatch| exception(&mismatch.into()))
}

/// The answer `message`.
pub fn answer<M: Write + Send + 'static>(message: M) -> Answer {
    Box::new(move |env: &Env| write_message(env, message))
}
