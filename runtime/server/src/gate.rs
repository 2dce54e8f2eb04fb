//! Who may call over TCP: only those that mean this server (`Host`) and no web page that was not
//! invited (`Origin`).
//!
//! A page in a browser on this machine can send requests to loopback addresses. It cannot choose
//! these two headers, so they tell such requests from those of programs; and a page whose own name
//! was pointed at a loopback address after it was loaded betrays itself by its `Host`.

use std::net::SocketAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderValue, Request, Version};
use pillion_proto::{Error, Reason};

/// The rules of one server.
#[derive(Debug)]
pub(crate) struct Gate {
    /// `None`: any host. A listener on more than this machine without a list of names is guarded by
    /// its token, and nobody could guess the names it is called by.
    hosts: Option<Vec<String>>,
    origins: Vec<HeaderValue>,
}

impl Gate {
    /// The rules for a listener at `bound`.
    pub(crate) fn new(bound: Option<SocketAddr>, hosts: &[String], origins: &[String]) -> Self {
        let open = bound.is_some_and(|address| !address.ip().is_loopback()) && hosts.is_empty();
        let own = bound.map(|address| match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        });
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        Self {
            hosts: (!open).then(|| loopback.into_iter().chain(own).chain(hosts.iter().cloned()).collect()),
            origins: origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect(),
        }
    }

    /// Judges a request that came over TCP or else, where hosts have no meaning, over a Unix socket.
    ///
    /// # Errors
    /// `request.host_refused`, `request.origin_refused`, and `request.invalid` for an HTTP/1.1
    /// request without exactly one host (RFC 9112, 3.2).
    pub(crate) fn admit<B>(&self, request: &Request<B>, tcp: bool) -> Result<(), Error> {
        // Every value is judged: whoever reads these headers next may take another one than we do.
        for origin in request.headers().get_all(ORIGIN) {
            if !self.origins.contains(origin) {
                return Err(origin_refused(origin));
            }
        }
        if !tcp {
            return Ok(());
        }
        if let Some(authority) = request.uri().authority() {
            self.judge_host(authority.as_str())?;
        }
        let mut count = 0;
        for host in request.headers().get_all(HOST) {
            count += 1;
            self.judge_host(host.to_str().unwrap_or("?"))?;
        }
        if request.version() == Version::HTTP_11 && count != 1 {
            return Err(Error::new(Reason::RequestInvalid, format!("the request has {count} Host headers, not one")));
        }
        Ok(())
    }

    fn judge_host(&self, authority: &str) -> Result<(), Error> {
        let Some(hosts) = &self.hosts else { return Ok(()) };
        let host = without_port(authority);
        if hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return Ok(());
        }
        Err(Error::new(Reason::RequestHostRefused, format!("this runtime is not called {host:?}")))
    }
}

fn origin_refused(origin: &HeaderValue) -> Error {
    Error::new(Reason::RequestOriginRefused, format!("pages of the origin {origin:?} may not call this runtime"))
}

/// `localhost:80` → `localhost`, `[::1]:80` → `[::1]`.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(bound: &str, hosts: &[&str]) -> Gate {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Gate::new(Some(bound.parse().unwrap()), &hosts, &[])
    }

    fn host_is_admitted(gate: &Gate, host: &str) -> bool {
        let request = Request::builder().header(HOST, host).body(()).unwrap();
        gate.admit(&request, true).is_ok()
    }

    #[test]
    fn a_loopback_listener_answers_to_loopback_names_only() {
        let gate = gate("127.0.0.1:34904", &["orders.test"]);
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:34904", "[::1]", "[::1]:34904", "orders.test:8080"] {
            assert!(host_is_admitted(&gate, host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:34904", "", "x@localhost"] {
            assert!(!host_is_admitted(&gate, host), "{host}");
        }
    }

    #[test]
    fn a_listener_for_other_machines_checks_hosts_only_against_a_list() {
        assert!(host_is_admitted(&gate("10.0.0.1:80", &[]), "orders.example"));
        assert!(!host_is_admitted(&gate("10.0.0.1:80", &["orders.example"]), "evil.example"));
        assert!(host_is_admitted(&gate("10.0.0.1:80", &["orders.example"]), "10.0.0.1"));
    }

    #[test]
    fn every_host_and_origin_is_judged() {
        let gate = gate("127.0.0.1:1", &[]);
        let two = Request::builder().header(HOST, "localhost").header(HOST, "evil.example").body(()).unwrap();
        assert!(gate.admit(&two, true).unwrap_err().is(Reason::RequestHostRefused));
        let absolute = Request::builder().uri("http://evil.example/").header(HOST, "localhost").body(()).unwrap();
        assert!(gate.admit(&absolute, true).unwrap_err().is(Reason::RequestHostRefused));
        let none = Request::builder().body(()).unwrap();
        assert!(gate.admit(&none, true).unwrap_err().is(Reason::RequestInvalid));
        let page = Request::builder().header(HOST, "localhost").header(ORIGIN, "null").body(()).unwrap();
        assert!(gate.admit(&page, true).unwrap_err().is(Reason::RequestOriginRefused));
        assert!(gate.admit(&page, false).unwrap_err().is(Reason::RequestOriginRefused));
    }
}
