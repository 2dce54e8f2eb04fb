//! What an invited web page is told (WHATWG Fetch, "HTTP CORS protocol"). Requests of other pages
//! do not come this far.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

/// The page that a request comes from, if any.
pub(crate) struct Origin {
    value: Option<HeaderValue>,
    preflight: bool,
}

impl Origin {
    pub(crate) fn of(head: &Parts) -> Self {
        let value = head.headers.get(ORIGIN).cloned();
        let preflight = head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Self { value, preflight }
    }

    /// Lets the page read the answer and, after a preflight, send the request.
    pub(crate) fn invite(self, headers: &mut HeaderMap) {
        let Some(value) = self.value else { return };
        let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
        say(VARY, "origin");
        say(ACCESS_CONTROL_EXPOSE_HEADERS, "etag, pillion-expires-in, retry-after");
        if self.preflight {
            say(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, DELETE");
            say(
                ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, idempotency-key, if-match, if-none-match, pillion-app-id, \
                 pillion-timeout, traceparent, tracestate",
            );
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
}
