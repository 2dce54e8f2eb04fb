//! One call in flight: what Pillion adds to Redis.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Section;
use crate::bench::Bench;
use crate::report::{Group, Row, Target};
use crate::stats::{self, Series};
use crate::wire::{Call, Store};
use crate::worker::{Command, Task};

/// Calls that end at Redis, and the command that they are compared with.
const BEHIND: [(Call, Command); 4] = [
    (Call::Get(Store::Redis), Command::Get),
    (Call::GetState(Store::Redis), Command::Get),
    (Call::Set(Store::Redis), Command::Set),
    (Call::SaveState(Store::Redis), Command::Set),
];
const ALONE: [Call; 4] = [Call::Echo, Call::SayHello, Call::Get(Store::Memory), Call::Get(Store::Local)];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Probe {
    Direct(Command),
    Call(Call),
}

#[derive(Default)]
struct Percentiles {
    p50: Series,
    p99: Series,
}

#[derive(Default)]
pub(super) struct Latency(BTreeMap<Probe, Percentiles>);

impl Latency {
    fn push(&mut self, probe: Probe, latency: stats::Latency) {
        let percentiles = self.0.entry(probe).or_default();
        percentiles.p50.push(latency.p50);
        percentiles.p99.push(latency.p99);
    }

    fn series(&self, probe: Probe, of: fn(&Percentiles) -> &Series) -> Series {
        self.0.get(&probe).map(of).cloned().unwrap_or_default()
    }
}

impl Section for Latency {
    fn round(&mut self, bench: &Bench) -> Result<()> {
        let window = bench.options.window;
        for command in [Command::Get, Command::Set] {
            let task = Task::Redis { url: bench.redis_url.clone(), command, in_flight: 1, window };
            self.push(Probe::Direct(command), bench.worker(bench.client(), &task)?);
        }
        for call in BEHIND.iter().map(|(call, _)| *call).chain(ALONE) {
            let task = Task::Grpc { address: bench.address(call), call, window };
            self.push(Probe::Call(call), bench.worker(bench.client(), &task)?);
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bench) -> Result<Group> {
        let mut rows = Vec::new();
        for (name, of, added) in [
            ("p50", (|of| &of.p50) as fn(&Percentiles) -> &Series, Target::AtMost(140.0)),
            ("p99", |of| &of.p99, Target::AtMost(200.0)),
        ] {
            for command in [Command::Get, Command::Set] {
                let label = format!("direct Redis, {}: {name}", format!("{command:?}").to_uppercase());
                rows.push(Row::new(label, "µs", self.series(Probe::Direct(command), of)));
            }
            for (call, command) in BEHIND {
                let series = self.series(Probe::Call(call), of);
                let direct = self.series(Probe::Direct(command), of);
                let more = Row::new(
                    format!("  adds to Redis: {name}"),
                    "µs",
                    series.with(&direct, |call, direct| call - direct),
                );
                rows.push(Row::new(format!("{}: {name}", call.label()), "µs", series));
                rows.push(if call.reads() { more.target(added) } else { more });
            }
            for call in ALONE {
                rows.push(Row::new(format!("{}: {name}", call.label()), "µs", self.series(Probe::Call(call), of)));
            }
        }
        Ok(Group { title: "Latency, 1 call in flight (server and Redis on one core, client on another)", rows })
    }
}
