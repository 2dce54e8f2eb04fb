//! One module per verb.

pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod completions;
pub(crate) mod dev;
pub(crate) mod explain;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod wait;
