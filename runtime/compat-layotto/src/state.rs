//! The state methods: map the request, call, map the answer or the error.

use pillion_proto::state::v1::{DeleteManyRequest, SetManyRequest, SetRequest, TransactRequest};
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
}

impl<'a> State<'a> {
    /// State on behalf of one caller.
    pub fn new(api: &'a dyn StateApi, cx: Cx) -> Self {
        Self { api, cx }
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
        match self.api.get_many(&self.cx, map::get_bulk::to_native(&request)).await {
            Ok(found) => Ok(map::get_bulk::from_native(found)),
            Err(error) => match errors::per_key(&error) {
                Some(text) => Ok(map::get_bulk::failed(request, text)),
                None => fine_if_empty(request.keys.is_empty(), Attempt::GetBulk, store, &error)
                    .map(|()| GetBulkStateResponse::default()),
            },
        }
    }

    /// `SaveState`: one item after the other. What was saved before the first failure stays.
    pub async fn save(&self, request: SaveStateRequest) -> Result<(), Status> {
        let store = named(&request.store_name)?;
        if request.states.is_empty() {
            let nothing = SetManyRequest { store: store.to_owned(), ..SetManyRequest::default() };
            let answer = self.api.set_many(&self.cx, nothing).await;
            return answer.map(|_| ()).or_else(|error| fine_if_empty(true, Attempt::Save("", false), store, &error));
        }
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
            let nothing = DeleteManyRequest { store: store.to_owned(), ..DeleteManyRequest::default() };
            let answer = self.api.delete_many(&self.cx, nothing).await;
            return answer.map(|_| ()).or_else(|error| fine_if_empty(true, Attempt::DeleteBulk, store, &error));
        }
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
        let native: TransactRequest =
            map::transact::to_native(store, &request.operations).map_err(|refused| match refused {
                map::transact::Refused::Operation(operation) => errors::unknown_operation(operation),
                map::transact::Refused::Item(item) => errors::malformed(Attempt::Transact, store, &item),
            })?;
        let empty = native.operations.is_empty();
        let answer = self.api.transact(&self.cx, native).await;
        answer.map(|_| ()).or_else(|error| fine_if_empty(empty, Attempt::Transact, store, &error))
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

/// Natively a list has at least one item. In Layotto there may be none, but the store is there.
fn fine_if_empty(empty: bool, attempt: Attempt<'_>, store: &str, error: &Error) -> Result<(), Status> {
    if empty && error.is(Reason::RequestBatchSize) { Ok(()) } else { Err(status(attempt, store, error)) }
}
