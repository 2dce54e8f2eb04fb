//! A server on free addresses, the service behind it, and clients.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use pillion_proto::actuator::v1::{CheckLiveResponse, CheckReadyResponse, GetMetricsResponse, GetStatusResponse};
use pillion_proto::common::v1::Value;
use pillion_proto::state::v1::{Entry, GetResponse, SetResponse};
use pillion_proto::testing::v1::act_request::Act;
use pillion_proto::testing::v1::collect_request::Part;
use pillion_proto::testing::v1::expand_request::Then;
use pillion_proto::testing::v1::{
    ActRequest, ActResponse, CollectRequest, CollectResponse, ConverseRequest, ConverseResponse, CountRequest,
    CountResponse, EchoRequest, EchoResponse, ExpandRequest, ExpandResponse,
};
use pillion_proto::{
    Access, ActuatorMock, Apis, Call, CallGuard, CallHook, Cx, Ending, Error, Events, Hooks, Reason, Result, ShapesApi,
    StateMock,
};
use pillion_server::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;

/// Nothing in these tests takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the service saw, and how its calls ended.
#[derive(Debug, Default)]
pub struct Seen {
    pub begun: Mutex<Vec<&'static str>>,
    pub endings: Mutex<Vec<String>>,
    /// How each upload ended: its bytes, or the reason of its error.
    pub uploads: Mutex<Vec<String>>,
}

impl Seen {
    pub async fn until(&self, what: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !what(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not seen: {self:?}"));
    }
}

/// Watches every call, and refuses those that need a token and have none.
pub struct Watch {
    pub seen: Arc<Seen>,
    pub token: Option<&'static str>,
}

impl CallHook for Watch {
    fn begin(&self, call: &Call<'_>, cx: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        if call.info.access > Access::Public && self.token.is_some() && cx.token.as_deref() != self.token {
            return Err(Error::new(Reason::RequestUnauthenticated, "a token is needed"));
        }
        self.seen.begun.lock().unwrap().push(call.info.operation);
        Ok(Some(Box::new(Guard(call.info.operation, self.seen.clone()))))
    }
}

