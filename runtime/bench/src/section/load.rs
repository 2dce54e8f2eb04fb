//! Many calls in flight: calls per second of one core, and CPU per call.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Section;
use crate::bench::Bench;
use crate::h2load::Shape;
use crate::report::{Group, Row, Target};
use crate::stats::{self, Series};
use crate::wire::{Call, Store};
use crate::worker::{Command, Task};

const SHAPES: [Shape; 2] = [Shape { connections: 4, in_flight: 64 }, Shape { connections: 8, in_flight: 256 }];

/// Calls, how many thousands a second are wanted, and how many microseconds of CPU each may take.
const CALLS: [(Call, Option<f64>, Option<f64>); 10] = [
    (Call::Echo, None, None),
    (Call::SayHello, None, None),
    (Call::Get(Store::Redis), Some(42.0), Some(17.0)),
    (Call::GetState(Store::Redis), Some(42.0), Some(17.0)),
    (Call::Set(Store::Redis), Some(36.0), Some(17.0)),
    (Call::SaveState(Store::Redis), Some(36.0), Some(17.0)),
    (Call::Get(Store::Memory), Some(60.0), None),
    (Call::GetState(Store::Memory), Some(60.0), None),
    (Call::Get(Store::Local), Some(50.0), None),
    (Call::GetState(Store::Local), Some(50.0), None),
];
/// The part of the bare echo's rate that a call through all of Pillion has to reach.
const HELLO: Target = Target::AtLeast(0.85);

#[derive(Default)]
struct Figures {
    /// Thousands of calls per second.
    rate: Series,
    /// Microseconds per call.
    cpu: Series,
}

#[derive(Default)]
pub(super) struct Loads {
    direct: Series,
    calls: BTreeMap<(Shape, Call), Figures>,
}

impl Section for Loads {
    fn round(&mut self, bench: &Bench) -> Result<()> {
        let window = bench.options.window;
        let task = Task::Redis { url: bench.redis_url.clone(), command: Command::Get, in_flight: 64, window };
        let direct: stats::Latency = bench.worker(bench.client(), &task)?;
        self.direct.push(direct.calls as f64 / window.as_secs_f64() / 1e3);
        for shape in SHAPES {
            for (call, ..) in CALLS {
                let (load, cpu) = bench.load(call, shape)?;
                let figures = self.calls.entry((shape, call)).or_default();
                figures.rate.push(load.rate / 1e3);
                figures.cpu.push(cpu * 1e6);
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bench) -> Result<Group> {
        let mut rows = vec![Row::new("direct Redis, GET: 64 in flight on one connection", "k/s", self.direct.clone())];
        for shape in SHAPES {
            let rate = |call| self.calls.get(&(shape, call)).map(|of| of.rate.clone()).unwrap_or_default();
            for (call, wanted, cpu) in CALLS {
                let label = |what| format!("{}, {}{what}", call.label(), shape.label());
                let row = Row::new(label(""), "k/s", rate(call));
                rows.push(match wanted {
                    Some(wanted) => row.target(Target::AtLeast(wanted)),
                    None => row,
                });
                let spent = self.calls.get(&(shape, call)).map(|of| of.cpu.clone()).unwrap_or_default();
                let row = Row::new(label(": CPU of a call"), "µs", spent);
                rows.push(match cpu {
                    Some(cpu) => row.target(Target::AtMost(cpu)),
                    None => row,
                });
            }
            let ratio = rate(Call::SayHello).with(&rate(Call::Echo), |hello, echo| hello / echo);
            rows.push(Row::new(format!("SayHello ÷ bare echo, {}", shape.label()), "×", ratio).target(HELLO));
        }
        Ok(Group { title: "Load on one core (in flight × connections), Redis on the same core", rows })
    }
}
