//! For the tests of the package: panics where they would do most harm.

use std::sync::atomic::{AtomicBool, Ordering};

use napi_derive::napi;

static PANIC: AtomicBool = AtomicBool::new(false);

/// Makes the next exported function panic.
#[napi]
pub fn panic_next() {
    PANIC.store(true, Ordering::SeqCst);
}

/// Panics if it was told to.
#[allow(clippy::panic)] // it is what this is for
pub fn panic_if_told() {
    if PANIC.swap(false, Ordering::SeqCst) {
        panic!("as it was told to");
    }
}
