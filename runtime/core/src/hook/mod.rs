//! What wraps every call, whoever makes it.

pub mod authorize;
pub mod deadline;
pub mod metrics;
pub mod trace;
