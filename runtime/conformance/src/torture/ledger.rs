//! What all writers did, noted outside the process under test, and whether the store kept its word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pillion_spi::Outcome;
use pillion_spi::state::Version;

use super::client::{Client, Failure, Found, Write};
use crate::audit::{Audit, Late, Summary, Told};
use crate::bank::Bank;

/// The notes of all writers.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    audit: Audit,
    /// Transactions with an unknown outcome whose keys were not written since.
    open: Vec<Vec<(String, Option<Bytes>)>>,
    /// Writes with an unknown outcome that can be repeated, by key.
    repeatable: BTreeMap<String, Repeatable>,
    counts: Counts,
    violations: Vec<String>,
}

/// A write whose outcome is unknown. Repeated, it must have been applied once.
#[derive(Clone, Debug)]
pub struct Repeatable {
    /// The write, of a value.
    pub write: Write,
    /// The idempotency key.
    pub id: String,
    /// The version before it.
    pub before: Option<Version>,
}

/// How much was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged writes, each entry of a transaction one.
    pub acknowledged: usize,
    /// Writes with an unknown outcome.
    pub unknown: usize,
    /// Refused writes.
    pub rejected: usize,
    /// Transactions whose outcome was unknown and that were looked at as a whole.
    pub open: usize,
    /// Writes that were repeated after their outcome was unknown.
    pub repeated: usize,
    /// Acknowledged transfers.
    pub transfers: usize,
    /// Audits of all keys.
    pub audits: usize,
}

impl Ledger {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of writes that were made together.
    pub fn note<T>(&self, writes: &[Write], answer: &Result<T, Failure>) {
        let told = match answer.as_ref().map_err(Failure::outcome) {
            Ok(_) => Told::Acknowledged,
            Err(Outcome::Rejected) => Told::Rejected,
            Err(Outcome::Unknown) => Told::Unknown,
        };
        let mut notes = self.notes();
        if let Err(failure) = answer
            && failure.is_defect()
        {
            notes.violations.push(failure.to_string());
        }
        for write in writes {
            notes.repeatable.remove(&write.key);
        }
        if told != Told::Rejected {
            notes.open.retain(|open| !open.iter().any(|(key, _)| writes.iter().any(|write| write.key == *key)));
        }
        if told == Told::Unknown && writes.len() > 1 {
            notes.open.push(writes.iter().map(|write| (write.key.clone(), write.value.clone())).collect());
        }
        for write in writes {
            notes.audit.note(write.key.as_str(), write.value.clone(), told);
        }
    }

    /// Notes that a write, whose outcome was just noted to be unknown, can be repeated.
    pub fn repeatable(&self, repeatable: Repeatable) {
        self.notes().repeatable.insert(repeatable.write.key.clone(), repeatable);
    }

    /// How many writes can be repeated.
    pub fn repeatables(&self) -> usize {
        self.notes().repeatable.len()
    }

