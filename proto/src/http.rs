//! The REST-shaped routes: how a request becomes a message and an answer becomes a response.
//!
//! The table [`ROUTES`](crate::ROUTES) is generated from the `http` options of the methods. This
//! module knows nothing of sockets; the server crate matches paths and moves bodies.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::call::{CallInfo, Caller, Cx, TraceContext};
use crate::codec::{Codec, Json};
use crate::error::{Error, Reason, Result};
use crate::r#gen::apis::Apis;
use crate::stream::Events;
use crate::text;

/// One REST-shaped binding of a method.
#[derive(Debug)]
pub struct Route {
    /// `GET`, `PUT` …
    pub verb: &'static str,
    /// Literal segments, `{field}` and, last, `{*field}`.
    pub path: &'static str,
    /// The method.
    pub info: &'static CallInfo,
    /// Whether the body is used at all.
    pub body: bool,
    /// The request headers that set fields, by their names in lower case.
    pub headers: &'static [&'static str],
    /// Calls it.
    pub call: fn(&Apis, Cx, Request) -> BoxFuture<'static, Result<Reply>>,
}

/// A request whose path has matched a route.
#[derive(Debug, Default)]
pub struct Request {
    /// The values of the path's fields, percent-encoded as they came.
    pub path: Vec<(&'static str, String)>,
    /// The query, percent-encoded as it came.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A path field, percent-decoded once.
    pub(crate) fn path_field(&self, name: &str) -> Result<String> {
        let raw = self.path.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value.as_str());
        decode(name, raw).map(Cow::into_owned)
    }

    /// The query as pairs, refusing names that the route does not have.
    pub(crate) fn query_fields(&self, known: &[&str]) -> Result<Vec<(String, String)>> {
        let pairs = self.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut fields = Vec::new();
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            let name = decode("query", name)?.into_owned();
            if !known.contains(&name.as_str()) {
                return Err(Error::new(
                    Reason::RequestInvalid,
                    format!("unknown query parameter {name:?}; this path takes {}", listed(known)),
                ));
            }
            if fields.iter().any(|(present, _)| *present == name) {
                // As with headers: two parsers would disagree which one counts.
                return Err(Error::new(
                    Reason::RequestInvalid,
                    format!("the query parameter {name:?} stands more than once"),
                ));
            }
            let value = value.replace('+', " ");
            let value = decode(&name, &value)?.into_owned();
            fields.push((name, value));
        }
        Ok(fields)
    }

    /// A header that may stand once.
    pub(crate) fn header(&self, name: &'static str) -> Result<Option<&str>> {
        single(&self.headers, &HeaderName::from_static(name))
    }

    /// The body as JSON.
    #[cfg_attr(not(feature = "shapes"), allow(dead_code, reason = "only the test service has such a binding yet"))]
    pub(crate) fn json<M: prost::Message + Default + serde::de::DeserializeOwned>(&mut self) -> Result<M> {
        Json::decode(std::mem::take(&mut self.body))
    }
}

/// The error of a header or query parameter that sets one of several things of which a request has
/// one, where another one is set already.
pub(crate) fn excluded(name: &str) -> Error {
    Error::new(Reason::RequestInvalid, format!("`{name}` excludes something else that this request says"))
        .with("field", name)
        .advice("say one of the two")
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Whether a field of a message has a value: proto3 does not tell the zero value from none.
pub(crate) fn is_set<T: Default + PartialEq>(value: &T) -> bool {
    *value != T::default()
}

fn decode<'a>(name: &str, raw: &'a str) -> Result<Cow<'a, str>> {
    percent_decode_str(raw).decode_utf8().map_err(|_| {
        Error::new(Reason::RequestInvalid, format!("`{name}` is not UTF-8 once its percent signs are decoded"))
    })
}

/// The value of a header that may stand once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        // Taking the first of several would let two parsers disagree.
        return Err(Error::new(Reason::RequestInvalid, format!("the header `{name}` stands more than once")));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Error::new(Reason::RequestInvalid, format!("the header `{name}` is not visible ASCII")))
}

/// What a call is answered with.
#[derive(Debug)]
pub struct Reply {
    /// Response headers besides those of the body's kind.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

/// The body of a [`Reply`].
#[derive(Debug)]
pub enum ReplyBody {
    /// Bytes of a kind that the headers name.
    Raw(Bytes),
    /// One JSON text.
    Json(Bytes),
    /// JSON texts, to be sent as server-sent events or JSON lines.
    Stream(Events<Bytes>),
}

impl Reply {
    pub(crate) fn json<M: prost::Message + serde::Serialize>(message: &M) -> Result<Self> {
        Ok(Self { headers: HeaderMap::new(), body: ReplyBody::Json(Json::encode(message)?) })
    }

    pub(crate) fn raw(body: impl Into<Bytes>) -> Self {
        Self { headers: HeaderMap::new(), body: ReplyBody::Raw(body.into()) }
    }

