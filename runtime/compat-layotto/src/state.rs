//! The state methods: map the request, call, map the answer or the error.

use pillion_proto::state::v1::{GetRequest, SetRequest};
use pillion_proto::{Cx, Error, Reason, StateApi};
use tonic::Status;

use crate::errors::{self, Attempt, status};
use crate::r#gen::{
    DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest, GetBulkStateRequest,
    GetBulkStateResponse, GetStateRequest, GetStateResponse, SaveStateRequest, StateItem,
};
use crate::map::state as map;

/// State, for one call.
pub struct State<'a> {
    api: &'a dyn StateApi,
    cx: Cx,
    batch: usize,
}

impl<'a> State<'a> {
    /// State on behalf of one caller, who may send lists of up to `batch` items.
    pub fn new(api: &'a dyn StateApi, cx: Cx, batch: usize) -> Self {
        Self { api, cx, batch }
    }

    /// `GetState`.
    pub async fn get(&self, request: GetStateRequest) -> Result<GetStateResponse, Status> {
        let store = named(&request.store_name)?;
        let found = self.api.get(&self.cx, map::get::to_native(&request)).await;
        found.map(map::get::from_native).map_err(|error| status(Attempt::Get(&request.key), store, &error))
    }

    /// `GetBulkState`.
    pub async fn get_bulk(&self, request: GetBulkStateRequest) -> Result<GetBulkStateResponse, Status> {
        let store = named(&request.store_name)?;
        separators(request.keys.iter().map(String::as_str))?;
        if request.keys.is_empty() {
            return self.nothing(store).await.map(|()| GetBulkStateResponse::default());
        }
        self.not_too_many(request.keys.len())?;
        match self.api.get_many(&self.cx, map::get_bulk::to_native(&request)).await {
            Ok(found) => Ok(map::get_bulk::from_native(found)),
            Err(error) => match errors::per_key(&error) {
                Some(text) => Ok(map::get_bulk::failed(request, &text)),
                None => Err(status(Attempt::GetBulk, store, &error)),
            },
        }
    }

    /// `SaveState`: one item after the other. What was saved before the first failure stays.
    pub async fn save(&self, request: SaveStateRequest) -> Result<(), Status> {
        let store = named(&request.store_name)?;
        if request.states.is_empty() {
            return self.nothing(store).await;
        }
        self.not_too_many(request.states.len())?;
        separators(request.states.iter().map(|item| item.key.as_str()))?;
        for item in &request.states {
            let attempt = Attempt::Save(&item.key, item.etag.is_some());
            let native =
                map::save::to_native(store, item).map_err(|error| errors::malformed(attempt, store, &error))?;
            self.set(native, item).await.map_err(|error| status(attempt, store, &error))?;
        }
        Ok(())
    }

    async fn set(&self, request: SetRequest, item: &StateItem) -> Result<(), Error> {
        let again =
            map::save::protected(item).map(|condition| SetRequest { condition: Some(condition), ..request.clone() });
        match (self.api.set(&self.cx, request).await, again) {
            (Err(error), Some(again)) if error.is(Reason::StateFirstWriteConflict) => {
                self.api.set(&self.cx, again).await.map(|_| ())
            }
            (answer, _) => answer.map(|_| ()),
        }
    }

    /// `DeleteState`.
    pub async fn delete(&self, request: DeleteStateRequest) -> Result<(), Status> {
        let store = named(&request.store_name)?;
        let native = map::delete::to_native(store, &request.key, request.etag.as_ref(), request.options.as_ref());
        let answer = self.api.delete(&self.cx, native).await;
        answer.map(|_| ()).map_err(|error| status(Attempt::Delete(&request.key), store, &error))
    }

    /// `DeleteBulkState`: one item after the other. What was deleted before the first failure stays so.
    pub async fn delete_bulk(&self, request: DeleteBulkStateRequest) -> Result<(), Status> {
        let store = named(&request.store_name)?;
        if request.states.is_empty() {
            return self.nothing(store).await;
        }
        self.not_too_many(request.states.len())?;
        separators(request.states.iter().map(|item| item.key.as_str()))?;
        for item in &request.states {
            let native = map::delete::to_native(store, &item.key, item.etag.as_ref(), item.options.as_ref());
            let answer = self.api.delete(&self.cx, native).await;
            answer.map_err(|error| status(Attempt::DeleteBulk, store, &error))?;
        }
        Ok(())
    }

    /// `ExecuteStateTransaction`.
    pub async fn transact(&self, request: ExecuteStateTransactionRequest) -> Result<(), Status> {
        let store = named(&request.store_name)?;
        let items = request.operations.iter().filter_map(|operation| operation.request.as_ref());
        separators(items.map(|item| item.key.as_str()))?;
        let native = map::transact::to_native(store, &request.operations).map_err(|refused| match refused {
            map::transact::Refused::Operation(operation) => errors::unknown_operation(operation),
            map::transact::Refused::Item(item) => errors::malformed(Attempt::Transact, store, &item),
        })?;
        if native.operations.is_empty() {
            return self.nothing(store).await;
        }
        self.not_too_many(native.operations.len())?;
        let answer = self.api.transact(&self.cx, native).await;
        answer.map(|_| ()).map_err(|error| status(Attempt::Transact, store, &error))
    }

    /// Refuses a list that would natively be too long, before its first item.
    fn not_too_many(&self, items: usize) -> Result<(), Status> {
        if items <= self.batch {
            return Ok(());
        }
        let message = format!("the call has {items} items; it takes at most {}", self.batch);
        Err(Error::new(Reason::RequestBatchSize, message).into())
    }

    /// A list without items, which natively has at least one. In Layotto it may be empty, as long as
    /// the store is there. A key that no store takes finds that out and touches nothing.
    async fn nothing(&self, store: &str) -> Result<(), Status> {
        let probe = GetRequest { store: store.to_owned(), ..GetRequest::default() };
        match self.api.get(&self.cx, probe).await {
            Err(error) if !error.is(Reason::StateKeyInvalid) => Err(status(Attempt::Get(""), store, &error)),
            _ => Ok(()),
        }
    }
}

/// The store named. Natively an empty name is the default store; Layotto has none.
fn named(store: &str) -> Result<&str, Status> {
    if store.is_empty() { Err(errors::unknown_store(store)) } else { Ok(store) }
}

/// Refuses a list before its first item is touched if a key of it has a separator, as Layotto does.
fn separators<'a>(mut keys: impl Iterator<Item = &'a str>) -> Result<(), Status> {
    keys.find(|key| errors::has_separator(key)).map_or(Ok(()), |key| Err(errors::key_with_separator(key)))
}
