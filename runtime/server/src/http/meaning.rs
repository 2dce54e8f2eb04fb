//! Headers that would change what a request means. One that is not understood is refused: a server
//! that passes over it does something else than it was asked to.

use http::header::{CONTENT_ENCODING, CONTENT_RANGE, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName};
use pillion_proto::{Access, Error, Reason, Result};

/// What makes a write depend on something. `If-Modified-Since` is for reads only (RFC 9110, 13.1.3).
const CONDITIONS: [HeaderName; 4] =
    [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, HeaderName::from_static("idempotency-key")];

/// Refuses a request whose headers say more than its path takes; `bound` are those that it takes.
///
/// # Errors
/// `request.unsupported_media_type` for an encoded body, `request.invalid` for a part of a value and
/// for a condition that would not be looked at.
pub(crate) fn understand(headers: &HeaderMap, access: Access, bound: &[&str]) -> Result<()> {
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().unwrap_or("?");
        if !value.split(',').all(|coding| coding.trim().eq_ignore_ascii_case("identity")) {
            let message = format!("the body has the content encoding {value:?}; this runtime takes none");
            return Err(Error::new(Reason::RequestUnsupportedMediaType, message)
                .advice("send the body as it is, without a Content-Encoding"));
        }
    }
    if headers.contains_key(CONTENT_RANGE) {
        // As RFC 9110, 14.5 asks: a part would replace the whole.
        let message = "the request has a Content-Range; a value is written as a whole";
        return Err(Error::new(Reason::RequestInvalid, message).with("field", "content-range"));
    }
    if access != Access::Write {
        return Ok(());
    }
    for name in CONDITIONS {
        if headers.contains_key(&name) && !bound.contains(&name.as_str()) {
            let taken = if bound.is_empty() { "none".to_owned() } else { bound.join(", ") };
            let message = format!("this path does not look at the header `{name}`; it looks at: {taken}");
            return Err(Error::new(Reason::RequestInvalid, message)
                .with("field", name.as_str())
                .advice("leave the header out; JSON requests say conditions in their body"));
        }
    }
    Ok(())
}
