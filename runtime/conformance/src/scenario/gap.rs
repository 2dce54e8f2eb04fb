//! Known gaps: scenarios that cannot pass somewhere because of a limit of an engine.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::format::Scenario;
use super::report::Cell;

/// The name of the file, beside the scenarios.
pub const FILE: &str = "gaps.yaml";

/// A list of known gaps.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gaps {
    gaps: Vec<Gap>,
}

/// One gap. `*` as language, mode or store means every one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {
    scenario: String,
    lang: String,
    mode: String,
    store: String,
    /// The limit of the engine. "Not yet" is none.
    reason: String,
}

impl Gaps {
    /// Reads the list; a missing file is an empty one.
    ///
    /// # Errors
    /// A file that is wrong, or names a scenario that does not exist.
    pub fn read(folder: &Path, scenarios: &[Scenario]) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text, scenarios).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, scenarios: &[Scenario]) -> Result<Self> {
        let gaps: Self = serde_saphyr::from_str(text)?;
        for gap in &gaps.gaps {
            ensure!(!gap.reason.trim().is_empty(), "the gap of `{}` has no reason", gap.scenario);
            if !scenarios.iter().any(|scenario| scenario.name == gap.scenario) {
                bail!("there is no scenario `{}`", gap.scenario);
            }
        }
        Ok(gaps)
    }

    /// Why `scenario` is not expected to pass there, if it is not.
    pub fn reason(&self, scenario: &str, cell: &Cell) -> Option<&str> {
        let matches = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        let gap = self.gaps.iter().find(|gap| {
            gap.scenario == scenario
                && matches(&gap.lang, &cell.lang)
                && matches(&gap.mode, cell.mode.name())
                && matches(&gap.store, cell.store)
        });
        gap.map(|gap| gap.reason.as_str())
    }
}
