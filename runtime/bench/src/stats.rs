//! Medians and percentiles.

use serde::{Deserialize, Serialize};

/// What one window at one call in flight showed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// How many calls it is made of.
    pub calls: usize,
    /// Microseconds.
    pub p50: f64,
    /// Microseconds.
    pub p99: f64,
}

impl Latency {
    /// Summarises the durations of calls, in nanoseconds; `None` if there were none.
    pub fn of(mut nanos: Vec<u64>) -> Option<Self> {
        nanos.sort_unstable();
        let at = |part: f64| {
            let last = nanos.len().checked_sub(1)?;
            let index = (last as f64 * part).round() as usize;
            Some(*nanos.get(index)? as f64 / 1e3)
        };
        Some(Self { calls: nanos.len(), p50: at(0.50)?, p99: at(0.99)? })
    }
}

/// One figure, measured once a round.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds the figure of a round.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Combines two figures of the same rounds, so that what disturbed a round disturbs both.
    pub fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| combine(*one, *other)).collect())
    }

    /// The median, the least and the most; `None` if nothing was measured.
    pub fn summary(&self) -> Option<Summary> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            *sorted.get(middle)?
        } else {
            (sorted.get(middle)? + sorted.get(middle.checked_sub(1)?)?) / 2.0
        };
        Some(Summary { median, least: *sorted.first()?, most: *sorted.last()? })
    }
}

impl From<f64> for Series {
    fn from(figure: f64) -> Self {
        Self(vec![figure])
    }
}

/// What the rounds gave together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle figure.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let series = |figures: &[f64]| Series(figures.to_vec()).summary();
        assert_eq!(series(&[]), None);
        assert_eq!(series(&[3.0, 1.0, 2.0]), Some(Summary { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(series(&[4.0, 1.0, 2.0, 3.0]), Some(Summary { median: 2.5, least: 1.0, most: 4.0 }));
    }

    #[test]
    fn percentiles_are_taken_from_the_sorted_durations() {
        let latency = Latency::of((1..=101).rev().map(|micros| micros * 1000).collect()).expect("durations");
        assert_eq!((latency.calls, latency.p50, latency.p99), (101, 51.0, 100.0));
        assert!(Latency::of(Vec::new()).is_none());
    }
}
