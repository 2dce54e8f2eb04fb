//! State: the logic of `pillion.state.v1.StateService` on any state store.

mod convert;
mod form;
mod page;
mod read;

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt, future, stream};
use pillion_proto::state::v1::{
    DeleteManyRequest, DeleteManyResponse, DeleteRequest, DeleteResponse, EntryDeleted, EntryWritten, GetManyRequest,
    GetManyResponse, GetRequest, GetResponse, ListRequest, ListResponse, Resync, SetManyRequest, SetManyResponse,
    SetRequest, SetResponse, Synced, TransactRequest, TransactResponse, WatchRequest, WatchResponse, WriteResult,
    watch_response::Event,
};
use pillion_proto::{Cx, Error, Events, Reason, Result, StateApi, answer, common::v1 as common};
use pillion_spi::caps::FirstWrite;
use pillion_spi::state::{
    Applied, ApplyOptions, Condition, Key, Op, OpOutcome, ReadOptions, StateStore, WatchEvent, WatchSpec,
};
use pillion_spi::{Clock, Kind};
use tokio_util::sync::CancellationToken;

use crate::key::{KeyPrefix, KeySpace};
use crate::limit::Limits;
use crate::slot::Slot;
use crate::translate;

/// The name that an empty store name stands for.
const DEFAULT_STORE: &str = "state";

/// The state stores of a runtime.
#[derive(Debug)]
pub struct States {
    stores: BTreeMap<String, Declared>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
}

#[derive(Debug)]
struct Declared {
    slot: Arc<Slot>,
    prefix: KeyPrefix,
}

/// A store, ready, as one application sees it.
struct View<'a> {
    name: &'a str,
    store: &'a Arc<dyn StateStore>,
    keys: KeySpace,
}

impl States {
    /// No stores yet.
    ///
    /// Watches end when `stopping` is cancelled.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>, stopping: CancellationToken) -> Self {
        Self { stores: BTreeMap::new(), limits, clock, stopping }
    }

    /// Declares a store.
    #[must_use]
    pub fn with(mut self, slot: Arc<Slot>, prefix: KeyPrefix) -> Self {
        self.stores.insert(slot.name().to_owned(), Declared { slot, prefix });
        self
    }

    async fn view(&self, cx: &Cx, store: &str) -> Result<View<'_>> {
        let name = if store.is_empty() { DEFAULT_STORE } else { store };
        let Some((name, declared)) = self.stores.get_key_value(name) else { return Err(self.not_declared(name)) };
        let store = declared.slot.store(cx, self.limits.connecting).await?;
        let keys = KeySpace::new(&declared.prefix, name, cx.app_id.as_deref(), self.limits.key)?;
        Ok(View { name, store, keys })
    }

    fn not_declared(&self, name: &str) -> Error {
        let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        let declared = self.stores.keys().cloned().collect::<Vec<_>>().join(", ");
        let message = if declared.is_empty() {
            format!("no state store `{shown}` is declared, nor any other")
        } else {
            format!("no state store `{shown}` is declared; there are: {declared}")
        };
        Error::new(Reason::ComponentNotDeclared, message).with("component", shown).with("declared", declared)
    }

    /// Runs one operation of a component for as long as caller and runtime allow.
    async fn within<T>(
        &self,
        cx: &Cx,
        view: &View<'_>,
        write: bool,
        operation: impl Future<Output = pillion_spi::Result<T>>,
    ) -> Result<T> {
        let patience = cx.remaining().map_or(self.limits.component, |remaining| remaining.min(self.limits.component));
        let result = match self.clock.timeout(patience, operation).await {
            Ok(result) => result,
            Err(_) => {
                let error = pillion_spi::Error::new(
                    Kind::Deadline,
                    format!("its backend did not answer within {} ms", patience.as_millis()),
                );
                Err(if write { error.outcome_unknown() } else { error })
            }
        };
        result.map_err(|error| translate::error(view.name, error))
    }

    async fn apply(&self, cx: &Cx, view: &View<'_>, ops: Vec<Op>, mut options: ApplyOptions) -> Result<Applied> {
        let expected = ops.len();
        options.idempotency_key = options.idempotency_key.map(|key| view.keys.stored_call(&key));
        let applied = self.within(cx, view, true, view.store.apply(ops, options)).await?;
        if applied.outcomes.len() != expected {
            let error = pillion_spi::Error::internal("it answered for another number of writes than it was given");
            return Err(translate::error(view.name, error.outcome_unknown()));
        }
        Ok(applied)
    }

    async fn apply_one(
        &self,
        cx: &Cx,
        view: &View<'_>,
        op: Op,
        options: ApplyOptions,
    ) -> Result<(OneApplied, common::Durability)> {
        let condition = op.condition.clone();
        let key = op.key.clone();
        let mut applied = self.apply(cx, view, vec![op], options).await?;
        let durability = translate::durability(applied.durability);
        match applied.outcomes.pop() {
            Some(OpOutcome::Applied { version, existed }) => {
                let etag = version.map(|version| version.to_string()).unwrap_or_default();
                Ok((OneApplied { etag, existed }, durability))
            }
            Some(refused) => Err(refusal(view, &key, &condition, refused)),
            None => Err(Error::new(Reason::ComponentInternal, "no outcome").outcome_unknown()),
        }
    }

    /// Applies items each for itself.
    async fn apply_many(
        &self,
        cx: &Cx,
        view: &View<'_>,
        items: Vec<(String, Result<Op>)>,
        options: ApplyOptions,
    ) -> Result<(Vec<WriteResult>, Option<common::Durability>)> {
        let mut results = Vec::with_capacity(items.len());
        let mut ops = Vec::with_capacity(items.len());
        let mut places = Vec::with_capacity(items.len());
        for (key, op) in items {
            let mut result = WriteResult { key, ..WriteResult::default() };
            match op {
                Ok(op) => {
                    places.push((results.len(), op.key.clone(), op.condition.clone()));
                    ops.push(op);
                }
                Err(error) => result.error = Some(error.into()),
            }
            results.push(result);
        }
        if ops.is_empty() {
            return Ok((results, None));
        }
        let applied = self.apply(cx, view, ops, options).await?;
        for ((place, key, condition), outcome) in places.into_iter().zip(applied.outcomes) {
            write_result(view, &key, &condition, outcome, &mut results[place]);
        }
        Ok((results, Some(translate::durability(applied.durability))))
    }

    fn batch(&self, items: usize) -> Result<()> {
        if items == 0 || items > self.limits.batch {
            let message = format!("the call has {items} items; it takes 1 to {}", self.limits.batch);
            return Err(Error::new(Reason::RequestBatchSize, message).with("limit", self.limits.batch));
        }
        Ok(())
    }
}

