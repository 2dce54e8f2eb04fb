//! What became of the scenarios, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::mode::Mode;

/// Where a scenario was played.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// The language; `http` where there is none.
    pub lang: String,
    /// The mode.
    pub mode: Mode,
    /// The store.
    pub store: &'static str,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {} · {}", self.lang, self.mode, self.store)
    }
}

/// How a scenario ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "ended", rename_all = "lowercase")]
pub enum Ending {
    /// As it should.
    Passed,
    /// Otherwise.
    Failed {
        /// How.
        problem: String,
    },
    /// Otherwise, for a reason that is known and listed.
    Gap {
        /// The reason.
        reason: String,
    },
    /// It says nothing here.
    Unsupported {
        /// What the store or the mode does not have.
        need: String,
    },
}

/// One scenario somewhere.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The group.
    pub group: String,
    /// The scenario.
    pub scenario: String,
    /// Where.
    #[serde(flatten)]
    pub cell: Cell,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
    /// How long it took, the start of a runtime of its own included.
    pub milliseconds: u64,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    gap: usize,
    unsupported: usize,
}

impl Counts {
    fn add(&mut self, ending: &Ending) {
        match ending {
            Ending::Passed => self.passed += 1,
            Ending::Failed { .. } => self.failed += 1,
            Ending::Gap { .. } => self.gap += 1,
            Ending::Unsupported { .. } => self.unsupported += 1,
        }
    }
}

impl Report {
    /// Adds a line.
    pub fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// The lines in the order in which they were added.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many scenarios passed.
    pub fn passed(&self) -> usize {
        self.lines.iter().filter(|line| line.ending == Ending::Passed).count()
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.ending, Ending::Failed { .. })).count()
    }
}

impl fmt::Display for Report {
    /// The table, group × language × mode × store, and one plain line: `12 passed, 0 failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: BTreeMap<(&str, &Cell), Counts> = BTreeMap::new();
        let mut sums: BTreeMap<&Cell, Counts> = BTreeMap::new();
        for line in &self.lines {
            rows.entry((&line.group, &line.cell)).or_default().add(&line.ending);
            sums.entry(&line.cell).or_default().add(&line.ending);
        }
        writeln!(
            f,
            "{:<24} {:<10} {:<9} {:<7} {:>6} {:>6} {:>4} {:>12}",
            "group", "lang", "mode", "store", "passed", "failed", "gap", "unsupported"
        )?;
        for ((group, cell), counts) in rows {
            row(f, group, cell, counts)?;
        }
        for (cell, counts) in sums {
            row(f, "(all)", cell, counts)?;
        }
        for line in &self.lines {
            if let Ending::Gap { reason } = &line.ending {
                writeln!(f, "gap: {} ({}): {reason}", line.scenario, line.cell)?;
            }
        }
        writeln!(f, "{} passed, {} failed", self.passed(), self.failed())
    }
}

fn row(f: &mut fmt::Formatter<'_>, group: &str, cell: &Cell, counts: Counts) -> fmt::Result {
    let Cell { lang, mode, store } = cell;
    let Counts { passed, failed, gap, unsupported } = counts;
    writeln!(f, "{group:<24} {lang:<10} {mode:<9} {store:<7} {passed:>6} {failed:>6} {gap:>4} {unsupported:>12}")
}
