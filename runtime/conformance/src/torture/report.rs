//! What is printed, and the sum at the end.

use anyhow::Result;

/// So many violations of one case are shown.
const SHOWN: usize = 8;

/// How a case went.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What was done, in figures.
    pub figures: String,
    /// What must not be.
    pub violations: Vec<String>,
}

impl Verdict {
    /// Passed, unless there are `violations`.
    pub fn new(figures: impl Into<String>, violations: Vec<String>) -> Self {
        Self { figures: figures.into(), violations }
    }

    /// Adds a violation unless `holds`.
    #[must_use]
    pub fn require(mut self, holds: bool, what: impl Into<String>) -> Self {
        if !holds {
            self.violations.push(what.into());
        }
        self
    }
}

/// The sum of all cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Prints and counts a case. One that could not be carried out has failed.
    pub fn case(&mut self, name: &str, verdict: Result<Verdict>) {
        let verdict = verdict.unwrap_or_else(|error| Verdict::new("not carried out", vec![format!("{error:#}")]));
        let passed = verdict.violations.is_empty();
        self.passed += usize::from(passed);
        self.failed += usize::from(!passed);
        println!("{} {name:<34} {}", if passed { "ok    " } else { "FAILED" }, verdict.figures);
        for violation in verdict.violations.iter().take(SHOWN) {
            println!("         {}", violation.replace('\n', "\n         "));
        }
        if let Some(more @ 1..) = verdict.violations.len().checked_sub(SHOWN) {
            println!("         and {more} more");
        }
    }

    /// Whether every case passed, and there was one.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_could_not_be_carried_out_has_failed() {
        let mut report = Report::default();
        assert!(!report.is_good());
        report.case("fine", Ok(Verdict::new("", Vec::new()).require(true, "no")));
        assert!(report.is_good());
        report.case("not fine", Ok(Verdict::default().require(false, "no")));
        report.case("impossible", Err(anyhow::anyhow!("no")));
        assert_eq!(report.to_string(), "1 passed, 2 failed");
        assert!(!report.is_good());
    }
}