struct OneApplied {
    etag: String,
    existed: bool,
}

fn write_result(view: &View<'_>, key: &Key, condition: &Condition, outcome: OpOutcome, result: &mut WriteResult) {
    match outcome {
        OpOutcome::Applied { version, existed } => {
            result.etag = version.map(|version| version.to_string()).unwrap_or_default();
            result.existed = existed;
        }
        refused => result.error = Some(refusal(view, key, condition, refused).into()),
    }
}

/// Why a write did not take effect.
fn refusal(view: &View<'_>, key: &Key, condition: &Condition, outcome: OpOutcome) -> Error {
    let shown = view.keys.shown(key).unwrap_or_default();
    let error = match outcome {
        OpOutcome::Failed(error) => translate::error(view.name, error),
        OpOutcome::Aborted => Error::new(
            Reason::StateTransactionAborted,
            format!("`{shown}` was not written: another write of the transaction failed"),
        ),
        OpOutcome::Conflict { found } => {
            let error = match (condition, found) {
                (Condition::IfAbsent | Condition::FirstWrite(None), _) => {
                    Error::new(Reason::StateKeyExists, format!("`{shown}` has an entry already"))
                }
                (Condition::None, _) => Error::new(
                    Reason::StateFirstWriteConflict,
                    format!("`{shown}` was saved with first-write-wins and takes no unconditional write"),
                ),
                (_, None) => Error::new(Reason::StateEtagMismatch, format!("`{shown}` has no entry (any more)")),
                (_, Some(_)) => {
                    Error::new(Reason::StateEtagMismatch, format!("`{shown}` was changed since its etag was read"))
                }
            };
            match found {
                Some(version) => error.with("found_etag", version),
                None => error,
            }
        }
        OpOutcome::Applied { .. } => Error::new(Reason::Unspecified, "a write that took effect was called a failure"),
    };
    let error = if error.component_name().is_empty() { error.component(view.name) } else { error };
    error.with("key", shown)
}

#[async_trait]
impl StateApi for States {
    async fn get(&self, cx: &Cx, request: GetRequest) -> Result<GetResponse> {
        let view = self.view(cx, &request.store).await?;
        let key = view.keys.stored(&request.key)?;
        let options = read_options(cx, request.consistency())?;
        let mut found = self.within(cx, &view, false, view.store.read(std::slice::from_ref(&key), options)).await?;
        let entry = match found.pop() {
            Some(found) => found.map_err(|error| translate::error(view.name, error))?,
            None => None,
        };
        let answer = GetResponse { entry: entry.map(|entry| convert::entry(request.key, entry)) };
        answer::within(answer, self.limits.answer)
    }

