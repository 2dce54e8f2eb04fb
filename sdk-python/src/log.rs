//! Records for Python's logging.
//!
//! They come from threads that must not touch Python, so they wait in a bounded queue until a call or
//! an event loop comes by.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

/// Records that wait; what comes when it is full is counted and left out.
const QUEUE: usize = 1_024;
/// Records that one call or wake-up of an event loop hands on: handlers take their time.
const BATCH: usize = 64;

static WAITING: Mutex<VecDeque<Record>> = Mutex::new(VecDeque::new());
/// Whether there is anything to fetch, without taking the lock.
static ANY: AtomicBool = AtomicBool::new(false);
static LOST: AtomicUsize = AtomicUsize::new(0);

struct Record {
    level: Level,
    target: &'static str,
    message: String,
}

/// Begins to collect records of at least this level of Python's logging; once per process.
pub fn start(level: u32) {
    let filter = match level {
        ..10 => LevelFilter::TRACE,
        10..20 => LevelFilter::DEBUG,
        20..30 => LevelFilter::INFO,
        30..40 => LevelFilter::WARN,
        40.. => LevelFilter::ERROR,
    };
    // Somebody else's subscriber is theirs.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(Collect.with_filter(Ours(filter))));
}

/// The level, and nothing but what Pillion itself says.
struct Ours(LevelFilter);

impl<S: Subscriber> tracing_subscriber::layer::Filter<S> for Ours {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() <= self.0 && metadata.target().starts_with("pillion")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0)
    }
}

struct Collect;

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        let record = Record { level: *metadata.level(), target: metadata.target(), message: text.finish() };
        // Never waits: a process that forked at the wrong moment has nobody who would let go.
        match WAITING.try_lock() {
            Ok(mut waiting) if waiting.len() < QUEUE => {
                waiting.push_back(record);
                ANY.store(true, Ordering::Release);
            }
            _ => {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The message, and its fields behind it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

/// Hands what waits to Python's logging.
pub fn flush(py: Python<'_>) {
    if !ANY.swap(false, Ordering::AcqRel) {
        return;
    }
    let batch: Vec<_> = match WAITING.try_lock() {
        Ok(mut waiting) => {
            let count = waiting.len().min(BATCH);
            let batch = waiting.drain(..count).collect();
            ANY.store(!waiting.is_empty(), Ordering::Release);
            batch
        }
        Err(_) => {
            ANY.store(true, Ordering::Release);
            return;
        }
    };
    for record in batch {
        record.tell(py);
    }
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let message = format!("{lost} records were left out: more came than calls fetched");
        Record { level: Level::WARN, target: "pillion_python", message }.tell(py);
    }
}

impl Record {
    fn tell(self, py: Python<'_>) {
        let level = match self.level {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            _ => 10,
        };
        // `pillion_runtime::slot` is the logger `pillion.runtime.slot`.
        let name = self.target.replace("::", ".").replacen("pillion_", "pillion.", 1);
        let told = py.import("logging").and_then(|logging| {
            let logger = logging.call_method1("getLogger", (name,))?;
            logger.call_method1("log", (level, "%s", self.message))
        });
        if let Err(error) = told {
            // A handler that raises must not fail the call that came by.
            error.write_unraisable(py, None);
        }
    }
}
