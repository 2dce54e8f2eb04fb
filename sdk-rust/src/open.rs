//! Whichever runtime there is.

use pillion_proto::Result;

use crate::client::Pillion;
use crate::context::variable;

/// The runtime that this program was started beside: the sidecar at `PILLION_ENDPOINT` if the variable
/// is set, which `pillion dev -- command` does, and otherwise one of its own in this process.
///
/// So the same program runs in both modes. [`connect`](crate::connect()) and
/// [`embedded`](crate::embedded()) choose one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> pillion::Result<()> {
/// let p = pillion::open().await?;
/// p.state().set("cart:42", "two items").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `request.invalid` for an endpoint that is none, `component.unsupported` if this program was
/// built without the mode that is needed.
pub async fn open() -> Result<Pillion> {
    match variable("PILLION_ENDPOINT") {
        Some(endpoint) => remote(endpoint).await,
        None => local().await,
    }
}

#[cfg(feature = "client")]
async fn remote(endpoint: String) -> Result<Pillion> {
    crate::connect(endpoint).await
}

#[cfg(not(feature = "client"))]
async fn remote(endpoint: String) -> Result<Pillion> {
    Err(without("client", &format!("PILLION_ENDPOINT is set to `{endpoint}`")))
}

#[cfg(feature = "embed")]
async fn local() -> Result<Pillion> {
    crate::embedded().await
}

#[cfg(not(feature = "embed"))]
async fn local() -> Result<Pillion> {
    Err(without("embed", "PILLION_ENDPOINT is not set"))
}

#[cfg(not(all(feature = "client", feature = "embed")))]
fn without(feature: &str, found: &str) -> pillion_proto::Error {
    use pillion_proto::{Error, Reason};
    let message = format!("{found}, and this program was built without the feature `{feature}` of the crate pillion");
    Error::new(Reason::ComponentUnsupported, message).advice(format!("enable the feature `{feature}`"))
}
