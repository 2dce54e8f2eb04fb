//! The error of every call, in every mode and language.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::common::v1 as common;
pub use crate::common::v1::{Category, Outcome};
pub use crate::r#gen::errors::Reason;

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, whether the call may have taken effect, and what to do next.
///
/// `Display` is one line for logs; `{:?}` shows everything.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    reason: Cow<'static, str>,
    known: Option<Reason>,
    category: Category,
    message: String,
    outcome: Outcome,
    retryable: bool,
    component: String,
    metadata: Vec<(Cow<'static, str>, String)>,
    retry_after: Option<Duration>,
    advice: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `reason` with a sentence that says what happened. Its outcome is
    /// [`Outcome::Rejected`] until [`outcome_unknown`](Self::outcome_unknown) says otherwise.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            reason: Cow::Borrowed(reason.name()),
            known: Some(reason),
            category: reason.category(),
            message: message.into(),
            outcome: Outcome::Rejected,
            retryable: reason.retryable(),
            component: String::new(),
            metadata: Vec::new(),
            retry_after: None,
            advice: Cow::Borrowed(reason.advice()),
            source: None,
        }))
    }

    /// Marks the call as one that may have taken effect.
    #[must_use]
    pub fn outcome_unknown(mut self) -> Self {
        self.0.outcome = Outcome::Unknown;
        self
    }

    /// Names the component that failed.
    #[must_use]
    pub fn component(mut self, component: impl Into<String>) -> Self {
        self.0.component = component.into();
        self
    }

    /// Adds a detail for programs.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.0.metadata.push((name.into(), value.to_string()));
        self
    }

    /// Says how long to wait at least before trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Replaces the reason's general advice by a better one.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.0.advice = advice.into();
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The code: `state.etag_mismatch`.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The reason, unless the runtime is newer than this program and gave one that it does not know.
    pub fn known_reason(&self) -> Option<Reason> {
        self.0.known
    }

    /// Whether this is the error `reason`.
    pub fn is(&self, reason: Reason) -> bool {
        self.0.known == Some(reason)
    }

    /// What kind of failure it was.
    pub fn category(&self) -> Category {
        self.0.category
    }

    /// What happened, in one or two sentences.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the call may have taken effect.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Whether trying again later may succeed.
    pub fn retryable(&self) -> bool {
        self.0.retryable
    }

    /// The component that failed; empty if none did.
    pub fn component_name(&self) -> &str {
        &self.0.component
    }

    /// A detail by name.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.0.metadata.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All details, in the order they were added.
    pub fn details(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.metadata.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// How long to wait at least before trying again.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What to do next.
    pub fn advice_text(&self) -> &str {
        &self.0.advice
    }

    /// The canonical gRPC status code.
    pub fn grpc_code(&self) -> i32 {
        self.0.known.map_or_else(|| self.0.category.grpc_code(), Reason::grpc_code)
    }

    /// The HTTP status.
    pub fn http_status(&self) -> u16 {
        self.0.known.map_or_else(|| self.0.category.http_status(), Reason::http_status)
    }
}

impl Category {
    /// `not_found`: the name without its prefix, in lower case.
    pub fn short_name(self) -> String {
        self.as_str_name().trim_start_matches("CATEGORY_").to_ascii_lowercase()
    }
}

impl Outcome {
    /// `rejected` or `unknown`.
    pub fn short_name(self) -> String {
        self.as_str_name().trim_start_matches("OUTCOME_").to_ascii_lowercase()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason, self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        let mut shown = f.debug_struct("Error");
        shown.field("reason", &inner.reason).field("message", &inner.message).field("outcome", &inner.outcome);
        if !inner.component.is_empty() {
            shown.field("component", &inner.component);
        }
        if !inner.metadata.is_empty() {
            shown.field("metadata", &inner.metadata);
        }
        if let Some(wait) = inner.retry_after {
            shown.field("retry_after", &wait);
        }
        if let Some(source) = &inner.source {
            shown.field("source", source);
        }
        shown.field("advice", &inner.advice).finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

impl From<&Error> for common::Error {
    fn from(error: &Error) -> Self {
        let inner = &error.0;
        Self {
            category: inner.category.into(),
            reason: inner.reason.clone().into_owned(),
            // The cause is part of the sentence for whoever cannot see `source`.
            message: match &inner.source {
                Some(source) => format!("{}: {source}", inner.message),
                None => inner.message.clone(),
            },
            outcome: inner.outcome.into(),
            retryable: inner.retryable,
            component: inner.component.clone(),
            metadata: inner.metadata.iter().map(|(name, value)| (name.clone().into_owned(), value.clone())).collect(),
            retry_after: inner.retry_after.map(Into::into),
            advice: inner.advice.clone().into_owned(),
        }
    }
}

impl From<Error> for common::Error {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<common::Error> for Error {
    fn from(error: common::Error) -> Self {
        let known = Reason::from_name(&error.reason);
        let category = error.category();
        let outcome = match error.outcome() {
            // A peer that does not say cannot be trusted to have done nothing.
            Outcome::Unspecified => Outcome::Unknown,
            said => said,
        };
        let mut metadata: Vec<_> = error.metadata.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect();
        metadata.sort();
        Self(Box::new(Inner {
            reason: known.map_or(Cow::Owned(error.reason), |known| Cow::Borrowed(known.name())),
            known,
            category,
            message: error.message,
            outcome,
            retryable: error.retryable,
            component: error.component,
            metadata,
            retry_after: error.retry_after.and_then(|wait| wait.try_into().ok()),
            advice: Cow::Owned(error.advice),
            source: None,
        }))
    }
}
