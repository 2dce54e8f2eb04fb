//! What is measured, by kind. Every section measures once a round, so that whatever disturbs the
//! machine for a while disturbs Pillion and its peers alike.

mod durable;
mod footprint;
mod inprocess;
mod latency;
mod load;

use anyhow::Result;

use crate::bench::Bench;
use crate::report::Group;

/// Figures of one kind.
pub trait Section {
    /// Measures once.
    fn round(&mut self, bench: &Bench) -> Result<()>;

    /// What all rounds gave, and what is measured only once.
    fn finish(&mut self, bench: &Bench) -> Result<Group>;
}

/// The kinds of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One call in flight: p50 and p99.
    Latency,
    /// Many calls in flight: calls per second and CPU per call.
    Load,
    /// Calls within one process.
    Inprocess,
    /// Writes that survive a loss of power.
    Durable,
    /// Memory, start, idle CPU, size.
    Footprint,
}

impl Kind {
    /// The section of this kind.
    pub fn section(self, bench: &Bench) -> Result<Box<dyn Section>> {
        Ok(match self {
            Self::Latency => Box::<latency::Latency>::default(),
            Self::Load => Box::<load::Loads>::default(),
            Self::Inprocess => Box::<inprocess::InProcess>::default(),
            Self::Durable => Box::<durable::Durable>::default(),
            Self::Footprint => Box::new(footprint::Footprint::start(bench)?),
        })
    }
}
