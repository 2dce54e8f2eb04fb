//! Failure points for tests: places where a `chaos` build can be told to misbehave.
//!
//! They are switched at run time by the environment variable `PILLION_CHAOS`, a comma-separated
//! list of
//! - `name`: it fires every time;
//! - `name=N`: it fires the N-th time, counted from 1;
//! - `name=abort` or `name=abort@N`: the process ends there, as `kill -9` would end it;
//! - `name=hold` or `name=hold@N`: the thread stays there until the process is killed from outside,
//!   while the other threads go on. What they had been told too early gets out.
//!
//! Without the cargo feature `chaos` every point is `false` at compile time and neither the names
//! nor the variable are in the binary.

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

    struct Switch {
        action: Action,
        /// When it acts; every time without it.
        nth: Option<u64>,
        seen: AtomicU64,
    }

    #[derive(Clone, Copy)]
    enum Action {
        Fire,
        Abort,
        Hold,
    }

    pub(super) fn fires(name: &'static str) -> bool {
        static SWITCHES: OnceLock<HashMap<String, Switch>> = OnceLock::new();
        let switches = SWITCHES.get_or_init(|| parse(&std::env::var("PILLION_CHAOS").unwrap_or_default()));
        let Some(switch) = switches.get(name) else { return false };
        let seen = switch.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if switch.nth.is_some_and(|nth| nth != seen) {
            return false;
        }
        match switch.action {
            Action::Fire => true,
            Action::Abort => std::process::abort(),
            Action::Hold => loop {
                std::thread::park();
            },
        }
    }

    fn parse(text: &str) -> HashMap<String, Switch> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(item).collect()
    }

    fn item(item: &str) -> (String, Switch) {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        let (action, nth) = match value.split_once('@').unwrap_or((value, "")) {
            ("", "") => (Action::Fire, None),
            ("abort", nth) => (Action::Abort, Some(nth)),
            ("hold", nth) => (Action::Hold, Some(nth)),
            (nth, "") => (Action::Fire, Some(nth)),
            _ => refuse(item),
        };
        let nth = match nth {
            None => None,
            Some("") => Some(1),
            Some(nth) => Some(nth.parse().unwrap_or_else(|_| refuse(item))),
        };
        (name.to_owned(), Switch { action, nth, seen: AtomicU64::new(0) })
    }

    fn refuse(item: &str) -> ! {
        panic!("PILLION_CHAOS: `{item}` is not name, name=N, name=abort@N or name=hold@N")
    }
}
