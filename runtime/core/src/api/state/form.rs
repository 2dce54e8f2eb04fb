//! What texts beside keys and values may look like. Stores keep them and hand them on to others, so
//! their form is the same everywhere and does not depend on the store.

use pillion_proto::{Error, Reason, Result};

/// The longest content type and the longest idempotency key, in bytes.
const LONGEST: usize = 256;

/// # Errors
/// `request.invalid` for a content type that no header could hold.
pub(super) fn content_type(text: String) -> Result<Option<String>> {
    let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.len() > LONGEST {
        return Err(refused("content type", "content_type", &too_long(&text)));
    }
    if !text.bytes().all(visible) {
        return Err(refused("content type", "content_type", "it may have visible ASCII characters only"));
    }
    Ok((!text.is_empty()).then_some(text))
}

/// # Errors
/// `request.invalid` for a key that not every store could keep as it is.
pub(super) fn idempotency_key(text: &str) -> Result<Option<String>> {
    let problem = if text.len() > LONGEST {
        too_long(text)
    } else if text.chars().any(char::is_control) {
        "it contains a control character".to_owned()
    } else if text.contains("||") {
        "it contains `||`, which separates prefixes".to_owned()
    } else {
        return Ok((!text.is_empty()).then(|| text.to_owned()));
    };
    Err(refused("idempotency key", "idempotency_key", &problem))
}

fn too_long(text: &str) -> String {
    format!("it has {} bytes; the limit is {LONGEST}", text.len())
}

/// The text itself is not shown: it may be long, and nothing in it can be trusted.
fn refused(what: &str, field: &'static str, problem: &str) -> Error {
    Error::new(Reason::RequestInvalid, format!("the {what} is refused: {problem}")).with("field", field)
}
