//! What wraps every call, whoever makes it.

pub mod authorize;
pub mod deadline;
#[cfg(feature = "testing")]
pub mod fault;
pub mod metrics;
pub mod trace;
