//! The service: one line per method that is served. The others answer that they are not.

use pillion_proto::grpc::server::split;
use pillion_proto::{Access, CallInfo, METHODS, Shape};
use tonic::{Request, Response, Status};

use crate::r#gen::runtime_server::Runtime;
use crate::r#gen::{
    DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest, GetBulkStateRequest,
    GetBulkStateResponse, GetStateRequest, GetStateResponse, SaveStateRequest, SayHelloRequest, SayHelloResponse,
};
use crate::state::State;
use crate::{LayottoDoor, map};

/// The one method with no call of the native API behind it that hooks could be told of.
static SAY_HELLO: CallInfo = CallInfo {
    service: crate::SERVICE,
    method: "SayHello",
    path: "/spec.proto.runtime.v1.Runtime/SayHello",
    operation: "layotto.say_hello",
    block: "layotto",
    access: Access::Read,
    idempotent: true,
    shape: Shape::Unary,
    index: METHODS.len(),
};

impl LayottoDoor {
    fn state<T>(&self, request: Request<T>) -> Result<(State<'_>, T), Status> {
        let (cx, request) = split(request)?;
        Ok((State::new(&*self.apis.state, cx, self.batch), request))
    }
}

#[tonic::async_trait]
impl Runtime for LayottoDoor {
    async fn say_hello(&self, request: Request<SayHelloRequest>) -> Result<Response<SayHelloResponse>, Status> {
        let (cx, request) = split(request)?;
        let (cx, running) = self.hooks.begin(SAY_HELLO.call(&request.service_name, ""), &cx)?;
        // A service without a greeting is an answer of this door, not a failure of the call.
        running.unary(&cx, async { Ok(map::hello::answer(&self.greetings, request)) }).await?.map(Response::new)
    }

    async fn get_state(&self, request: Request<GetStateRequest>) -> Result<Response<GetStateResponse>, Status> {
        let (state, request) = self.state(request)?;
        state.get(request).await.map(Response::new)
    }

    async fn get_bulk_state(
        &self,
        request: Request<GetBulkStateRequest>,
    ) -> Result<Response<GetBulkStateResponse>, Status> {
        let (state, request) = self.state(request)?;
        state.get_bulk(request).await.map(Response::new)
    }

    async fn save_state(&self, request: Request<SaveStateRequest>) -> Result<Response<()>, Status> {
        let (state, request) = self.state(request)?;
        state.save(request).await.map(Response::new)
    }

    async fn delete_state(&self, request: Request<DeleteStateRequest>) -> Result<Response<()>, Status> {
        let (state, request) = self.state(request)?;
        state.delete(request).await.map(Response::new)
    }

    async fn delete_bulk_state(&self, request: Request<DeleteBulkStateRequest>) -> Result<Response<()>, Status> {
        let (state, request) = self.state(request)?;
        state.delete_bulk(request).await.map(Response::new)
    }

    async fn execute_state_transaction(
        &self,
        request: Request<ExecuteStateTransactionRequest>,
    ) -> Result<Response<()>, Status> {
        let (state, request) = self.state(request)?;
        state.transact(request).await.map(Response::new)
    }
}
