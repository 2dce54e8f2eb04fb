//! The one error that goes across. Each language makes an exception of its own of it, by its category.

use std::fmt;

use pillion::Reason;
use pillion::proto::common::v1 as common;

use crate::r#gen::types::ErrorInfo;

/// Why a call failed.
#[derive(Debug, uniffi::Error)]
pub enum FfiError {
    /// The only form; UniFFI asks for one.
    Failed {
        /// What every language shows.
        info: ErrorInfo,
    },
}

impl fmt::Display for FfiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Failed { info } = self;
        write!(f, "{}: {}", info.reason, info.message)
    }
}

impl std::error::Error for FfiError {}

impl From<pillion::Error> for FfiError {
    fn from(error: pillion::Error) -> Self {
        Self::Failed { info: common::Error::from(&error).into() }
    }
}

/// The error of a call whose caller cancelled it. It may have come too late.
pub(crate) fn cancelled() -> pillion::Error {
    pillion::Error::new(Reason::RequestCancelled, "the call was cancelled").outcome_unknown()
}

/// The error of a call that panicked on this side of the crossing.
pub(crate) fn panicked() -> pillion::Error {
    pillion::Error::new(Reason::RuntimePanic, "the call panicked").outcome_unknown()
}
