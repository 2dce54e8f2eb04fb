//! The tables in `proto/scenarios/compat`: what a client sends, and what it must see.

use std::path::Path;

use anyhow::{Context, Result, bail};
use prost_reflect::{DynamicMessage, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tonic::{Code, Status};

use crate::raw::Raw;

/// A table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The only type of store of which it is true.
    only: Option<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    call: String,
    #[serde(default)]
    request: Map<String, Json>,
    /// The answer; an empty message by default.
    #[serde(default)]
    answer: Map<String, Json>,
    /// The code of the failure, by its name in the gRPC specification.
    code: Option<String>,
    /// The whole text of the failure.
    text: Option<String>,
    /// The beginning of the text of the failure.
    begins: Option<String>,
    /// The keys of which each has an item that says why it could not be read.
    errors: Option<Vec<String>>,
}

impl Table {
    /// Reads `proto/scenarios/compat/<name>.yaml`.
    pub fn read(name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/scenarios/compat");
        let path = folder.join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{}", path.display()))
    }

    /// Runs every case that applies to `store`, of type `kind`. Prints a line for each.
    ///
    /// # Errors
    /// Names every case that is not as the table says.
    pub async fn hold(&self, raw: &Raw, store: &str, kind: &str) -> Result<()> {
        let mut failures = Vec::new();
        let mut count = 0;
        for (index, case) in self.cases.iter().enumerate() {
            if case.only.as_ref().is_some_and(|only| only != kind) {
                continue;
            }
            count += 1;
            let names = Names { store, prefix: format!("golden-{}-{index}-", std::process::id()) };
            match case.hold(raw, &names).await {
                Ok(()) => println!("ok    {kind}: {}", case.name),
                Err(error) => {
                    println!("FAIL  {kind}: {}: {error:#}", case.name);
                    failures.push(case.name.as_str());
                }
            }
        }
        println!("{} of {count} cases hold on {kind}", count - failures.len());
        if failures.is_empty() { Ok(()) } else { bail!("{} cases do not hold on {kind}: {failures:?}", failures.len()) }
    }
}

impl Case {
    async fn hold(&self, raw: &Raw, names: &Names<'_>) -> Result<()> {
        for (index, step) in self.steps.iter().enumerate() {
            let request = names.all(&Json::Object(step.request.clone()));
            let seen = raw.call(&step.call, &request).await?;
            step.judge(raw, names, seen).with_context(|| format!("step {} ({})", index + 1, step.call))?;
        }
        Ok(())
    }
}

impl Step {
    fn judge(&self, raw: &Raw, names: &Names<'_>, seen: Result<DynamicMessage, Status>) -> Result<()> {
        match (&self.code, seen) {
            (Some(code), Err(status)) => {
                if *code != code_name(status.code()) {
                    bail!("expected {code}, got {} [{}]", code_name(status.code()), status.message());
                }
                let text = self.text.as_deref().map(|text| names.text(text));
                let begins = self.begins.as_deref().map(|begins| names.text(begins));
                let holds = text.as_ref().is_none_or(|text| status.message() == text)
                    && begins.as_ref().is_none_or(|begins| status.message().starts_with(begins));
                if !holds {
                    bail!("expected {:?}, got {:?}", text.or(begins).unwrap_or_default(), status.message());
                }
                Ok(())
            }
            (Some(code), Ok(answer)) => bail!("expected {code}, got the answer {answer}"),
            (None, Err(status)) => {
                bail!("expected an answer, got {} [{}]", code_name(status.code()), status.message())
            }
            (None, Ok(answer)) => match &self.errors {
                Some(keys) => each_says_why(&answer, keys.iter().map(|key| names.text(key)).collect()),
                None => {
                    let expected = raw.answer(&self.call, &names.all(&Json::Object(self.answer.clone())))?;
                    if answer != expected {
                        bail!("expected the answer {expected}, got {answer}");
                    }
                    Ok(())
                }
            },
        }
    }
}

fn each_says_why(answer: &DynamicMessage, keys: Vec<String>) -> Result<()> {
    let items = answer.get_field_by_name("items").context("the answer has no items")?;
    let text = |item: &Value, field: &str| -> Option<String> {
        Some(item.as_message()?.get_field_by_name(field)?.as_str()?.to_owned())
    };
    let found: Vec<_> = items.as_list().into_iter().flatten().map(|item| text(item, "key")).collect();
    let expected: Vec<_> = keys.into_iter().map(Some).collect();
    let silent =
        items.as_list().into_iter().flatten().any(|item| text(item, "error").is_none_or(|text| text.is_empty()));
    if found != expected || silent {
        bail!("expected an error for each of {expected:?}, got {answer}");
    }
    Ok(())
}

/// What stands for `$store` and `$`.
struct Names<'a> {
    store: &'a str,
    prefix: String,
}

impl Names<'_> {
    fn text(&self, text: &str) -> String {
        text.replace("$store", self.store).replace('$', &self.prefix)
    }

    fn all(&self, value: &Json) -> Json {
        match value {
            Json::String(text) => Json::String(self.text(text)),
            Json::Array(items) => items.iter().map(|item| self.all(item)).collect(),
            Json::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.all(value))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