    async fn get_many(&self, cx: &Cx, request: GetManyRequest) -> Result<GetManyResponse> {
        self.read_many(cx, request).await
    }

    async fn set(&self, cx: &Cx, request: SetRequest) -> Result<SetResponse> {
        let options = write_options(cx, request.consistency(), &request.idempotency_key, request.fence.as_ref())?;
        let view = self.view(cx, &request.store).await?;
        let op =
            convert::put(&view.keys, &request.key, request.value, request.condition, request.ttl, request.keep_ttl)?;
        let (applied, durability) = self.apply_one(cx, &view, op, options).await?;
        Ok(SetResponse { etag: applied.etag, durability: Some(durability), fence_check: 0 })
    }

    async fn set_many(&self, cx: &Cx, request: SetManyRequest) -> Result<SetManyResponse> {
        let options = write_options(cx, request.consistency(), &request.idempotency_key, request.fence.as_ref())?;
        let view = self.view(cx, &request.store).await?;
        self.batch(request.items.len())?;
        let items = request.items.into_iter().map(|item| convert::set_item(&view.keys, item)).collect();
        let (results, durability) = self.apply_many(cx, &view, items, options).await?;
        Ok(SetManyResponse { results, durability, fence_check: 0 })
    }

    async fn delete(&self, cx: &Cx, request: DeleteRequest) -> Result<DeleteResponse> {
        let options = write_options(cx, request.consistency(), &request.idempotency_key, request.fence.as_ref())?;
        let view = self.view(cx, &request.store).await?;
        let op = convert::delete(&view.keys, &request.key, request.condition)?;
        let (applied, durability) = self.apply_one(cx, &view, op, options).await?;
        Ok(DeleteResponse { existed: applied.existed, durability: Some(durability), fence_check: 0 })
    }

    async fn delete_many(&self, cx: &Cx, request: DeleteManyRequest) -> Result<DeleteManyResponse> {
        let options = write_options(cx, request.consistency(), &request.idempotency_key, request.fence.as_ref())?;
        let view = self.view(cx, &request.store).await?;
        self.batch(request.items.len())?;
        let items = request.items.into_iter().map(|item| convert::delete_item(&view.keys, item)).collect();
        let (results, durability) = self.apply_many(cx, &view, items, options).await?;
        Ok(DeleteManyResponse { results, durability, fence_check: 0 })
    }

    async fn transact(&self, cx: &Cx, request: TransactRequest) -> Result<TransactResponse> {
        let mut options = write_options(cx, request.consistency(), &request.idempotency_key, request.fence.as_ref())?;
        options.atomic = true;
        let view = self.view(cx, &request.store).await?;
        self.batch(request.operations.len())?;
        // Everything is checked before the first write: a transaction that cannot be made whole is not begun.
        let mut seen = HashSet::with_capacity(request.operations.len());
        let mut keys = Vec::with_capacity(request.operations.len());
        let mut ops = Vec::with_capacity(request.operations.len());
        for (index, operation) in request.operations.into_iter().enumerate() {
            let (key, op) = convert::operation(&view.keys, index, operation)?;
            if !seen.insert(key.clone()) {
                return Err(Error::new(Reason::StateDuplicateKey, format!("`{key}` stands twice in the transaction"))
                    .with("key", key));
            }
            keys.push(key);
            ops.push(op?);
        }
        let written: Vec<_> = ops.iter().map(|op| (op.key.clone(), op.condition.clone())).collect();
        let applied = self.apply(cx, &view, ops, options).await?;
        let durability = translate::durability(applied.durability);
        let mut results: Vec<_> = keys.into_iter().map(|key| WriteResult { key, ..WriteResult::default() }).collect();
        let mut aborted = None;
        for ((result, (key, condition)), outcome) in results.iter_mut().zip(&written).zip(applied.outcomes) {
            match outcome {
                OpOutcome::Applied { .. } => write_result(&view, key, condition, outcome, result),
                OpOutcome::Aborted => aborted = aborted.or_else(|| Some(refusal(&view, key, condition, outcome))),
                cause => return Err(refusal(&view, key, condition, cause)),
            }
        }
        match aborted {
            Some(error) => Err(error),
            None => Ok(TransactResponse { results, durability: Some(durability), fence_check: 0 }),
        }
    }

