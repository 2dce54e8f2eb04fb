//! Reading from memory without a socket.

use anyhow::Result;

use super::Section;
use crate::bench::Bench;
use crate::inprocess;
use crate::report::{Group, Row, Target};
use crate::stats::Series;
use crate::worker::Task;

#[derive(Default)]
pub(super) struct InProcess {
    api: Series,
    handle: Series,
    map: Series,
}

impl Section for InProcess {
    fn round(&mut self, bench: &Bench) -> Result<()> {
        let task = Task::InProcess { window: bench.options.window };
        let nanos: inprocess::InProcess = bench.worker(bench.client(), &task)?;
        self.api.push(nanos.api);
        self.handle.push(nanos.handle);
        self.map.push(nanos.map);
        Ok(())
    }

    fn finish(&mut self, _: &Bench) -> Result<Group> {
        let limit = Target::AtMost(1000.0);
        let rows = vec![
            Row::new("a map behind a lock, through a boxed future", "ns", self.map.clone()),
            Row::new("p.apis().state.get(…), all hooks on", "ns", self.api.clone()).target(limit),
            Row::new("p.state().get::<Bytes>(…), all hooks on", "ns", self.handle.clone()).target(limit),
        ];
        Ok(Group { title: "A get from memory within the process", rows })
    }
}
