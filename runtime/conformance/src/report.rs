//! The table at the end: component type × suite.

use std::collections::BTreeMap;
use std::fmt;

/// What became of the cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    rows: BTreeMap<(String, usize), (&'static str, Counts)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    started: usize,
    passed: usize,
    unsupported: usize,
}

/// How a case ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It passed.
    Passed,
    /// The store does not declare what it needs.
    Unsupported,
}

impl Report {
    /// A case of a suite, the `index`th, was begun. What is not [`ended`](Self::ended) has failed.
    pub fn began(&mut self, kind: &str, index: usize, suite: &'static str) {
        self.rows.entry((kind.to_owned(), index)).or_insert((suite, Counts::default())).1.started += 1;
    }

    /// A case ended without failing.
    pub fn ended(&mut self, kind: &str, index: usize, how: Ended) {
        if let Some((_, counts)) = self.rows.get_mut(&(kind.to_owned(), index)) {
            match how {
                Ended::Passed => counts.passed += 1,
                Ended::Unsupported => counts.unsupported += 1,
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sums: BTreeMap<&str, Counts> = BTreeMap::new();
        writeln!(f, "{:<18} {:<14} {:>7} {:>7} {:>12}", "type", "suite", "passed", "failed", "unsupported")?;
        for ((kind, _), (suite, counts)) in &self.rows {
            row(f, kind, suite, *counts)?;
            let sum = sums.entry(kind).or_default();
            sum.started += counts.started;
            sum.passed += counts.passed;
            sum.unsupported += counts.unsupported;
        }
        for (kind, sum) in sums {
            row(f, kind, "(all)", sum)?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, kind: &str, suite: &str, counts: Counts) -> fmt::Result {
    let Counts { started, passed, unsupported } = counts;
    let failed = started - passed - unsupported;
    writeln!(f, "{kind:<18} {suite:<14} {passed:>7} {failed:>7} {unsupported:>12}")
}