    /// Repeats what can be, and looks whether it was applied once.
    ///
    /// # Errors
    /// That a write failed.
    pub async fn repeat(&self, client: &Client) -> Result<(), Failure> {
        let all = std::mem::take(&mut self.notes().repeatable);
        for Repeatable { write, id, before } in all.into_values() {
            let value = write.value.clone().unwrap_or_default();
            let answer = client.set_once(&write.key, &value, &write.condition, &id).await;
            self.note(std::slice::from_ref(&write), &answer);
            self.notes().counts.repeated += 1;
            let (key, once) = (&write.key, before.map_or(1, |before| before.counter + 1));
            match answer {
                Ok(version) if version.counter == once => {}
                Ok(version) => {
                    self.violation(format!("`{key}`: repeated, the write made version {version} and not {once}"));
                }
                Err(failure) if failure.conflict().is_some() => {
                    self.violation(format!("`{key}`: repeated, the write made a conflict: {failure}"));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Counts an acknowledged transfer.
    pub fn transferred(&self) {
        self.notes().counts.transfers += 1;
    }

    /// Notes something that must not be.
    pub fn violation(&self, what: impl Into<String>) {
        self.notes().violations.push(what.into());
    }

    /// What was noted that must not be.
    pub fn violations(&self) -> Vec<String> {
        self.notes().violations.clone()
    }

    /// How much was done up to the last audit.
    pub fn counts(&self) -> Counts {
        self.notes().counts
    }

    /// Reads every key that was written and judges what is there, then takes it as the truth.
    ///
    /// # Errors
    /// That a key could not be read. What must not be there is a [`violation`](Self::violations).
    pub async fn audit(&self, client: &Client, late: Late) -> Result<(), Failure> {
        let keys: Vec<String> = self.notes().audit.keys().map(str::to_owned).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let found = client.get_many(&keys).await?;
        let values = keys.into_iter().zip(found.into_iter().map(|found| found.map(|Found { value, .. }| value)));
        self.notes().judge(&values.collect(), late);
        Ok(())
    }
}

impl Notes {
    fn judge(&mut self, found: &BTreeMap<String, Option<Bytes>>, late: Late) {
        let value = |key: &str| found.get(key).cloned().flatten();
        let violations = self.audit.judge(late, value);
        self.violations.extend(violations.iter().map(ToString::to_string));
        for writes in std::mem::take(&mut self.open) {
            self.counts.open += 1;
            let there: BTreeSet<bool> = writes.iter().map(|(key, written)| value(key) == *written).collect();
            // Deletes are left out of such transactions: what is not there may never have been.
            if there.len() > 1 {
                let keys: Vec<&str> = writes.iter().map(|(key, _)| key.as_str()).collect();
                self.violations.push(format!("of the transaction on {keys:?} only a part took effect"));
            }
        }
        let Summary { acknowledged, unknown, rejected, .. } = self.audit.summary();
        // What an earlier audit found is noted as one acknowledged write.
        self.counts.acknowledged += acknowledged.saturating_sub(if self.counts.audits == 0 { 0 } else { found.len() });
        self.counts.unknown += unknown;
        self.counts.rejected += rejected;
        self.counts.audits += 1;
        for (key, value) in found {
            self.audit.settle(key, value.clone());
        }
    }
}

/// Reads all balances and judges their sum.
///
/// # Errors
/// That they could not be read. A wrong sum is a violation of the ledger.
pub async fn check_bank(client: &Client, bank: &Bank, ledger: &Ledger) -> Result<(), Failure> {
    let accounts: Vec<String> = (0..bank.accounts()).map(account).collect();
    let balances: Vec<Option<Bytes>> =
        client.get_many(&accounts).await?.into_iter().map(|found| found.map(|found| found.value)).collect();
    if let Err(violation) = bank.check(&balances) {
        ledger.violation(format!("the bank: {violation}"));
    }
    Ok(())
}

/// The key of an account.
pub fn account(number: usize) -> String {
    format!("bank/{number}")
}

#[cfg(test)]
mod tests {
    use pillion_spi::state::Condition;

    use super::*;

    fn write(key: &str, value: &'static str) -> Write {
        Write { key: key.to_owned(), value: Some(value.into()), condition: Condition::None }
    }

    fn judged(ledger: &Ledger, found: [(&str, Option<&'static str>); 2]) -> Vec<String> {
        let found = found.map(|(key, value)| (key.to_owned(), value.map(Bytes::from)));
        ledger.notes().judge(&found.into(), Late::Never);
        ledger.violations()
    }

    fn broken() -> Result<(), Failure> {
        Err(Failure::Broken("cut".to_owned()))
    }

    #[test]
    fn a_transaction_with_an_unknown_outcome_is_there_or_not_but_never_in_part() {
        for (found, violations) in [
            ([("a", Some("1")), ("b", Some("1"))], 0),
            ([("a", None), ("b", None)], 0),
            ([("a", Some("1")), ("b", None)], 1),
        ] {
            let ledger = Ledger::default();
            ledger.note(&[write("a", "1"), write("b", "1")], &broken());
            assert_eq!(judged(&ledger, found).len(), violations, "{found:?}");
            assert_eq!(ledger.counts().open, 1);
        }
    }

    #[test]
    fn a_later_write_of_a_key_ends_the_judgement_of_the_transaction() {
        let ledger = Ledger::default();
        ledger.note(&[write("a", "1"), write("b", "1")], &broken());
        ledger.note(&[write("b", "2")], &Ok(()));
        assert_eq!(judged(&ledger, [("a", Some("1")), ("b", Some("2"))]), [""; 0]);
    }

    #[test]
    fn rounds_are_counted_once() {
        let ledger = Ledger::default();
        ledger.note(&[write("a", "1"), write("b", "1")], &Ok(()));
        assert_eq!(judged(&ledger, [("a", Some("1")), ("b", Some("1"))]), [""; 0]);
        ledger.note(&[write("a", "2")], &Ok(()));
        ledger.note(&[write("b", "2")], &broken());
        assert_eq!(judged(&ledger, [("a", Some("2")), ("b", Some("1"))]), [""; 0]);
        let Counts { acknowledged, unknown, audits, .. } = ledger.counts();
        assert_eq!((acknowledged, unknown, audits), (3, 1, 2));
        // What the second audit settled must stay.
        assert_eq!(judged(&ledger, [("a", Some("1")), ("b", Some("1"))]).len(), 1);
    }
}
