//! When a conditional write may take effect, for stores that decide it themselves.

use pillion_spi::state::{Condition, Version};

/// Whether `condition` holds of a key whose entry, if there is one, is at version `found`.
/// First write wins as [`FirstWrite::Exact`](pillion_spi::caps::FirstWrite::Exact) says.
pub(crate) fn holds(condition: &Condition, found: Option<&Version>) -> bool {
    match (condition, found) {
        (Condition::None, _) => true,
        (Condition::IfAbsent | Condition::FirstWrite(None), found) => found.is_none(),
        (Condition::IfMatch(_), None) => false,
        (Condition::IfMatchOrAbsent(_) | Condition::FirstWrite(Some(_)), None) => true,
        (
            Condition::IfMatch(wanted) | Condition::IfMatchOrAbsent(wanted) | Condition::FirstWrite(Some(wanted)),
            Some(found),
        ) => wanted.matches(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_asks_what_its_name_says() {
        let (one, two) = (Version::bare(1), Version::bare(2));
        for (condition, absent, at_one, at_two) in [
            (Condition::None, true, true, true),
            (Condition::IfAbsent, true, false, false),
            (Condition::IfMatch(one), false, true, false),
            (Condition::IfMatchOrAbsent(one), true, true, false),
            (Condition::FirstWrite(None), true, false, false),
            (Condition::FirstWrite(Some(two)), true, false, true),
        ] {
            assert_eq!(holds(&condition, None), absent, "{condition:?} of nothing");
            assert_eq!(holds(&condition, Some(&one)), at_one, "{condition:?} of version 1");
            assert_eq!(holds(&condition, Some(&two)), at_two, "{condition:?} of version 2");
        }
    }
}
