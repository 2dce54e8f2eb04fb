//! The one gate that every call passes, from every transport.

use pillion_proto::{Access, Call, CallGuard, CallHook, Caller, Cx, Error, Reason, Result};
use pillion_spi::Secret;

/// Decides whether a caller may make a call.
#[derive(Debug, Default)]
pub struct Authorizer {
    token: Option<Secret>,
}

impl Authorizer {
    /// A gate that asks remote callers for `token`, or for nothing if there is none.
    pub fn new(token: Option<Secret>) -> Self {
        Self { token }
    }

    /// Decides one call, and writes down who makes it.
    ///
    /// # Errors
    /// `request.unauthenticated`.
    pub fn authorize(&self, call: &Call<'_>, cx: &mut Cx) -> Result<()> {
        let Some(expected) = &self.token else { return Ok(()) };
        if cx.caller == Caller::InProcess || call.info.access == Access::Public {
            return Ok(());
        }
        let problem = match &cx.token {
            Some(token) if equal(token.as_bytes(), expected.expose().as_bytes()) => {
                cx.caller = Caller::Token;
                return Ok(());
            }
            Some(_) => "the token is not the runtime's",
            None => "the call bears no token",
        };
        Err(Error::new(Reason::RequestUnauthenticated, format!("{} is refused: {problem}", call.info.operation)))
    }
}

/// Compares in a time that does not tell how much was right.
fn equal(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = given.len() ^ expected.len();
    for (index, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ expected.get(index % expected.len().max(1)).copied().unwrap_or_default());
    }
    difference == 0
}

impl CallHook for Authorizer {
    fn begin(&self, call: &Call<'_>, cx: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        self.authorize(call, cx)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_the_right_token_opens_what_is_not_public() {
        let gate = Authorizer::new(Some(Secret::new("s3cret".to_owned())));
        let read = pillion_proto::state_method::GET.call("", "");
        let public = pillion_proto::actuator_method::CHECK_LIVE.call("", "");
        let cx = |token: Option<&str>| Cx { caller: Caller::Anonymous, token: token.map(Arc::from), ..Cx::default() };
        for token in [None, Some(""), Some("s3cre"), Some("s3cret!"), Some("S3cret"), Some("s3crets3cret")] {
            let error = gate.authorize(&read, &mut cx(token)).unwrap_err();
            assert!(error.is(Reason::RequestUnauthenticated), "{token:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "the token is not shown");
            gate.authorize(&public, &mut cx(token)).unwrap();
        }
        let mut known = cx(Some("s3cret"));
        gate.authorize(&read, &mut known).unwrap();
        assert_eq!(known.caller, Caller::Token);
        gate.authorize(&read, &mut Cx::default()).unwrap();
    }
}
