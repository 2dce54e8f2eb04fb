//! Panics on demand, in every function that the library exports. So tests show that a defect here is an
//! exception there, and never the end of the program.

/// Every exported function says first that it was entered.
#[cfg(not(feature = "shapes"))]
pub(crate) fn entered(_: &str) {}

#[cfg(feature = "shapes")]
pub(crate) use armed::entered;
#[cfg(feature = "shapes")]
pub use armed::panic_after;

#[cfg(feature = "shapes")]
mod armed {
    use std::sync::atomic::{AtomicI64, Ordering};

    /// How many exported functions are entered before one panics; below zero: none does.
    static LEFT: AtomicI64 = AtomicI64::new(-1);

    #[allow(clippy::panic, reason = "this is what it is for")]
    pub(crate) fn entered(function: &str) {
        if LEFT.load(Ordering::Relaxed) >= 0 && LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
            panic!("told to, in {function}");
        }
    }

    /// For tests: the exported function that is entered after so many others panics, once. Nothing: none does.
    #[uniffi::export]
    pub fn panic_after(others: Option<u32>) {
        LEFT.store(others.map_or(-1, i64::from), Ordering::Relaxed);
    }
}
