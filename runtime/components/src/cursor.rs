//! Where the next page of a list in key order begins, as text.

use pillion_spi::error::{Error, Result};
use pillion_spi::state::{Key, Scan};

/// The cursor of a page that ends with `key`.
pub(crate) fn after(key: &Key) -> String {
    format!(">{key}")
}

/// The key behind which the page begins that `scan` asks for; `None` for the first page.
///
/// # Errors
/// [`Kind::Invalid`](pillion_spi::Kind::Invalid) for a cursor that was not made by [`after`], or
/// for another prefix.
pub(crate) fn begin(scan: &Scan) -> Result<Option<&str>> {
    let Some(cursor) = &scan.cursor else { return Ok(None) };
    match cursor.strip_prefix('>') {
        Some(key) if key.starts_with(&scan.prefix) => Ok(Some(key)),
        _ => Err(Error::invalid("the cursor does not belong to this list")
            .advice("pass the cursor that the page before returned, with the same prefix, or none for the first page")),
    }
}
