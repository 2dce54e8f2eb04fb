//! The threads of this process, and what becomes of them when it forks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pillion::{Error, Reason, Result};
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::guard::guard;

/// How many forks deep a process can be: parent, child, grandchild …
const DEPTH: usize = 32;
/// Calls that wait run here; few threads do, since none of them blocks.
const MAX_THREADS: usize = 4;

/// One for this process and each of its ancestors. A forked process inherits memory without threads:
/// the runtime of its parent can be neither used nor stopped, so it is left where it is and never
/// looked at again. A cell of its own for every generation needs no lock, which a fork could leave
/// locked for ever.
static RUNTIMES: [OnceLock<Option<Runtime>>; DEPTH] = [const { OnceLock::new() }; DEPTH];
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// Which process this is, counted in forks since the module was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(usize);

impl Generation {
    pub fn current() -> Self {
        Self(GENERATION.load(Ordering::Acquire))
    }

    /// Whether what was made then can still be used.
    pub fn is_current(self) -> bool {
        self == Self::current()
    }

    /// The error of a handle from before a fork, if it is one.
    pub fn check(self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::new(
            Reason::RuntimeClosed,
            "this handle was opened before the process forked, and neither its threads nor its connections came along",
        )
        .advice("open a handle in each process after the fork: with gunicorn's `preload_app` in the hook `post_fork`, with multiprocessing in the child"))
    }
}

/// Called in a child of `fork`.
#[pyfunction]
pub fn forked(py: Python<'_>) -> PyResult<()> {
    guard(py, || {
        GENERATION.fetch_add(1, Ordering::AcqRel);
        Ok(())
    })
}

/// The runtime of this process, started when it is first needed.
pub fn runtime() -> Result<&'static Runtime> {
    let Generation(generation) = Generation::current();
    let cell = RUNTIMES
        .get(generation)
        .ok_or_else(|| Error::new(Reason::RequestInvalid, format!("this process is {generation} forks deep")))?;
    cell.get_or_init(start)
        .as_ref()
        .ok_or_else(|| Error::new(Reason::Unspecified, "no thread can be started in this process"))
}

fn start() -> Option<Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    Builder::new_multi_thread().worker_threads(threads).thread_name("pillion").enable_all().build().ok()
}
