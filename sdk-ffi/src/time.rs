//! Moments and lengths of time. UniFFI's own types for them know neither negative lengths nor the
//! second before 1970, so both go across as numbers and each language has a type of its own for them.

use pillion::proto;

/// Seconds, and the nanoseconds that come on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct TimeParts {
    /// Whole seconds; negative for what lies behind.
    pub seconds: i64,
    /// Below a second. For a moment never negative, for a length of the sign of the seconds.
    pub nanos: i32,
}

/// A moment, counted from the beginning of 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub TimeParts);

/// A length of time, which may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub TimeParts);

uniffi::custom_type!(Timestamp, TimeParts, {
    lower: |timestamp| timestamp.0,
    try_lift: |parts| Ok(Timestamp(parts)),
});
uniffi::custom_type!(Span, TimeParts, {
    lower: |span| span.0,
    try_lift: |parts| Ok(Span(parts)),
});

impl From<proto::Timestamp> for Timestamp {
    fn from(theirs: proto::Timestamp) -> Self {
        Self(TimeParts { seconds: theirs.seconds, nanos: theirs.nanos })
    }
}

impl From<Timestamp> for proto::Timestamp {
    fn from(ours: Timestamp) -> Self {
        Self { seconds: ours.0.seconds, nanos: ours.0.nanos }
    }
}

impl From<proto::Duration> for Span {
    fn from(theirs: proto::Duration) -> Self {
        Self(TimeParts { seconds: theirs.seconds, nanos: theirs.nanos })
    }
}

impl From<Span> for proto::Duration {
    fn from(ours: Span) -> Self {
        Self { seconds: ours.0.seconds, nanos: ours.0.nanos }
    }
}

impl From<Span> for std::time::Duration {
    /// What is negative is no time at all.
    fn from(span: Span) -> Self {
        proto::Duration::from(span).try_into().unwrap_or_default()
    }
}
