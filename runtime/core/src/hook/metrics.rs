//! Counters and histograms, with label sets that are known when the runtime starts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use pillion_proto::error::Category;
use pillion_proto::{Call, CallGuard, CallHook, Cx, Ending, METHODS, Result};
use pillion_spi::Clock;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds; from what memory takes to what a default deadline allows.
const BUCKETS: [f64; 14] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 1.0, 10.0, 60.0];

/// The component label of a call that names none of the declared ones: a caller must not be able to
/// make series.
const OTHER: &str = "other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
    component: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    operation: &'static str,
    component: String,
    outcome: String,
}

/// The metrics of one runtime: a value, not a global.
pub struct Metrics {
    registry: Registry,
    calls: Family<OutcomeLabels, Counter>,
    seconds: Family<CallLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<CallLabels, Gauge>,
    /// The component names that may be labels, sorted; the last column of the table is for others.
    components: Vec<String>,
    /// One row per method, one column per component: filled at the first call.
    cells: Vec<OnceLock<Arc<Cell>>>,
    /// Those of calls that stand in no table of methods: what servers and doors answer themselves.
    own: Mutex<BTreeMap<&'static str, Arc<Cell>>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("components", &self.components).finish_non_exhaustive()
    }
}

/// The instruments of one method on one component.
struct Cell {
    labels: CallLabels,
    seconds: Histogram,
    in_flight: Gauge,
    ok: Counter,
    dropped: Counter,
    /// By category number.
    failed: Vec<OnceLock<Counter>>,
}

impl Metrics {
    /// Metrics whose component label is one of `components`.
    pub fn new(components: impl IntoIterator<Item = String>, clock: Arc<dyn Clock>) -> Self {
        let mut components: Vec<_> = components.into_iter().collect();
        components.sort();
        let mut registry = Registry::with_prefix("pillion");
        let calls = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let in_flight = Family::default();
        registry.register(
            "calls",
            "Calls that ended, by outcome: ok, dropped, or the category of the error",
            calls.clone(),
        );
        registry.register("call_duration_seconds", "How long calls took, streams until their end", seconds.clone());
        registry.register("calls_in_flight", "Calls under way", in_flight.clone());
        // A column for no component, one each, and one for names that are not declared.
        let cells = (0..METHODS.len() * (components.len() + 2)).map(|_| OnceLock::new()).collect();
        Self { registry, calls, seconds, in_flight, components, cells, own: Mutex::default(), clock }
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn cell(&self, call: &Call<'_>) -> Arc<Cell> {
        let operation = call.info.operation;
        let columns = self.components.len() + 2;
        let column = match call.component {
            "" => 0,
            name => {
                1 + self
                    .components
                    .binary_search_by(|component| component.as_str().cmp(name))
                    .unwrap_or(self.components.len())
            }
        };
        match self.cells.get(call.info.index * columns + column) {
            Some(cell) => cell.get_or_init(|| self.new_cell(operation, column)).clone(),
            None => {
                let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
                own.entry(operation).or_insert_with(|| self.new_cell(operation, 0)).clone()
            }
        }
    }

    fn new_cell(&self, operation: &'static str, column: usize) -> Arc<Cell> {
        let component = match column {
            0 => String::new(),
            _ => self.components.get(column - 1).cloned().unwrap_or_else(|| OTHER.to_owned()),
        };
        let labels = CallLabels { operation, component };
        Arc::new(Cell {
            seconds: self.seconds.get_or_create(&labels).clone(),
            in_flight: self.in_flight.get_or_create(&labels).clone(),
            ok: self.counter(&labels, "ok"),
            dropped: self.counter(&labels, "dropped"),
            failed: (0..=Category::Cancelled as usize).map(|_| OnceLock::new()).collect(),
            labels,
        })
    }

    fn counter(&self, labels: &CallLabels, outcome: &str) -> Counter {
        let labels = OutcomeLabels {
            operation: labels.operation,
            component: labels.component.clone(),
            outcome: outcome.to_owned(),
        };
        self.calls.get_or_create(&labels).clone()
    }
}

/// Counts and times every call.
#[derive(Clone, Debug)]
pub struct Measuring(pub Arc<Metrics>);

impl CallHook for Measuring {
    fn begin(&self, call: &Call<'_>, _: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        let cell = self.0.cell(call);
        cell.in_flight.inc();
        let began = self.0.clock.now();
        Ok(Some(Box::new(Measured { metrics: self.0.clone(), cell, began })))
    }
}

struct Measured {
    metrics: Arc<Metrics>,
    cell: Arc<Cell>,
    began: Instant,
}

impl CallGuard for Measured {
    fn end(self: Box<Self>, ending: Ending<'_>) {
        self.cell.in_flight.dec();
        self.cell.seconds.observe(self.metrics.clock.now().duration_since(self.began).as_secs_f64());
        match ending {
            Ending::Ok => self.cell.ok.inc(),
            Ending::Dropped => self.cell.dropped.inc(),
            Ending::Failed(error) => {
                let category = error.category();
                self.cell.failed[category as usize]
                    .get_or_init(|| self.metrics.counter(&self.cell.labels, &category.short_name()))
                    .inc()
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use pillion_proto::{Access, CallInfo, Error, Hooks, Reason, Shape, state_method};
    use pillion_spi::SystemClock;

    use super::*;

    /// A call that a door answers itself.
    static OWN: CallInfo = CallInfo {
        service: "a.Door",
        method: "Greet",
        path: "/a.Door/Greet",
        operation: "door.greet",
        block: "door",
        access: Access::Read,
        idempotent: true,
        shape: Shape::Unary,
        index: METHODS.len(),
    };

    #[tokio::test]
    async fn outcomes_are_counted_and_callers_cannot_make_series() {
        let metrics = Arc::new(Metrics::new(["state".to_owned()], Arc::new(SystemClock)));
        let hooks = Hooks::from_iter([Arc::new(Measuring(metrics.clone())) as Arc<dyn CallHook>]);
        for component in ["state", "nope1", "nope2"] {
            let (cx, running) = hooks.begin(state_method::GET.call(component, ""), &Cx::default()).unwrap();
            running.unary(&cx, async { Ok(()) }).await.unwrap();
        }
        let (cx, running) = hooks.begin(state_method::GET.call("state", ""), &Cx::default()).unwrap();
        let failed = running.unary(&cx, async { Err::<(), _>(Error::new(Reason::StateEtagMismatch, "no")) });
        failed.await.unwrap_err();
        drop(hooks.begin(state_method::GET.call("state", ""), &Cx::default()).unwrap());
        let (cx, running) = hooks.begin(OWN.call("anything", ""), &Cx::default()).unwrap();
        running.unary(&cx, async { Ok(()) }).await.unwrap();

        let text = metrics.text().unwrap();
        for line in [
            r#"pillion_calls_total{operation="state.get",component="state",outcome="ok"} 1"#,
            r#"pillion_calls_total{operation="state.get",component="other",outcome="ok"} 2"#,
            r#"pillion_calls_total{operation="state.get",component="state",outcome="conflict"} 1"#,
            r#"pillion_calls_total{operation="state.get",component="state",outcome="dropped"} 1"#,
            r#"pillion_calls_in_flight{operation="state.get",component="state"} 0"#,
            r#"pillion_calls_total{operation="door.greet",component="",outcome="ok"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("nope"), "{text}");
    }
}
