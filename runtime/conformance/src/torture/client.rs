//! Calls over HTTP, as a program without any SDK of ours makes them, and what became of each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, header};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pillion_spi::state::{Condition, Version};
use pillion_spi::{Clock, Outcome, SystemClock};
use serde_json::{Value, json};

/// How long a call may take if nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer we wait for the answer: who meets it hangs.
const SLACK: Duration = Duration::from_secs(15);

/// A client of one sidecar.
#[derive(Clone, Debug)]
pub struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    base: Arc<str>,
    timeout: Duration,
}

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The bytes.
    pub value: Bytes,
    /// The etag.
    pub version: Version,
}

/// One write of a transaction.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where.
    pub key: String,
    /// What; `None` deletes.
    pub value: Option<Bytes>,
    /// Under which condition.
    pub condition: Condition,
}

/// Why a call did not succeed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The sidecar answered so.
    Refused(Refusal),
    /// Nobody listens: the call was never made.
    Unreachable(String),
    /// The connection broke before an answer came.
    Broken(String),
    /// No answer came, long after the deadline.
    Hung,
    /// The answer is not one of the contract.
    Absurd(String),
}

/// An error answer.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The code.
    pub reason: String,
    /// Whether the call may have taken effect.
    pub outcome: Outcome,
    /// The text for people.
    pub message: String,
    /// The version found, if a condition did not hold and there was an entry.
    pub found: Option<Version>,
}

impl Refusal {
    /// Whether a condition did not hold.
    pub fn is_conflict(&self) -> bool {
        matches!(self.reason.as_str(), "state.etag_mismatch" | "state.key_exists" | "state.transaction_aborted")
    }
}

impl Failure {
    /// Whether the call may have taken effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(refusal) => refusal.outcome,
            Self::Unreachable(_) => Outcome::Rejected,
            Self::Broken(_) | Self::Hung | Self::Absurd(_) => Outcome::Unknown,
        }
    }

    /// The answer, if a condition did not hold.
    pub fn conflict(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) if refusal.is_conflict() => Some(refusal),
            _ => None,
        }
    }

    /// Whether the sidecar broke its contract, whatever the fault.
    pub fn is_defect(&self) -> bool {
        matches!(self, Self::Hung | Self::Absurd(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal { reason, outcome, message, .. }) => write!(f, "{reason} ({outcome:?}): {message}"),
            Self::Unreachable(error) => write!(f, "nobody listens: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Hung => f.write_str("no answer came, long after the deadline"),
            Self::Absurd(what) => write!(f, "not an answer of the contract: {what}"),
        }
    }
}

impl std::error::Error for Failure {}

type Answer<T> = Result<T, Failure>;

impl Client {
    /// A client of the sidecar at `base`, without connections yet.
    pub fn new(base: &str) -> Self {
        // A repeated request would be another attempt than the one that is noted.
        let http =
            legacy::Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(HttpConnector::new());
        Self { http, base: base.into(), timeout: TIMEOUT }
    }

    /// With another deadline for each call.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether the store can be used.
    pub async fn is_ready(&self) -> bool {
        matches!(self.page("/readyz").await, Ok((StatusCode::OK, _)))
    }

    /// The body of a page and its status.
    ///
    /// # Errors
    /// That there is none.
    pub async fn page(&self, path: &str) -> Answer<(StatusCode, Bytes)> {
        let request = Request::get(format!("{}{path}", self.base)).body(Full::default());
        self.send(request.map_err(|error| Failure::Absurd(error.to_string()))?).await
    }