    pub(crate) fn stream<M: prost::Message + serde::Serialize + 'static>(events: Events<M>) -> Self {
        let texts = events.try_map(|message| Json::encode(&message));
        Self { headers: HeaderMap::new(), body: ReplyBody::Stream(texts) }
    }

    /// Adds a header; a value that no header can hold (a content type with a line break, written by
    /// another runtime) is left out rather than failing the read.
    pub(crate) fn header(&mut self, name: &'static str, value: &str) {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The call context that request headers give: `grpc-timeout` or `pillion-timeout`, `traceparent`,
/// `tracestate`, `pillion-app-id`, `authorization: Bearer`.
///
/// # Errors
/// `request.invalid` for a header that is there and wrong; a call with a deadline that cannot be
/// read must not run without one.
pub fn context(headers: &HeaderMap) -> Result<Cx> {
    // Parsed names: this runs for every call, and a name as text is hashed and folded each time.
    static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
    static PILLION_TIMEOUT: HeaderName = HeaderName::from_static("pillion-timeout");
    static APP_ID: HeaderName = HeaderName::from_static("pillion-app-id");
    static TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
    static TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

    let mut cx = Cx { caller: Caller::Anonymous, ..Cx::default() };
    if let Some(timeout) = single(headers, &GRPC_TIMEOUT)? {
        let timeout = grpc_timeout(timeout).ok_or_else(|| wrong_header("grpc-timeout", timeout))?;
        cx = cx.within(timeout);
    } else if let Some(timeout) = single(headers, &PILLION_TIMEOUT)? {
        let timeout = text::duration(timeout).ok_or_else(|| wrong_header("pillion-timeout", timeout))?;
        cx = cx.within(timeout);
    }
    cx.app_id = single(headers, &APP_ID)?.filter(|id| !id.is_empty()).map(Arc::from);
    cx.token = single(headers, &AUTHORIZATION)?.and_then(|value| value.strip_prefix("Bearer ")).map(Arc::from);
    if let Some(parent) = headers.get(&TRACE_PARENT).and_then(|value| value.to_str().ok()) {
        let state = headers.get(&TRACE_STATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        cx.trace = Some(TraceContext { parent: parent.into(), state: state.into() });
    }
    Ok(cx)
}

fn wrong_header(name: &str, value: &str) -> Error {
    Error::new(Reason::RequestInvalid, format!("the header `{name}` is {value:?}, which is no duration"))
}

/// At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn grpc_timeout(value: &str) -> Option<std::time::Duration> {
    use std::time::Duration;

    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = u64::from_str(digits).ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// RFC 9457: the body of every HTTP answer that is an error.
pub fn problem(error: &Error) -> serde_json::Value {
    let full = crate::common::v1::Error::from(error);
    let mut body = match serde_json::to_value(&full) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    body.insert("type".into(), format!("urn:pillion:error:{}", error.reason()).into());
    body.insert("title".into(), error.reason().into());
    body.insert("status".into(), error.http_status().into());
    body.insert("detail".into(), full.message.into());
    body.insert("category".into(), error.category().short_name().into());
    body.insert("outcome".into(), error.outcome().short_name().into());
    body.insert("retryable".into(), error.retryable().into());
    body.remove("message");
    body.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn grpc_timeouts_are_read_as_the_protocol_says() {
        for (text, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("5m", Some(Duration::from_millis(5))),
            ("7u", Some(Duration::from_micros(7))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("+1S", None),
            ("1é", None),
        ] {
            assert_eq!(grpc_timeout(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_key_is_decoded_once_and_not_normalised() {
        let request = Request { path: vec![("key", "a%2Fb%252F../c+d".into())], ..Request::default() };
        assert_eq!(request.path_field("key").unwrap(), "a/b%2F../c+d");
        let request = Request { path: vec![("key", "%FF".into())], ..Request::default() };
        assert!(request.path_field("key").unwrap_err().is(Reason::RequestInvalid));
    }

    #[test]
    fn a_misspelt_query_parameter_is_refused() {
        let request = Request { query: Some("tll=5s".into()), ..Request::default() };
        let error = request.query_fields(&["ttl", "keep_ttl"]).unwrap_err();
        assert_eq!(error.message(), "unknown query parameter \"tll\"; this path takes ttl, keep_ttl");
        let error = request.query_fields(&[]).unwrap_err();
        assert_eq!(error.message(), "unknown query parameter \"tll\"; this path takes none");
    }

    #[test]
    fn a_query_parameter_stands_once() {
        for query in ["ttl=5s&ttl=6s", "ttl=5s&%74tl=5s"] {
            let request = Request { query: Some(query.into()), ..Request::default() };
            let error = request.query_fields(&["ttl"]).unwrap_err();
            assert!(error.is(Reason::RequestInvalid) && error.message().contains("more than once"), "{error}");
        }
    }
}
