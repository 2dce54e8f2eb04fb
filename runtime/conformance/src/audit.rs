//! Whether a store kept its word about the writes it acknowledged.
//!
//! For each key there is one writer, which makes one write at a time and notes what became of it.
//! After the fault the values are read and compared with the notes.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

/// What the writer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It took effect.
    Acknowledged,
    /// Nothing, or that it may have taken effect.
    Unknown,
    /// It had no effect.
    Rejected,
}

/// Whether a write whose outcome is unknown may take effect after later writes of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// No: whoever could still apply it is gone.
    Never,
    /// Yes: it may wait in a connection that the writer has given up.
    Possible,
}

/// One write as its writer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Write {
    /// `None` for a delete.
    value: Option<Bytes>,
    told: Told,
}

/// The notes of all writers.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    keys: BTreeMap<String, Vec<Write>>,
}

/// A word not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// What was acknowledged last is not there, and nothing that came after it is either.
    Lost {
        /// The key.
        key: String,
        /// How many writes came before the one that is lost.
        index: usize,
        /// What is there.
        found: Option<Bytes>,
    },
    /// A write said to have had no effect is there.
    Resurrected {
        /// The key.
        key: String,
        /// How many writes came before it.
        index: usize,
    },
    /// What is there was never written.
    Torn {
        /// The key.
        key: String,
        /// What is there.
        found: Bytes,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { key, index, found: Some(found) } => {
                write!(f, "`{key}`: the acknowledged write {index} is lost, {found:?} is there")
            }
            Self::Lost { key, index, found: None } => {
                write!(f, "`{key}`: the acknowledged write {index} is lost, nothing is there")
            }
            Self::Resurrected { key, index } => write!(f, "`{key}`: the rejected write {index} is there"),
            Self::Torn { key, found } => write!(f, "`{key}`: {found:?} is there and was never written"),
        }
    }
}

impl std::error::Error for Violation {}

/// How much an audit looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Keys.
    pub keys: usize,
    /// Acknowledged writes.
    pub acknowledged: usize,
    /// Writes with an unknown outcome.
    pub unknown: usize,
    /// Rejected writes.
    pub rejected: usize,
}

impl Audit {
    /// Notes the next write of `key`; a `value` of `None` is a delete. Values of one key must
    /// differ, else the audit could not tell which write it sees.
    pub fn note(&mut self, key: impl Into<String>, value: Option<Bytes>, told: Told) {
        self.keys.entry(key.into()).or_default().push(Write { value, told });
    }

    /// The keys that were written.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// How much there is to look at.
    pub fn summary(&self) -> Summary {
        let writes = || self.keys.values().flatten();
        let count = |told| writes().filter(|write| write.told == told).count();
        Summary {
            keys: self.keys.len(),
            acknowledged: count(Told::Acknowledged),
            unknown: count(Told::Unknown),
            rejected: count(Told::Rejected),
        }
    }

    /// Judges what is found at each key; `found` is asked once per key.
    pub fn judge(&self, late: Late, mut found: impl FnMut(&str) -> Option<Bytes>) -> Vec<Violation> {
        self.keys.iter().filter_map(|(key, writes)| judge(key, writes, late, found(key)).err()).collect()
    }

    /// Takes what is found at `key` as the truth from now on, for the next round of faults.
    pub fn settle(&mut self, key: &str, found: Option<Bytes>) {
        if let Some(writes) = self.keys.get_mut(key) {
            *writes = vec![Write { value: found, told: Told::Acknowledged }];
        }
    }
}

