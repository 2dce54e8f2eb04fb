//! What the generated mocks share.

use crate::call::Cx;
use crate::error::{Error, Reason, Result};

/// What a mocked method answers.
pub type Answer<Request, Response> = Box<dyn Fn(&Cx, Request) -> Result<Response> + Send + Sync>;

pub(crate) fn answer<Request, Response>(
    answer: Option<&Answer<Request, Response>>,
    operation: &str,
    cx: &Cx,
    request: Request,
) -> Result<Response> {
    match answer {
        Some(answer) => answer(cx, request),
        None => {
            Err(Error::new(Reason::RequestUnknownMethod, format!("the mock was not told what {operation} answers")))
        }
    }
}
