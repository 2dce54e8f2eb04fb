//! The error of a component.
//!
//! It is smaller than the public one on purpose: a component says *what* went wrong and whether
//! the operation may have taken effect; the core, which knows the caller and the component's name,
//! turns it into the public error once.

use std::fmt;

/// The result of a component call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request can never succeed as it is.
    Invalid,
    /// The component's configuration can never work as it is; opening is not retried.
    Config,
    /// The backend refused the credentials or the operation.
    Denied,
    /// The idempotency key belongs to another call.
    Reused,
    /// A limit was reached: memory, disk space, quota.
    Exhausted,
    /// The backend cannot be reached or is not ready; a later attempt may succeed.
    Unavailable,
    /// The backend did not answer in time.
    Deadline,
    /// The component does not offer this operation.
    Unsupported,
    /// Stored data cannot be read back as it was written.
    Corrupt,
    /// A defect in the component.
    Internal,
}

/// Whether a failed write may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It surely has not.
    Rejected,
    /// It may have: the answer was lost after the request was sent.
    Unknown,
}

/// A failure of a component.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    outcome: Outcome,
    message: String,
    advice: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` with a sentence that says what happened; outcome [`Outcome::Rejected`].
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, outcome: Outcome::Rejected, message: message.into(), advice: None, source: None }
    }

    /// [`Kind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// [`Kind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// [`Kind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// [`Kind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// [`Kind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Marks the operation as one that may have taken effect.
    #[must_use]
    pub fn outcome_unknown(mut self) -> Self {
        self.outcome = Outcome::Unknown;
        self
    }

    /// Adds what the reader should do next, as one sentence.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The error that caused this one, on its own.
    pub fn into_source(self) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        self.source
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the operation may have taken effect.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What happened, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, if there is something.
    pub fn advice_text(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
