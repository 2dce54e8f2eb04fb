//! Page tokens: a store's cursor, bound to the listing it belongs to.

use pillion_proto::{Error, Reason, Result};

const DEFAULT_SIZE: usize = 100;
const LARGEST_SIZE: usize = 1000;

/// The size of a page.
pub(super) fn size(asked: i32) -> Result<usize> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) if size <= LARGEST_SIZE => Ok(size),
        _ => Err(Error::new(
            Reason::RequestInvalid,
            format!("page_size is {asked}; it must be 0 (for {DEFAULT_SIZE}) to {LARGEST_SIZE}"),
        )
        .with("field", "page_size")),
    }
}

/// The token that continues a listing of `store` and `prefix`.
pub(super) fn token(cursor: &str, store: &str, prefix: &str) -> String {
    format!("{:08x}{cursor}", mark(store, prefix))
}

/// The cursor in a token; `None` for the first page.
///
/// # Errors
/// `state.page_token_invalid` for a token of another listing: its cursor would silently skip entries.
pub(super) fn cursor(token: &str, store: &str, prefix: &str) -> Result<Option<String>> {
    if token.is_empty() {
        return Ok(None);
    }
    token
        .split_at_checked(8)
        .filter(|(head, _)| u32::from_str_radix(head, 16) == Ok(mark(store, prefix)))
        .map(|(_, cursor)| Some(cursor.to_owned()))
        .ok_or_else(|| Error::new(Reason::StatePageTokenInvalid, "the page token does not belong to this listing"))
}

/// FNV-1a, 32 bits (draft-eastlake-fnv): it guards against mistakes, not against intent, and must
/// be the same in every process.
fn mark(store: &str, prefix: &str) -> u32 {
    store
        .bytes()
        .chain([0xff])
        .chain(prefix.bytes())
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_continues_only_its_own_listing() {
        let token = token("cursor é", "orders", "a/");
        assert_eq!(cursor(&token, "orders", "a/").unwrap().as_deref(), Some("cursor é"));
        for (store, prefix) in [("orders", "a"), ("other", "a/"), ("ordersa", "/")] {
            assert!(cursor(&token, store, prefix).unwrap_err().is(Reason::StatePageTokenInvalid));
        }
        for token in ["x", "ééééé", "00000000", "zzzzzzzz1"] {
            assert!(cursor(token, "orders", "a/").is_err(), "{token}");
        }
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!(size(0).unwrap(), 100);
        assert_eq!(size(1000).unwrap(), 1000);
        assert!(size(-1).is_err() && size(1001).is_err());
    }
}
