//! The native module of the Python package `pillion`.
//!
//! It is a shell around the crate `pillion`: it turns arguments into messages, runs futures for
//! Python, and turns answers into objects. What calls do is decided below it.
//!
//! Three rules keep it from crashing interpreters:
//! * No thread of ours ever takes the interpreter's lock: results wait until Python fetches them.
//! * Nothing is started before the first handle is opened, and what a forked process inherits is
//!   never touched again.
//! * A thread that would come back into an interpreter that is being finalised stays away.
//!
//! And every function that Python can call runs its body in `guard::guard`, which makes exceptions of panics.

#![allow(missing_docs, reason = "what is public is public to Python, and documented there")]

mod answer;
mod bell;
mod call;
mod cancel;
mod client;
mod convert;
mod coroutine;
mod error;
mod exit;
mod guard;
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
mod r#gen;
mod log;
mod message;
mod once;
mod process;
mod queue;
mod state;
mod stream;
mod upload;

use pyo3::prelude::*;

// Free-threaded interpreters take the lock for it: nothing was tested without.
#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<cancel::CancelToken>()?;
    module.add_class::<client::Client>()?;
    module.add_class::<coroutine::Coroutine>()?;
    module.add_class::<queue::Queue>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<stream::AsyncStream>()?;
    module.add_class::<upload::Upload>()?;
    module.add_class::<upload::AsyncUpload>()?;
    module.add_class::<upload::Duplex>()?;
    module.add_class::<upload::AsyncDuplex>()?;
    module.add_function(wrap_pyfunction!(client::open, module)?)?;
    module.add_function(wrap_pyfunction!(client::embedded, module)?)?;
    module.add_function(wrap_pyfunction!(client::connect, module)?)?;
    module.add_function(wrap_pyfunction!(client::command, module)?)?;
    #[cfg(feature = "shapes")]
    module.add_function(wrap_pyfunction!(guard::injection::inject_panics, module)?)?;
    module.add_function(wrap_pyfunction!(exit::leaving, module)?)?;
    module.add_function(wrap_pyfunction!(process::forked, module)?)?;
    module.add_function(wrap_pyfunction!(state::state_list, module)?)?;
    module.add_function(wrap_pyfunction!(state::state_watch, module)?)?;
    r#gen::register(module)
}
