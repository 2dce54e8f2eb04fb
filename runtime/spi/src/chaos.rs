//! Failure points for tests: places where a `chaos` build can be told to misbehave.
//!
//! They are switched at run time by the environment variable `PILLION_CHAOS`, a comma-separated
//! list of `name`, `name=N` (only the N-th time, counted from 1) or `name=abort` (end the process
//! there, as `kill -9` would). Without the cargo feature `chaos` every point is `false` at compile
//! time and neither the names nor the variable are in the binary.

/// Whether the failure point `name` fires now.
#[cfg(not(feature = "chaos"))]
#[inline(always)]
pub const fn fires(_name: &'static str) -> bool {
    false
}

/// Whether the failure point `name` fires now.
#[cfg(feature = "chaos")]
pub fn fires(name: &'static str) -> bool {
    switches::fires(name)
}

#[cfg(feature = "chaos")]
mod switches {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    enum Switch {
        Always,
        Nth { wanted: u64, seen: AtomicU64 },
        Abort,
    }

    pub(super) fn fires(name: &'static str) -> bool {
        static SWITCHES: OnceLock<HashMap<String, Switch>> = OnceLock::new();
        let switches = SWITCHES.get_or_init(|| parse(&std::env::var("PILLION_CHAOS").unwrap_or_default()));
        match switches.get(name) {
            None => false,
            Some(Switch::Always) => true,
            Some(Switch::Nth { wanted, seen }) => seen.fetch_add(1, Ordering::Relaxed) + 1 == *wanted,
            Some(Switch::Abort) => std::process::abort(),
        }
    }

    fn parse(text: &str) -> HashMap<String, Switch> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| match item.split_once('=') {
                None => (item.to_owned(), Switch::Always),
                Some((name, "abort")) => (name.to_owned(), Switch::Abort),
                Some((name, number)) => {
                    let wanted = number
                        .parse()
                        .unwrap_or_else(|_| panic!("PILLION_CHAOS: `{item}` is not name, name=N or name=abort"));
                    (name.to_owned(), Switch::Nth { wanted, seen: AtomicU64::new(0) })
                }
            })
            .collect()
    }
}
