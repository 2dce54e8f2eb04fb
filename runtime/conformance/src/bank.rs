//! Accounts whose balances may move but never change in sum.

use std::fmt;

/// So many accounts with the same opening balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bank {
    accounts: usize,
    opening: u64,
}

/// What is wrong with the balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// There are more or fewer balances than accounts.
    Accounts {
        /// How many balances there are.
        found: usize,
    },
    /// An account is gone.
    Missing {
        /// Which.
        account: usize,
    },
    /// A balance is not a number that was ever written, or is below nothing.
    Torn {
        /// Of which account.
        account: usize,
        /// What is there.
        found: String,
    },
    /// Money came or went: half a transfer took effect, or a transfer was done on an old balance.
    Sum {
        /// What there should be.
        expected: u64,
        /// What there is.
        found: u128,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accounts { found } => write!(f, "there are {found} balances"),
            Self::Missing { account } => write!(f, "account {account} is gone"),
            Self::Torn { account, found } => write!(f, "account {account} holds `{found}`"),
            Self::Sum { expected, found } => write!(f, "the accounts hold {found} instead of {expected}"),
        }
    }
}

impl std::error::Error for Violation {}

impl Bank {
    /// A bank of `accounts` that open with `opening` each.
    pub fn new(accounts: usize, opening: u64) -> Self {
        Self { accounts, opening }
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.accounts
    }

    /// What each begins with.
    pub fn opening_balance(&self) -> u64 {
        self.opening
    }

    /// Judges the balances, written as decimal text, of all accounts at one moment without
    /// transfers.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self, balances: &[Option<impl AsRef<[u8]>>]) -> Result<(), Violation> {
        if balances.len() != self.accounts {
            return Err(Violation::Accounts { found: balances.len() });
        }
        let mut sum = 0_u128;
        for (account, balance) in balances.iter().enumerate() {
            let bytes = balance.as_ref().ok_or(Violation::Missing { account })?.as_ref();
            let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<u64>().ok());
            let torn = || Violation::Torn { account, found: String::from_utf8_lossy(bytes).into_owned() };
            sum += u128::from(number.ok_or_else(torn)?);
        }
        let expected = self.accounts as u64 * self.opening;
        if sum == u128::from(expected) { Ok(()) } else { Err(Violation::Sum { expected, found: sum }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(balances: &[Option<&str>]) -> Result<(), Violation> {
        Bank::new(3, 100).check(balances)
    }

    #[test]
    fn moved_money_is_fine() {
        assert_eq!(check(&[Some("100"), Some("100"), Some("100")]), Ok(()));
        assert_eq!(check(&[Some("0"), Some("299"), Some("1")]), Ok(()));
    }

    #[test]
    fn half_a_transfer_is_found() {
        // Taken from the first account, never given to the second.
        let found = check(&[Some("90"), Some("100"), Some("100")]);
        assert_eq!(found, Err(Violation::Sum { expected: 300, found: 290 }));
    }

    #[test]
    fn a_transfer_on_an_old_balance_is_found() {
        // Two transfers of 10 from the first account, both computed from 100.
        let found = check(&[Some("90"), Some("110"), Some("110")]);
        assert_eq!(found, Err(Violation::Sum { expected: 300, found: 310 }));
    }

    #[test]
    fn lost_and_torn_accounts_are_found() {
        assert_eq!(check(&[Some("100"), None, Some("200")]), Err(Violation::Missing { account: 1 }));
        assert_eq!(check(&[Some("300"), Some("0")]), Err(Violation::Accounts { found: 2 }));
        for text in ["1x", "", "-100", "99999999999999999999999"] {
            let wanted = Violation::Torn { account: 2, found: text.to_owned() };
            assert_eq!(check(&[Some("100"), Some("100"), Some(text)]), Err(wanted));
        }
    }
}
