//! The time by which entries expire.
//!
//! Neither clock of the machine will do alone: wall-clock time jumps, and the time since boot begins
//! anew with each boot. So the file has its own time, nanoseconds that only count forward. While
//! the machine runs, whether this process does or not, they go with the time since boot, suspend
//! included, and the wall clock is not looked at. Only over a reboot there is nothing else to ask:
//! then it counts if it moved forward, by no more than [`LONGEST_OFF`]. Otherwise no time has passed:
//! an entry may then live longer than it should, but none is gone early.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pillion_spi::Clock;
use rusqlite::{Connection, OptionalExtension as _, params};

/// How long a machine may have been off to be believed.
const LONGEST_OFF: i64 = 400 * 86_400_000_000_000;

/// The clock of a file.
#[derive(Clone, Debug)]
pub(super) struct LogicalClock {
    clock: Arc<dyn Clock>,
    /// Logical time at boot; negative when the file is younger than that.
    offset: i64,
    boot_id: Option<Arc<str>>,
}

impl LogicalClock {
    /// Continues the time of the file.
    pub(super) fn resume(clock: Arc<dyn Clock>, connection: &Connection) -> rusqlite::Result<Self> {
        let saved = connection
            .query_row("SELECT logical, boot_id, boottime, wall FROM meta", [], |row| {
                Ok(Saved { logical: row.get(0)?, boot_id: row.get(1)?, boottime: row.get(2)?, wall: row.get(3)? })
            })
            .optional()?;
        let boot_id = boot_id();
        let (boottime, wall) = (nanos(clock.boottime()), wall(&*clock));
        let logical = saved.map_or(0, |saved| saved.now(boot_id.as_deref(), boottime, wall));
        Ok(Self { clock, offset: logical - boottime, boot_id })
    }

    /// Logical time, in nanoseconds.
    pub(super) fn now(&self) -> i64 {
        nanos(self.clock.boottime()) + self.offset
    }

    /// The same as a duration.
    pub(super) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.now().unsigned_abs())
    }

    /// The logical time at which `time` has passed.
    pub(super) fn after(&self, time: Duration) -> i64 {
        self.now().saturating_add(nanos(time))
    }

    /// Completes when `duration` has passed.
    pub(super) async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Writes down where the clock stands, for the next boot.
    pub(super) fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        let boottime = nanos(self.clock.boottime());
        connection
            .prepare_cached("UPDATE meta SET logical = ?1, boot_id = ?2, boottime = ?3, wall = ?4")?
            .execute(params![boottime + self.offset, self.boot_id.as_deref(), boottime, wall(&*self.clock)])?;
        Ok(())
    }
}

struct Saved {
    logical: i64,
    boot_id: Option<String>,
    boottime: i64,
    wall: i64,
}

impl Saved {
    fn now(&self, boot_id: Option<&str>, boottime: i64, wall: i64) -> i64 {
        let same_boot = self.boot_id.is_some() && self.boot_id.as_deref() == boot_id;
        let passed = if same_boot { boottime - self.boottime } else { wall.saturating_sub(self.wall) };
        match passed {
            ..0 => self.logical,
            LONGEST_OFF.. if !same_boot => self.logical,
            passed => self.logical.saturating_add(passed),
        }
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn wall(clock: &dyn Clock) -> i64 {
    clock.wall().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// What tells this boot of the machine from others, where the system says it.
fn boot_id() -> Option<Arc<str>> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000_000;

    fn saved() -> Saved {
        Saved { logical: 1_000, boot_id: Some("boot".into()), boottime: 50 * DAY, wall: 20_000 * DAY }
    }

    #[test]
    fn within_one_boot_the_wall_clock_is_not_looked_at() {
        for wall in [19_999 * DAY, 20_000 * DAY, 20_001 * DAY, 0] {
            assert_eq!(saved().now(Some("boot"), 50 * DAY + 7, wall), 1_007);
        }
    }

    #[test]
    fn over_a_reboot_the_wall_clock_counts_if_it_moved_forward_by_a_sane_amount() {
        let at = |wall| saved().now(Some("next"), 5, wall);
        assert_eq!(at(20_000 * DAY + 7), 1_007);
        assert_eq!(at(19_999 * DAY), 1_000);
        assert_eq!(at(30_000 * DAY), 1_000);
    }

    #[test]
    fn where_boots_cannot_be_told_apart_the_wall_clock_counts() {
        let unnamed = Saved { boot_id: None, ..saved() };
        assert_eq!(unnamed.now(None, 50 * DAY + 7, 20_000 * DAY + 9), 1_009);
    }

    #[test]
    fn it_never_goes_back() {
        assert_eq!(saved().now(Some("boot"), 0, 0), 1_000);
    }
}