fn judge(key: &str, writes: &[Write], late: Late, found: Option<Bytes>) -> Result<(), Violation> {
    let key = || key.to_owned();
    // Before the first write there was nothing.
    let acknowledged = writes.iter().rposition(|write| write.told == Told::Acknowledged);
    let unknown_from = match late {
        Late::Never => acknowledged.map_or(0, |index| index + 1),
        Late::Possible => 0,
    };
    let expected = acknowledged.map_or(&None, |index| &writes[index].value);
    let unknown = writes[unknown_from..].iter().filter(|write| write.told == Told::Unknown);
    if found == *expected || unknown.map(|write| &write.value).any(|value| *value == found) {
        return Ok(());
    }
    if let Some(value) = &found {
        match writes.iter().rposition(|write| write.value.as_ref() == Some(value)) {
            None => return Err(Violation::Torn { key: key(), found: value.clone() }),
            Some(index) if writes[index].told == Told::Rejected => {
                return Err(Violation::Resurrected { key: key(), index });
            }
            Some(_) => {}
        }
    }
    // With nothing acknowledged, what is found is one of the cases above.
    Err(Violation::Lost { key: key(), index: acknowledged.unwrap_or(0), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    use Told::{Acknowledged, Rejected, Unknown};

    fn judged(writes: &[(Option<&'static str>, Told)], late: Late, found: Option<&'static str>) -> Option<Violation> {
        let mut audit = Audit::default();
        for (value, told) in writes {
            audit.note("k", value.map(Bytes::from), *told);
        }
        audit.judge(late, |_| found.map(Bytes::from)).pop()
    }

    fn lost(index: usize, found: Option<&'static str>) -> Option<Violation> {
        Some(Violation::Lost { key: "k".to_owned(), index, found: found.map(Bytes::from) })
    }

    #[test]
    fn what_was_acknowledged_last_is_fine() {
        let writes = [(Some("a"), Acknowledged), (Some("b"), Acknowledged), (Some("c"), Rejected)];
        assert_eq!(judged(&writes, Late::Never, Some("b")), None);
        let deleted = [(Some("a"), Acknowledged), (None, Acknowledged)];
        assert_eq!(judged(&deleted, Late::Never, None), None);
    }

    #[test]
    fn an_unknown_write_may_be_there_or_not() {
        let writes = [(Some("a"), Acknowledged), (Some("b"), Unknown), (None, Unknown)];
        for found in [Some("a"), Some("b"), None] {
            assert_eq!(judged(&writes, Late::Never, found), None, "{found:?}");
        }
        assert_eq!(judged(&[(Some("a"), Unknown)], Late::Never, None), None);
    }

    #[test]
    fn a_lost_acknowledgement_is_found() {
        let writes = [(Some("a"), Acknowledged), (Some("b"), Acknowledged)];
        assert_eq!(judged(&writes, Late::Never, Some("a")), lost(1, Some("a")));
        assert_eq!(judged(&writes, Late::Never, None), lost(1, None));
        let deleted = [(Some("a"), Acknowledged), (None, Acknowledged)];
        assert_eq!(judged(&deleted, Late::Never, Some("a")), lost(1, Some("a")));
    }

    #[test]
    fn a_lost_acknowledgement_before_an_unknown_write_is_found() {
        let writes = [(Some("a"), Acknowledged), (Some("b"), Acknowledged), (Some("c"), Unknown)];
        assert_eq!(judged(&writes, Late::Never, Some("a")), lost(1, Some("a")));
        assert_eq!(judged(&writes, Late::Possible, None), lost(1, None));
    }

    #[test]
    fn an_unknown_write_after_a_later_acknowledgement_is_found_unless_it_may_be_late() {
        let writes = [(Some("a"), Unknown), (Some("b"), Acknowledged)];
        assert_eq!(judged(&writes, Late::Never, Some("a")), lost(1, Some("a")));
        assert_eq!(judged(&writes, Late::Possible, Some("a")), None);
    }

    #[test]
    fn a_resurrected_write_is_found() {
        let found = Some(Violation::Resurrected { key: "k".to_owned(), index: 1 });
        let writes = [(Some("a"), Acknowledged), (Some("b"), Rejected)];
        assert_eq!(judged(&writes, Late::Possible, Some("b")), found);
        let writes = [(None, Unknown), (Some("b"), Rejected)];
        assert_eq!(judged(&writes, Late::Never, Some("b")), found);
    }

    #[test]
    fn a_torn_value_is_found() {
        let writes = [(Some("aaaa"), Acknowledged), (Some("bbbb"), Unknown)];
        for found in ["aabb", "bb", ""] {
            let wanted = Violation::Torn { key: "k".to_owned(), found: found.into() };
            assert_eq!(judged(&writes, Late::Possible, Some(found)), Some(wanted));
        }
    }

    #[test]
    fn each_key_is_judged_for_itself_and_rounds_follow_each_other() {
        let mut audit = Audit::default();
        audit.note("a", Some("1".into()), Acknowledged);
        audit.note("b", Some("1".into()), Acknowledged);
        audit.note("b", Some("2".into()), Unknown);
        let violations = audit.judge(Late::Never, |key| (key == "b").then(|| "1".into()));
        assert_eq!(violations, [Violation::Lost { key: "a".to_owned(), index: 0, found: None }]);
        let summary = Summary { keys: 2, acknowledged: 2, unknown: 1, rejected: 0 };
        assert_eq!(audit.summary(), summary);
        // In the first round the unknown write was not there; it must not appear in the second.
        audit.settle("b", Some("1".into()));
        assert_eq!(audit.judge(Late::Never, |_| Some("1".into())), []);
        assert_eq!(audit.judge(Late::Never, |key| Some(if key == "b" { "2" } else { "1" }.into())).len(), 1);
    }
}
