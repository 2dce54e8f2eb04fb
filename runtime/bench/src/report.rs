//! What was measured, beside what is to be reached.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::stats::Series;

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Target {
    /// By which part of the target `figure` misses it; `None` if it is reached.
    fn missed(self, figure: f64) -> Option<f64> {
        let over = match self {
            Self::AtMost(limit) => figure / limit - 1.0,
            Self::AtLeast(limit) => 1.0 - figure / limit,
        };
        (over > 0.0).then_some(over)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

/// One figure.
#[derive(Clone, Debug)]
pub struct Row {
    name: String,
    unit: &'static str,
    series: Series,
    target: Option<Target>,
}

impl Row {
    /// A figure in `unit`, without a target.
    pub fn new(name: impl Into<String>, unit: &'static str, series: Series) -> Self {
        Self { name: name.into(), unit, series, target: None }
    }

    /// Says what the figure has to be.
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }
}

/// The figures of one kind.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The figures.
    pub rows: Vec<Row>,
}

/// All that was measured, and under which conditions.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// How it was measured.
    pub method: Method,
    /// The figures.
    pub groups: Vec<Group>,
}

/// How it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Method {
    /// How often each window was repeated; every figure is the median.
    pub rounds: u32,
    /// The length of a window, in seconds.
    pub seconds: f64,
    /// The program that was measured.
    pub pillion: String,
}

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let Method { rounds, seconds, pillion } = &self.method;
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{pillion}\n{rounds} interleaved rounds, windows of {seconds} s; median (least – most)");
        for note in self.machine.notes() {
            let _ = writeln!(text, "note: {note}");
        }
        for group in &self.groups {
            let _ = writeln!(text, "\n{}", group.title);
            for row in &group.rows {
                let _ = writeln!(text, "  {}", line(row));
            }
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let groups = self
            .groups
            .iter()
            .map(|group| json!({ "title": group.title, "rows": group.rows.iter().map(object).collect::<Vec<_>>() }));
        json!({
            "machine": self.machine,
            "notes": self.machine.notes(),
            "method": self.method,
            "groups": groups.collect::<Vec<_>>(),
        })
    }
}

fn line(row: &Row) -> String {
    let Some(summary) = row.series.summary() else { return format!("{:<52} not measured", row.name) };
    let digits = match summary.median.abs() {
        figure if figure >= 100.0 => 0,
        figure if figure >= 10.0 => 1,
        _ => 2,
    };
    let show = |figure: f64| format!("{figure:.digits$}");
    let spread = if summary.least == summary.most {
        String::new()
    } else {
        format!("({} – {})", show(summary.least), show(summary.most))
    };
    let verdict = row.target.map_or_else(String::new, |target| match target.missed(summary.median) {
        None => format!("{target}: ok"),
        Some(part) => format!("{target}: MISSED by {:.0} %", (part * 100.0).max(1.0)),
    });
    let line = format!("{:<52}{:>9} {:<8}{spread:<18} {verdict}", row.name, show(summary.median), row.unit);
    line.trim_end().to_owned()
}

fn object(row: &Row) -> Value {
    let summary = row.series.summary();
    let (at_most, at_least) = match row.target {
        Some(Target::AtMost(limit)) => (Some(limit), None),
        Some(Target::AtLeast(limit)) => (None, Some(limit)),
        None => (None, None),
    };
    let ok = row.target.zip(summary).map(|(target, summary)| target.missed(summary.median).is_none());
    json!({
        "name": row.name,
        "unit": row.unit,
        "median": summary.map(|summary| summary.median),
        "least": summary.map(|summary| summary.least),
        "most": summary.map(|summary| summary.most),
        "at_most": at_most,
        "at_least": at_least,
        "ok": ok,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_reached_or_missed_by_a_part_of_it() {
        assert_eq!(Target::AtMost(100.0).missed(100.0), None);
        assert_eq!(Target::AtLeast(100.0).missed(101.0), None);
        assert_eq!(Target::AtMost(100.0).missed(150.0), Some(0.5));
        assert_eq!(Target::AtLeast(100.0).missed(75.0), Some(0.25));
    }

    #[test]
    fn a_line_shows_figure_and_verdict() {
        let row = |figure| Row::new("adds p50", "µs", Series::from(figure)).target(Target::AtMost(140.0));
        assert!(line(&row(139.0)).ends_with("139 µs                         ≤ 140: ok"), "{}", line(&row(139.0)));
        assert!(line(&row(154.0)).ends_with("≤ 140: MISSED by 10 %"));
        assert_eq!(object(&row(154.0))["ok"], false);
    }
}