    /// How many calls of an operation, as in `state.set`, are under way.
    ///
    /// # Errors
    /// That the metrics cannot be read.
    pub async fn in_flight(&self, operation: &str) -> Answer<usize> {
        let (_, page) = self.page("/metrics").await?;
        let page = String::from_utf8_lossy(&page).into_owned();
        let wanted = format!("pillion_calls_in_flight{{operation=\"{operation}\"");
        let values = page.lines().filter(|line| line.starts_with(&wanted)).filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<usize>().ok()).sum())
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// That it could not be read.
    pub async fn get(&self, key: &str) -> Answer<Option<Found>> {
        let answer = self.call("Get", json!({"store": "state", "key": key})).await?;
        entry(&answer["entry"])
    }

    /// Reads several entries, in their order.
    ///
    /// # Errors
    /// That one could not be read.
    pub async fn get_many(&self, keys: &[String]) -> Answer<Vec<Option<Found>>> {
        let answer = self.call("GetMany", json!({"store": "state", "keys": keys})).await?;
        let results = answer["results"].as_array().filter(|results| results.len() == keys.len());
        let results = results.ok_or_else(|| Failure::Absurd(format!("{} keys: {answer}", keys.len())))?;
        results
            .iter()
            .map(
                |result| {
                    if result["error"].is_null() { entry(&result["entry"]) } else { Err(refused(&result["error"])) }
                },
            )
            .collect()
    }

    /// Writes one entry.
    ///
    /// # Errors
    /// That it was not written, or that this is not known.
    pub async fn set(&self, key: &str, value: &Bytes, condition: &Condition) -> Answer<Version> {
        self.set_once(key, value, condition, "").await
    }

    /// Writes one entry; repeated with the same `id` it is applied once. An empty one is none.
    ///
    /// # Errors
    /// That it was not written, or that this is not known.
    pub async fn set_once(&self, key: &str, value: &Bytes, condition: &Condition, id: &str) -> Answer<Version> {
        let mut request = item(key, Some(value), condition);
        request["store"] = "state".into();
        request["idempotencyKey"] = id.into();
        let answer = self.call("Set", request).await?;
        version(&answer["etag"])
    }

    /// Deletes one entry, and whether it was there.
    ///
    /// # Errors
    /// That it was not deleted, or that this is not known.
    pub async fn delete(&self, key: &str, condition: &Condition) -> Answer<bool> {
        let mut request = item(key, None, condition);
        request["store"] = "state".into();
        let answer = self.call("Delete", request).await?;
        Ok(answer["existed"].as_bool().unwrap_or(false))
    }

    /// Makes several writes, all or none. The versions after it, in their order.
    ///
    /// # Errors
    /// That none took effect, or that this is not known.
    pub async fn transact(&self, writes: &[Write]) -> Answer<Vec<Option<Version>>> {
        let operations: Vec<Value> = writes
            .iter()
            .map(|write| {
                let item = item(&write.key, write.value.as_ref(), &write.condition);
                if write.value.is_some() { json!({"set": item}) } else { json!({"delete": item}) }
            })
            .collect();
        let answer = self.call("Transact", json!({"store": "state", "operations": operations})).await?;
        let results = answer["results"].as_array().filter(|results| results.len() == writes.len());
        let results = results.ok_or_else(|| Failure::Absurd(format!("{} writes: {answer}", writes.len())))?;
        let written = writes.iter().zip(results);
        written.map(|(write, result)| write.value.as_ref().map(|_| version(&result["etag"])).transpose()).collect()
    }

    async fn call(&self, method: &str, arguments: Value) -> Answer<Value> {
        let request = Request::post(format!("{}/pillion.state.v1.StateService/{method}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .header("pillion-timeout", format!("{}ms", self.timeout.as_millis()))
            .body(Full::from(arguments.to_string()))
            .map_err(|error| Failure::Absurd(error.to_string()))?;
        let (status, body) = self.send(request).await?;
        let answer: Value =
            serde_json::from_slice(&body).map_err(|error| Failure::Absurd(format!("{status}, {error}: {body:?}")))?;
        if status == StatusCode::OK { Ok(answer) } else { Err(refused(&answer)) }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer<(StatusCode, Bytes)> {
        let whole = async {
            let response = self.http.request(request).await.map_err(|error| {
                let text = chain(&error);
                if error.is_connect() { Failure::Unreachable(text) } else { Failure::Broken(text) }
            })?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|error| Failure::Broken(chain(&error)))?;
            Ok((status, body.to_bytes()))
        };
        let clock: &dyn Clock = &SystemClock;
        clock.timeout(self.timeout + SLACK, whole).await.unwrap_or(Err(Failure::Hung))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// The fields that a write has everywhere.
fn item(key: &str, value: Option<&Bytes>, condition: &Condition) -> Value {
    let mut item = json!({"key": key});
    if let Some(value) = value {
        item["value"] = json!({"data": BASE64.encode(value)});
    }
    let condition = match condition {
        Condition::None => return item,
        Condition::IfAbsent => json!({"ifAbsent": {}}),
        Condition::IfMatch(version) => json!({"ifMatch": version.to_string()}),
        Condition::IfMatchOrAbsent(version) => json!({"ifMatchOrAbsent": version.to_string()}),
        Condition::FirstWrite(version) => json!({"firstWrite": {"etag": version.map(|version| version.to_string())}}),
    };
    item["condition"] = condition;
    item
}

fn entry(entry: &Value) -> Answer<Option<Found>> {
    if entry.is_null() {
        return Ok(None);
    }
    // An empty value is not shown in JSON.
    let data = entry["value"]["data"].as_str().unwrap_or_default();
    let value = BASE64.decode(data).map_err(|error| Failure::Absurd(format!("{error}: {entry}")))?;
    Ok(Some(Found { value: value.into(), version: version(&entry["etag"])? }))
}

fn version(etag: &Value) -> Answer<Version> {
    let parsed = etag.as_str().and_then(|etag| etag.parse().ok());
    parsed.ok_or_else(|| Failure::Absurd(format!("{etag} is no etag")))
}

fn refused(problem: &Value) -> Failure {
    let reason = problem["reason"].as_str();
    let outcome = match problem["outcome"].as_str() {
        Some("rejected" | "OUTCOME_REJECTED") => Some(Outcome::Rejected),
        Some("unknown" | "OUTCOME_UNKNOWN") => Some(Outcome::Unknown),
        _ => None,
    };
    let (Some(reason), Some(outcome)) = (reason, outcome) else {
        return Failure::Absurd(problem.to_string());
    };
    let message = problem["detail"].as_str().or(problem["message"].as_str()).unwrap_or_default();
    let found = problem["metadata"]["found_etag"].as_str().and_then(|etag| etag.parse().ok());
    Failure::Refused(Refusal { reason: reason.to_owned(), outcome, message: message.to_owned(), found })
}
