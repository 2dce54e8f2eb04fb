//! What the log is told of something that fails again and again.
//!
//! Components that cannot be opened and links that are cut are tried again every second or two, for as
//! long as it takes. Each cause is news once, and its lasting now and then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often an outage that lasts is told again.
const REMIND: Duration = Duration::from_secs(300);
/// How many causes of one outage are told in that time.
const CAUSES: usize = 8;

/// An outage, if there is one.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Option<Told>>);

#[derive(Debug)]
struct Told {
    causes: Vec<String>,
    /// The first of them.
    since: Instant,
}

impl Outage {
    /// Takes note of a failed attempt; says whether that is news.
    pub fn fails(&self, cause: String, now: Instant) -> bool {
        let mut told = self.lock();
        match &mut *told {
            Some(told) if now.saturating_duration_since(told.since) < REMIND => {
                let news = told.causes.len() < CAUSES && !told.causes.contains(&cause);
                if news {
                    told.causes.push(cause);
                }
                news
            }
            told => {
                *told = Some(Told { causes: vec![cause], since: now });
                true
            }
        }
    }

    /// Takes note of a success; says whether that ends an outage that was told of.
    pub fn ends(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn each_cause_is_news_once_and_its_lasting_now_and_then() {
        let (outage, start) = (Outage::default(), SystemClock.now());
        let fails = |cause: &str, seconds| outage.fails(cause.to_owned(), start + Duration::from_secs(seconds));
        assert!(!outage.ends());
        assert!(fails("refused", 0) && !fails("refused", 1) && !fails("refused", 299));
        assert!(fails("silent", 2) && !fails("refused", 3) && !fails("silent", 4));
        assert!(fails("refused", 300) && !fails("refused", 301));
        assert!(outage.ends() && !outage.ends());
        assert!(fails("refused", 302));
        for number in 0..2 * CAUSES {
            assert_eq!(fails(&number.to_string(), 303), number < CAUSES - 1);
        }
    }
}
