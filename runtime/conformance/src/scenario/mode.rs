//! How a runtime is reached.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How a runtime is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The driver's own process hosts it.
    Embedded,
    /// A sidecar, to which the driver speaks as its SDK does.
    Grpc,
    /// A sidecar, to which this program speaks HTTP itself, without any SDK.
    Http,
}

impl Mode {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Grpc, Self::Http];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
