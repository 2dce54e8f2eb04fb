//! Which kinds of body are taken.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use pillion_proto::{Error, Reason, Result};

/// The media type of a request without its parameters, in lower case; empty if it names none.
///
/// # Errors
/// `request.unsupported_media_type` if it names several, or a charset that JSON does not have.
fn kind(headers: &HeaderMap) -> Result<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(String::new()) };
    let text = value.to_str().unwrap_or("?");
    if values.next().is_some() {
        return Err(unsupported("several content types", "one"));
    }
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err(unsupported(text, "UTF-8"));
    }
    Ok(kind.trim().to_ascii_lowercase())
}

/// # Errors
/// `request.unsupported_media_type` unless the body is JSON, or there is none.
pub(crate) fn require_json(headers: &HeaderMap, empty: bool) -> Result<()> {
    require(headers, empty, "application/json", &["application/json"])
}

/// # Errors
/// `request.unsupported_media_type` unless the body is JSON lines, under any of the names in use,
/// or there is none.
pub(crate) fn require_lines(headers: &HeaderMap, empty: bool) -> Result<()> {
    require(
        headers,
        empty,
        "application/jsonl",
        &["application/jsonl", "application/x-ndjson", "application/json-lines"],
    )
}

fn require(headers: &HeaderMap, empty: bool, wanted: &str, taken: &[&str]) -> Result<()> {
    match kind(headers)?.as_str() {
        "" if empty => Ok(()),
        "" => Err(unsupported("no content type", wanted)),
        kind if taken.contains(&kind) => Ok(()),
        kind if kind.starts_with("application/grpc") => Err(not_grpc()),
        kind => Err(unsupported(kind, wanted)),
    }
}

/// Refuses what HTML forms send, which pages may send anywhere without asking.
///
/// # Errors
/// `request.unsupported_media_type`.
pub(crate) fn refuse_forms(headers: &HeaderMap) -> Result<()> {
    for value in headers.get_all(CONTENT_TYPE) {
        let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if ["application/x-www-form-urlencoded", "multipart/form-data"]
            .iter()
            .any(|form| kind.eq_ignore_ascii_case(form))
        {
            return Err(unsupported(kind, "the content type that the body has")
                .advice("set content-type to the media type of the value, for example text/plain"));
        }
    }
    Ok(())
}

/// The error of gRPC that came another way than gRPC does.
pub(crate) fn not_grpc() -> Error {
    Error::new(Reason::RequestUnsupportedMediaType, "gRPC is served over HTTP/2 as POST with application/grpc only")
}

fn unsupported(found: &str, wanted: &str) -> Error {
    Error::new(Reason::RequestUnsupportedMediaType, format!("the request has {found}; this path takes {wanted}"))
}
