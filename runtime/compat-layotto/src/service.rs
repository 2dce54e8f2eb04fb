//! The service: one line per method that is served. The others answer that they are not.

use pillion_proto::grpc::server::split;
use tonic::{Request, Response, Status};

use crate::r#gen::runtime_server::Runtime;
use crate::r#gen::{
    DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest, GetBulkStateRequest,
    GetBulkStateResponse, GetStateRequest, GetStateResponse, SaveStateRequest, SayHelloRequest, SayHelloResponse,
};
use crate::state::State;
use crate::{LayottoDoor, map};

impl LayottoDoor {
    fn state<T>(&self, request: Request<T>) -> Result<(State<'_>, T), Status> {
        let (cx, request) = split(request)?;
        Ok((State::new(&*self.apis.state, cx, self.batch), request))
    }
}

#[tonic::async_trait]
impl Runtime for LayottoDoor {
    async fn say_hello(&self, request: Request<SayHelloRequest>) -> Result<Response<SayHelloResponse>, Status> {
        map::hello::answer(&self.greetings, request.into_inner()).map(Response::new)
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