struct Guard(&'static str, Arc<Seen>);

impl CallGuard for Guard {
    fn end(self: Box<Self>, ending: Ending<'_>) {
        let ending = match ending {
            Ending::Ok => "ok",
            Ending::Failed(error) => error.reason(),
            Ending::Dropped => "dropped",
        };
        self.1.endings.lock().unwrap().push(format!("{} {ending}", self.0));
    }
}

pub struct Shapes(pub Arc<Seen>);

#[async_trait::async_trait]
impl ShapesApi for Shapes {
    async fn echo(&self, _: &Cx, request: EchoRequest) -> Result<EchoResponse> {
        Ok(EchoResponse { label: request.label, kinds: request.kinds })
    }

    async fn act(&self, _: &Cx, request: ActRequest) -> Result<ActResponse> {
        if let Some(after) = request.after.and_then(|after| Duration::try_from(after).ok()) {
            tokio::time::sleep(after).await;
        }
        match request.act() {
            Act::Panic => panic!("as asked"),
            Act::Fail => Err(Error::new(Reason::from_name(&request.reason).unwrap_or_default(), "as asked")),
            _ => Ok(ActResponse {}),
        }
    }

    async fn expand(&self, _: &Cx, request: ExpandRequest) -> Result<Events<ExpandResponse>> {
        let then = request.then();
        Ok(Events::new(stream::unfold(0, move |index| async move {
            if index < request.count {
                return Some((Ok(ExpandResponse { index }), index + 1));
            }
            match then {
                Then::Fail if index > request.count => None,
                Then::Fail | Then::FailAndGoOn if index == request.count => {
                    Some((Err(Error::new(Reason::StateEtagMismatch, "as asked")), index + 1))
                }
                Then::FailAndGoOn => Some((Ok(ExpandResponse { index }), index + 1)),
                Then::Panic => panic!("as asked"),
                Then::Hang => std::future::pending().await,
                _ => None,
            }
        })))
    }

    async fn collect(&self, _: &Cx, mut requests: Events<CollectRequest>) -> Result<CollectResponse> {
        let mut received = 0;
        let ended = loop {
            match requests.next().await {
                Ok(Some(request)) => {
                    if let Some(Part::Chunk(chunk)) = request.part {
                        received += chunk.len() as u64;
                    }
                }
                Ok(None) => break Ok(CollectResponse { received }),
                Err(error) => break Err(error),
            }
        };
        let entry = ended.as_ref().map_or_else(|error| error.reason().to_owned(), |_| received.to_string());
        self.0.uploads.lock().unwrap().push(entry);
        ended
    }

    async fn converse(&self, _: &Cx, requests: Events<ConverseRequest>) -> Result<Events<ConverseResponse>> {
        Ok(requests.try_map(|request| Ok(ConverseResponse { text: request.text.to_uppercase() })))
    }

    async fn count(&self, _: &Cx, _: CountRequest) -> Result<CountResponse> {
        Ok(CountResponse::default())
    }
}

/// A state store that answers the key itself, and an actuator that is well.
pub fn apis(seen: &Arc<Seen>) -> Apis {
    let actuator = ActuatorMock::default()
        .on_check_live(|_, _| Ok(CheckLiveResponse {}))
        .on_check_ready(|_, _| Ok(CheckReadyResponse {}))
        .on_get_status(|_, _| Ok(GetStatusResponse { version: "1.2.3".into(), ..Default::default() }))
        .on_get_metrics(|_, _| {
            Ok(GetMetricsResponse { text: "# EOF\n".into(), content_type: "application/openmetrics-text".into() })
        });
    let state = StateMock::default()
        .on_get(|cx, request| {
            if request.key == "absent" {
                return Ok(GetResponse { entry: None });
            }
            let text = format!("{}/{} for {}", request.store, request.key, cx.app_id.as_deref().unwrap_or("nobody"));
            let value = Some(Value { data: text.into(), content_type: "text/plain".into() });
            Ok(GetResponse { entry: Some(Entry { key: request.key, value, etag: "7-x".into(), expires_in: None }) })
        })
        .on_set(|_, request| match request.key.as_str() {
            "taken" => Err(Error::new(Reason::StateKeyExists, "somebody was first")),
            _ => Ok(SetResponse {
                etag: request.value.map_or(0, |value| value.data.len()).to_string(),
                ..Default::default()
            }),
        });
    let mut apis = Apis::new(Arc::new(actuator), Arc::new(state));
    apis.shapes = Some(Arc::new(Shapes(seen.clone())));
    apis
}

/// A server on a free port of this machine.
pub struct Running {
    pub server: Server,
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
}

pub fn options(seen: &Arc<Seen>, token: Option<&'static str>) -> Options {
    let watch: Arc<dyn CallHook> = Arc::new(Watch { seen: seen.clone(), token });
    let hooks = Hooks::from_iter([watch]);
    let mut options = Options::new(apis(seen).hooked(&hooks), hooks);
    options.tcp = Some("127.0.0.1:0".parse().unwrap());
    options
}

pub async fn start() -> Running {
    start_with(None, |_| {}).await
}

pub async fn start_with(token: Option<&'static str>, change: impl FnOnce(&mut Options)) -> Running {
    let seen = Arc::new(Seen::default());
    let mut options = options(&seen, token);
    change(&mut options);
    let server = Server::bind(options).await.unwrap();
    let address = server.addresses().tcp.unwrap();
    Running { server, address, seen }
}

impl Running {
    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes and reads to the end of the connection.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        rest(&mut stream).await
    }

    /// Sends one HTTP/1.1 request with `Host: localhost` unless it has another.
    pub async fn http(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Reply {
        let mut request = request.body(Full::new(body.into())).unwrap();
        let host = http::HeaderValue::from_static("localhost");
        request.headers_mut().entry("host").or_insert(host);
        let response = self.open(request).await;
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
        Reply { status: head.status, headers: head.headers, body }
    }

    /// Sends a request and leaves the answer's body to be read.
    pub async fn open<B>(&self, request: Request<B>) -> Response<hyper::body::Incoming>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let stream = TokioIo::new(self.connect().await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        tokio::time::timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.http(Request::get(path), "").await
    }

    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Reply {
        self.http(Request::post(path).header("content-type", content_type), body).await
    }
}

pub async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends the reading as well; what came before it counts.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem of this reason, as RFC 9457 has it.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, reason: &str) -> serde_json::Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["reason"], reason, "{problem}");
        assert_eq!(problem["status"], status);
        problem
    }
}
