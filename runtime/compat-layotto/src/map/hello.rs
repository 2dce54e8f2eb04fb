//! Greetings. There is no native API behind them: the answer is an option of the door.

use std::collections::BTreeMap;

use tonic::Status;

use crate::r#gen::{SayHelloRequest, SayHelloResponse};

/// Answers with the greeting of the service named, and with the request's data as it came.
///
/// # Errors
/// Unknown, for a service without a greeting.
pub fn answer(greetings: &BTreeMap<String, String>, request: SayHelloRequest) -> Result<SayHelloResponse, Status> {
    let Some(greeting) = greetings.get(&request.service_name) else {
        return Err(Status::unknown("no instance found"));
    };
    let hello = match request.name.as_str() {
        "" => greeting.clone(),
        name => format!("{greeting}, {name}"),
    };
    Ok(SayHelloResponse { hello, data: request.data })
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn ask(service: &str, name: &str) -> Result<SayHelloResponse, Status> {
        let data = prost_types::Any { type_url: "any/thing".to_owned(), value: vec![0, 255] };
        let request = SayHelloRequest { service_name: service.to_owned(), name: name.to_owned(), data: Some(data) };
        let greetings = BTreeMap::from([("helloworld".to_owned(), "greeting".to_owned())]);
        answer(&greetings, request)
    }

    #[test]
    fn a_known_service_greets_by_name_and_sends_the_data_back() {
        let answer = ask("helloworld", "layotto").expect("a greeting");
        assert_eq!(answer.hello, "greeting, layotto");
        assert_eq!(answer.data.expect("the data").value, [0, 255]);
        assert_eq!(ask("helloworld", "").expect("a greeting").hello, "greeting");
    }

    #[test]
    fn an_unknown_or_empty_service_is_no_instance() {
        for service in ["", "nope"] {
            let status = ask(service, "layotto").expect_err("no greeting");
            assert_eq!((status.code(), status.message()), (Code::Unknown, "no instance found"));
        }
    }
}