    async fn list(&self, cx: &Cx, request: ListRequest) -> Result<ListResponse> {
        self.read_page(cx, request).await
    }

    async fn watch(&self, cx: &Cx, request: WatchRequest) -> Result<Events<WatchResponse>> {
        let view = self.view(cx, &request.store).await?;
        let mut spec = WatchSpec::default();
        spec.after = request.after_revision;
        if request.key.is_empty() {
            spec.prefix = view.keys.stored_prefix(&request.prefix)?;
        } else if request.prefix.is_empty() {
            spec.exact = true;
            spec.prefix = view.keys.stored(&request.key)?.as_str().to_owned();
        } else {
            return Err(Error::new(Reason::RequestInvalid, "a watch takes `prefix` or `key`, not both"));
        }
        let events = self.within(cx, &view, false, view.store.watch(spec)).await?;
        let (keys, name) = (view.keys, view.name.to_owned());
        let shown = events.filter_map(move |event| {
            let event = event.map_err(|error| translate::error(&name, error));
            future::ready(event.map(|event| shown_event(&keys, event)).transpose())
        });
        Ok(Events::new(until(shown, self.stopping.clone())))
    }
}

/// A stream that has no end of its own, which therefore ends when the runtime begins to stop: waiting
/// for it would only use up the time that is given to calls which do end.
fn until<T: Send>(
    events: impl Stream<Item = Result<T>> + Send,
    stopping: CancellationToken,
) -> impl Stream<Item = Result<T>> + Send {
    let stopped = stopping.clone();
    let farewell = stream::once(async move {
        stopped.is_cancelled().then(|| Err(Error::new(Reason::RuntimeDraining, "the runtime is shutting down")))
    });
    events.take_until(stopping.cancelled_owned()).chain(farewell.filter_map(future::ready))
}

/// An event as the caller sees it; `None` for a key of another space.
fn shown_event(keys: &KeySpace, event: WatchEvent) -> Option<WatchResponse> {
    let event = match event {
        WatchEvent::Put { entry, revision } => {
            let key = keys.shown(&entry.key)?.to_owned();
            Event::Written(EntryWritten { entry: Some(convert::entry(key, entry)), revision })
        }
        WatchEvent::Delete { key, expired, revision } => {
            Event::Deleted(EntryDeleted { key: keys.shown(&key)?.to_owned(), expired, revision })
        }
        WatchEvent::Resync => Event::Resync(Resync {}),
        WatchEvent::Synced { revision } => Event::Synced(Synced { revision }),
    };
    Some(WatchResponse { event: Some(event) })
}

fn read_options(cx: &Cx, consistency: common::Consistency) -> Result<ReadOptions> {
    let mut options = ReadOptions::default();
    options.consistency = convert::consistency(consistency);
    options.deadline = cx.deadline;
    Ok(options)
}

fn write_options(
    cx: &Cx,
    consistency: common::Consistency,
    idempotency_key: &str,
    fence: Option<&common::Fence>,
) -> Result<ApplyOptions> {
    if fence.is_some() {
        // Dropping it silently would let a stale lock holder write.
        return Err(Error::new(
            Reason::StateFenceUnsupported,
            "this runtime has no lock component that could check the fence",
        ));
    }
    let mut options = ApplyOptions::default();
    options.consistency = convert::consistency(consistency);
    options.deadline = cx.deadline;
    options.idempotency_key = form::idempotency_key(idempotency_key)?;
    Ok(options)
}

/// What a store can do, by name, for people and for programs that choose by it.
pub(crate) fn capabilities(store: &Arc<dyn StateStore>) -> impl Iterator<Item = (String, String)> {
    let caps = store.caps();
    let first_write = match caps.first_write {
        FirstWrite::None => "none",
        FirstWrite::Exact => "exact",
        FirstWrite::Sticky => "sticky",
    };
    let lower = |debug: String| debug.to_lowercase();
    [
        ("conditions", caps.conditions.to_string()),
        ("first_write", first_write.to_owned()),
        ("ttl", lower(format!("{:?}", caps.ttl))),
        ("transact", lower(format!("{:?}", caps.transact))),
        ("list", if caps.ordered_list { "ordered".to_owned() } else { caps.list.to_string() }),
        ("watch", lower(format!("{:?}", caps.watch))),
        ("content_type", caps.content_type.to_string()),
        ("strong_reads", caps.strong_reads.to_string()),
        ("idempotency", caps.idempotency.map_or_else(|| "none".to_owned(), seconds)),
        ("max_key", caps.max_key.to_string()),
        ("max_value", caps.max_value.to_string()),
        ("max_ops", caps.max_ops.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}
