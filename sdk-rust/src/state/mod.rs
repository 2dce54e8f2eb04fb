//! State: values under keys.
//!
//! [`State`] is a handle on one store. Its methods return builders, which are awaited:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> pillion::Result<()> {
//! # let p = pillion::embedded().await?;
//! use std::time::Duration;
//!
//! let carts = p.state();
//! let written = carts.set("cart:42", "two items").ttl(Duration::from_secs(3600)).await?;
//! carts.set("cart:42", "three items").if_match(&written.etag).await?;
//! assert_eq!(carts.get::<String>("cart:42").await?.as_deref(), Some("three items"));
//! # Ok(())
//! # }
//! ```
//!
//! Keys are 1 byte to 1 KiB of UTF-8 without control characters and without `||`. Values are at
//! most as large as the runtime's message limit (4 MiB unless configured).

mod batch;
mod item;
mod list;
mod read;
mod transact;
mod types;
mod update;
mod watch;
mod write;

use std::fmt;
use std::sync::Arc;

use pillion_proto::StateApi;

use crate::client::Pillion;
use crate::context::call_options;

pub use batch::{DeleteMany, SetMany};
pub use item::{DeleteItem, Operation, SetItem};
pub use list::List;
pub use pillion_proto::common::v1::{Consistency, Durability, Fence, FenceCheck, LocalDurability, Replication};
pub use read::{Get, GetEntry, GetMany};
pub use transact::Transact;
pub use types::{Committed, Deleted, Entry, Etag, Written};
pub use watch::{Change, OpenWatch, Watch};
pub use write::{Delete, Set};

/// A handle on one state store. Cheap to clone.
#[derive(Clone)]
pub struct State {
    pillion: Pillion,
    /// Empty for the default one.
    store: Arc<str>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("store", &self.store).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(pillion: Pillion) -> Self {
        Self { pillion, store: Arc::default() }
    }

    /// The store that is declared under `name`. Whether there is one, the first call shows.
    #[must_use]
    pub fn store(&self, name: &str) -> Self {
        Self { pillion: self.pillion.clone(), store: name.into() }
    }

    call_options!(pillion.context);

    fn api(&self) -> &dyn StateApi {
        &*self.pillion.apis().state
    }

    fn store_name(&self) -> String {
        self.store.as_ref().to_owned()
    }
}
