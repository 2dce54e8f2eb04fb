//! The Layotto door: programs written for a Layotto runtime talk to a Pillion runtime unchanged.
//!
//! It serves `spec.proto.runtime.v1.Runtime` on the same port as everything else. What it does is
//! re-shape: a request becomes one or a few calls of Pillion's own [API](pillion_proto::Apis), the
//! answer or error becomes Layotto's. Keys, retries, policy and stores are none of its business,
//! and it could not reach them: the crate depends on the contract alone.
//!
//! Served are `SayHello` and the six state methods; every other method of the service answers
//! Unimplemented with a text that names it. The README has the table of calls and differences.

mod errors;
#[rustfmt::skip]
mod r#gen;
mod map;
mod service;
mod state;
mod strconv;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use pillion_proto::Apis;
use pillion_proto::grpc::server::MessageLimits;
use tonic::service::RoutesBuilder;

pub use r#gen::{DESCRIPTORS, METHODS, SERVICE};

use crate::r#gen::runtime_server::RuntimeServer;

/// The largest request message that a Layotto runtime takes, in bytes.
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;

/// How the door behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The greetings of `SayHello`, by service name. Default: `helloworld` says `greeting`, as the
    /// configurations that ship with Layotto do.
    pub hello: BTreeMap<String, String>,
    /// The largest messages. Default: requests of 4 MiB, answers of any size, as in Layotto.
    pub limits: MessageLimits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hello: BTreeMap::from([("helloworld".to_owned(), "greeting".to_owned())]),
            limits: MessageLimits { request: LARGEST_REQUEST, response: usize::MAX },
        }
    }
}

/// Serves Layotto's runtime API on Pillion's. Cheap to clone.
#[derive(Clone)]
pub struct LayottoDoor {
    apis: Apis,
    options: Arc<Options>,
}

impl fmt::Debug for LayottoDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayottoDoor").field("options", &self.options).finish_non_exhaustive()
    }
}

impl LayottoDoor {
    /// A door to these APIs, which are already wrapped in whatever hooks the runtime has.
    pub fn new(apis: Apis, options: Options) -> Self {
        Self { apis, options: Arc::new(options) }
    }

    /// Adds the service to a router.
    pub fn mount(&self, routes: &mut RoutesBuilder) {
        let limits = self.options.limits;
        let server = RuntimeServer::new(self.clone())
            .max_decoding_message_size(limits.request)
            .max_encoding_message_size(limits.response);
        routes.add_service(wire::Wire::new(server, limits.request));
    }
}
