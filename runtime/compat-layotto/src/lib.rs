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

use pillion_proto::grpc::server::MessageLimits;
use pillion_proto::{Apis, Hooks};
use tonic::service::RoutesBuilder;

pub use r#gen::{DESCRIPTORS, METHODS, SERVICE};
pub use wire::too_large;

use crate::r#gen::runtime_server::RuntimeServer;

/// How many items a list has at most, unless the runtime says otherwise.
const BATCH: usize = 1_000;

/// Serves Layotto's runtime API on Pillion's. Cheap to clone.
#[derive(Clone)]
pub struct LayottoDoor {
    apis: Apis,
    hooks: Hooks,
    greetings: Arc<BTreeMap<String, String>>,
    batch: usize,
}

impl fmt::Debug for LayottoDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayottoDoor")
            .field("greetings", &self.greetings)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl LayottoDoor {
    /// A door to these APIs, which are already wrapped in whatever hooks the runtime has.
    pub fn new(apis: Apis) -> Self {
        let greetings = BTreeMap::from([("helloworld".to_owned(), "greeting".to_owned())]);
        Self { apis, hooks: Hooks::default(), greetings: Arc::new(greetings), batch: BATCH }
    }

    /// Told of calls that the door answers itself (`SayHello`), so that the one gate which judges
    /// calls judges these too. Default: none.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// The greetings of `SayHello`, by service name. Default: `helloworld` says `greeting`, as in
    /// the configurations that ship with Layotto.
    #[must_use]
    pub fn hello(mut self, greetings: BTreeMap<String, String>) -> Self {
        self.greetings = Arc::new(greetings);
        self
    }

    /// How many items a list has at most: the limit of the native lists, for the methods that make
    /// one native call per item. Default: 1,000.
    #[must_use]
    pub fn batch(mut self, items: usize) -> Self {
        self.batch = items;
        self
    }

    /// Adds the service to a router. Whoever serves it should refuse larger messages first, with
    /// [`too_large`]; tonic's answer to them has another code and text than Layotto's.
    pub fn mount(&self, limits: MessageLimits, routes: &mut RoutesBuilder) {
        let server = RuntimeServer::new(self.clone())
            .max_decoding_message_size(limits.request)
            .max_encoding_message_size(limits.response);
        routes.add_service(server);
    }
}
