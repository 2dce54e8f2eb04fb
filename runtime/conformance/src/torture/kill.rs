//! Kill loops: the sidecar, its store, or both end as by `kill -9` while many write; everything
//! that was acknowledged must be there afterwards.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use pillion_spi::{Clock, SystemClock};

use super::backend::{Backend, Kind};
use super::ledger::{Counts, Ledger, check_bank};
use super::load::{Load, bank, open_bank};
use super::report::Verdict;
use super::sidecar::{Home, Plan, Sidecar};
use crate::audit::Late;
use crate::seed::Seeded;

/// How long a failure point may take to be reached before the sidecar is killed from outside.
const REACH: Duration = Duration::from_secs(5);
/// So long without an acknowledgement: the writing thread stays at its failure point.
const HELD: Duration = Duration::from_millis(150);

/// How often what was killed.
#[derive(Debug, Default)]
struct Tally {
    /// The sidecar, at a random moment.
    random: usize,
    /// The sidecar, at a failure point.
    points: usize,
    /// Failure points that were not reached in time.
    missed: usize,
    /// The store.
    stores: usize,
}

/// A planted defect to be found by the loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planted<'a> {
    /// Failure points that hold in every cycle.
    pub chaos: &'a str,
    /// Replaces the failure points at which the sidecar ends; without any, every kill is at random.
    pub points: Option<&'a [&'a str]>,
    /// The loop goes on until a violation with these words is found; until any is, if empty.
    pub words: &'a str,
}

/// The loop.
pub struct Loop<'a> {
    home: Home,
    backend: Backend,
    plan: Plan,
    planted: Planted<'a>,
    ledger: Ledger,
    random: Seeded,
    loads: u32,
    tally: Tally,
}

impl<'a> Loop<'a> {
    /// Prepares the store and the bank.
    ///
    /// # Errors
    /// When the store or the sidecar does not start.
    pub async fn new(program: &Path, kind: Kind, planted: Planted<'a>, seed: u64) -> Result<Self> {
        let home = Home::new()?;
        let mut random = Seeded::new(seed);
        let backend = Backend::start(kind, random.number()).await?;
        let plan = Plan::new(program, backend.direct());
        let sidecar = home.start(&plan).await?;
        open_bank(&sidecar.client).await?;
        Ok(Self { home, backend, plan, planted, ledger: Ledger::default(), random, loads: 0, tally: Tally::default() })
    }

    /// Makes `cycles` cycles, or fewer if something is found that must not be.
    ///
    /// # Errors
    /// When something does not start, or does not answer afterwards.
    pub async fn run(mut self, cycles: u32) -> Result<Verdict> {
        for cycle in 0..cycles {
            self.cycle(cycle).await.with_context(|| format!("cycle {cycle}"))?;
            if self.ledger.violations().iter().any(|violation| violation.contains(self.planted.words)) {
                break;
            }
        }
        // What the last kill left is looked at, too.
        let sidecar = self.home.start(&self.plan).await?;
        self.look(&sidecar).await?;
        let Tally { random, points, missed, stores } = self.tally;
        let Counts { acknowledged, unknown, rejected, open, repeated, transfers, audits } = self.ledger.counts();
        let mut figures = format!("{random} kills at random, {points} at failure points");
        if self.backend.is_server() {
            figures.push_str(&format!(", {stores} of the store"));
        }
        figures.push_str(&format!(
            "; {acknowledged} writes acknowledged, {unknown} unknown ({open} whole transactions, {repeated} \
             repeated), {rejected} rejected, {transfers} transfers; {audits} audits"
        ));
        Ok(Verdict::new(figures, self.ledger.violations())
            .require(missed <= points / 4, format!("{missed} failure points were not reached"))
            .require(acknowledged > 0 && unknown > 0, "nothing was at stake"))
    }

    async fn cycle(&mut self, cycle: u32) -> Result<()> {
        // Every other end is at a failure point, every third takes the store along.
        let points = self.planted.points.unwrap_or(self.backend.kind().points());
        let point = (cycle % 2 == 1 && !points.is_empty()).then(|| *self.random.pick(points));
        let store = self.backend.is_server() && cycle % 3 == 2;
        // The writes that are repeated first must not end the sidecar, nor one of its own beside them.
        let first = 2 + 2 * self.ledger.repeatables();
        let chaos = match point {
            Some(point) => format!("{},{point}@{}", self.planted.chaos, first + self.random.below(60)),
            None => self.planted.chaos.to_owned(),
        };
        let mut sidecar = self.home.start(&self.plan.clone().chaos(chaos)).await?;
        self.look(&sidecar).await?;
        if store && point.is_none() {
            self.kill_store_alone(&sidecar).await?;
        }
        let load = self.load(&sidecar);
        match point {
            // From here the moment is random; before here nothing would be at stake.
            None => {
                load.under_way().await?;
                SystemClock.sleep(Duration::from_millis(5 + self.random.number() % 296)).await;
                self.tally.random += 1;
            }
            Some(point) if reached(&mut sidecar, &load, point).await? => self.tally.points += 1,
            Some(_) => self.tally.missed += 1,
        }
        if store {
            self.backend.kill()?;
            self.tally.stores += 1;
            // The sidecar, if it lives, is without its store for a while.
            SystemClock.sleep(Duration::from_millis(self.random.number() % 50)).await;
        }
        if sidecar.process.ended()?.is_none() {
            sidecar.process.kill()?;
        }
        load.stop().await?;
        if sidecar.log().contains("panicked") {
            self.ledger.violation(format!("cycle {cycle}: the sidecar panicked:\n{}", sidecar.log()));
        }
        if store {
            self.backend.launch().await?;
        }
        self.backend.forget_clients().await
    }

    /// Kills the store under load and starts it again; the sidecar lives on.
    async fn kill_store_alone(&mut self, sidecar: &Sidecar) -> Result<()> {
        let load = self.load(sidecar);
        load.under_way().await?;
        SystemClock.sleep(Duration::from_millis(5 + self.random.number() % 100)).await;
        self.backend.kill()?;
        self.tally.stores += 1;
        SystemClock.sleep(Duration::from_millis(self.random.number() % 100)).await;
        self.backend.launch().await?;
        sidecar.serves().await?;
        load.stop().await?;
        self.look(sidecar).await
    }

    fn load(&mut self, sidecar: &Sidecar) -> Load {
        self.loads += 1;
        Load::start(&sidecar.client, &self.ledger, self.loads, &mut self.random)
    }

    /// Audits everything.
    async fn look(&mut self, sidecar: &Sidecar) -> Result<()> {
        // What a killed sidecar sent is there or not, and a killed store has nothing left to do.
        self.ledger.repeat(&sidecar.client).await.context("repeating")?;
        self.ledger.audit(&sidecar.client, Late::Never).await.context("the audit")?;
        check_bank(&sidecar.client, &bank(), &self.ledger).await.context("the bank")
    }
}

/// Waits until the sidecar ends, or is held, at `point`; whether it does.
async fn reached(sidecar: &mut Sidecar, load: &Load, point: &str) -> Result<bool> {
    let deadline = SystemClock.now() + REACH;
    let (mut acknowledged, mut since) = (0, SystemClock.now());
    while SystemClock.now() < deadline {
        if sidecar.process.ended()?.is_some() {
            return Ok(true);
        }
        if load.acknowledged() > acknowledged {
            (acknowledged, since) = (load.acknowledged(), SystemClock.now());
        }
        if point.ends_with("=hold") && SystemClock.now().duration_since(since) > HELD {
            return Ok(true);
        }
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
    Ok(false)
}
