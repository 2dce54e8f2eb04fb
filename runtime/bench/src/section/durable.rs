//! Writes that survive a loss of power, beside SQLite alone.

use anyhow::Result;

use super::Section;
use crate::bench::Bench;
use crate::report::{Group, Row, Target};
use crate::stats::Series;
use crate::worker::Task;

const WRITERS: usize = 64;

#[derive(Default)]
pub(super) struct Durable {
    bare: Series,
    one: Series,
    many: Series,
}

impl Section for Durable {
    fn round(&mut self, bench: &Bench) -> Result<()> {
        let window = bench.options.window;
        let folder = bench.fresh_folder()?;
        let task = Task::Bare { folder: folder.path().to_owned(), window };
        self.bare.push(bench.worker(bench.anywhere(), &task)?);
        for (series, writers) in [(&mut self.one, 1), (&mut self.many, WRITERS)] {
            let folder = bench.fresh_folder()?;
            let task = Task::Durable { folder: folder.path().to_owned(), writers, window };
            series.push(bench.worker(bench.anywhere(), &task)?);
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bench) -> Result<Group> {
        let ratio = |series: &Series| series.with(&self.bare, |ours, bare| ours / bare);
        let rows = vec![
            Row::new("bare SQLite loop, one insert a commit", "/s", self.bare.clone()),
            Row::new("state.local, one writer", "/s", self.one.clone()),
            Row::new("  ÷ bare loop", "×", ratio(&self.one)).target(Target::AtLeast(0.9)),
            Row::new(format!("state.local, {WRITERS} writers"), "/s", self.many.clone()),
            Row::new("  ÷ bare loop", "×", ratio(&self.many)).target(Target::AtLeast(4.0)),
        ];
        Ok(Group { title: "Durable sets (write-ahead log, full synchronisation), within the process", rows })
    }
}
