//! `pillion explain`

use pillion_proto::{REASONS, Reason};
use pillion_runtime::config::nearest;
use serde_json::json;

use crate::arguments::Explain;
use crate::exit::{self, Failure};
use crate::output::Output;

pub(crate) fn run(arguments: &Explain, output: &Output) -> Result<u8, Failure> {
    let Some(name) = &arguments.reason else {
        for reason in REASONS {
            print(*reason, output, false)?;
        }
        return Ok(exit::OK);
    };
    match Reason::from_name(name) {
        Some(reason) => print(reason, output, true).map(|()| exit::OK),
        None => {
            let known: Vec<_> = REASONS.iter().map(|reason| reason.name()).collect();
            let hint = match nearest(name, &known) {
                Some(nearest) => format!("; did you mean `{nearest}`?"),
                None => "; `pillion explain` lists them".to_owned(),
            };
            Err(Failure::Message(format!("there is no reason `{name}`{hint}"), exit::FAILED))
        }
    }
}

fn print(reason: Reason, output: &Output, whole: bool) -> Result<(), Failure> {
    let category = reason.category().short_name();
    if output.json {
        output.data(&json!({
            "reason": reason.name(),
            "category": category,
            "grpcCode": reason.grpc_code(),
            "httpStatus": reason.http_status(),
            "retryable": reason.retryable(),
            "meaning": reason.meaning(),
            "advice": reason.advice(),
        }))?;
    } else if whole {
        let retry =
            if reason.retryable() { "trying again later may succeed" } else { "trying again as it is will not help" };
        let text = format!(
            "{}\n  what    {}\n  try     {}\n  class   {category}: gRPC {}, HTTP {}; {retry}\n",
            reason.name(),
            reason.meaning(),
            reason.advice(),
            reason.grpc_code(),
            reason.http_status(),
        );
        output.raw(text.as_bytes())?;
    } else {
        output.raw(format!("{:<34} {}\n", reason.name(), reason.meaning()).as_bytes())?;
    }
    Ok(())
}
