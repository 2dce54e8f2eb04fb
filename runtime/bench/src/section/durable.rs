//! Writes that survive a loss of power, beside SQLite alone.

use anyhow::Result;

use super::Section;
use crate::bench::Bench;
use crate::durable::{self, WRITERS};
use crate::report::{Group, Row, Target};
use crate::stats::Series;
use crate::worker::Task;

#[derive(Default)]
pub(super) struct Durable {
    bare: Series,
    one: Series,
    many: Series,
    one_by_bare: Series,
    many_by_bare: Series,
}

impl Section for Durable {
    fn round(&mut self, bench: &Bench) -> Result<()> {
        let folder = bench.fresh_folder()?;
        let task = Task::Durable { folder: folder.path().to_owned(), window: bench.options.window };
        let rates: durable::Durable = bench.worker(bench.anywhere(), &task)?;
        self.bare.push(rates.bare);
        self.one.push(rates.one);
        self.many.push(rates.many);
        self.one_by_bare.push(rates.one_by_bare);
        self.many_by_bare.push(rates.many_by_bare);
        Ok(())
    }

    fn finish(&mut self, _: &Bench) -> Result<Group> {
        let rows = vec![
            Row::new("bare SQLite loop, one insert a commit", "/s", self.bare.clone()),
            Row::new("state.local, one by one", "/s", self.one.clone()),
            Row::new("state.local, one by one ÷ bare loop", "×", self.one_by_bare.clone()).target(Target::AtLeast(0.9)),
            Row::new("state.local, one by one, added to a write", "µs", self.one.with(&self.bare, added)),
            Row::new(format!("state.local, {WRITERS} writers"), "/s", self.many.clone()),
            Row::new(format!("state.local, {WRITERS} writers ÷ bare loop"), "×", self.many_by_bare.clone())
                .target(Target::AtLeast(4.0)),
        ];
        Ok(Group { title: "Durable sets (write-ahead log, full synchronisation), within the process", rows })
    }
}

/// What one rate takes longer for a write than the other, in microseconds.
fn added(ours: f64, bare: f64) -> f64 {
    1e6 / ours - 1e6 / bare
}
