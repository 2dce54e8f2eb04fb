//! The same program in-process or against a sidecar: `PILLION_ENDPOINT` decides.
//!
//! ```console
//! $ cargo run --example quickstart
//! $ PILLION_ENDPOINT=http://127.0.0.1:34904 cargo run --example quickstart
//! ```

use std::time::Duration;

use pillion::{Json, Reason};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Cart {
    items: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> pillion::Result<()> {
    let p = pillion::open().await?;
    p.wait_ready(Duration::from_secs(10)).await?;
    let state = p.state();

    // A value with a lifetime, read back as what it is.
    state.set("cart:42", Json(Cart { items: 41 })).ttl(Duration::from_secs(3600)).await?;
    let entry = state.get_entry::<Json<Cart>>("cart:42").await?.ok_or_else(missing)?;
    println!("cart:42 is {:?}, etag {}", entry.value.0, entry.etag);

    // Nobody else's change is overwritten.
    state.set("cart:42", Json(Cart { items: 42 })).if_match(&entry.etag).await?;
    match state.set("cart:42", Json(Cart { items: 0 })).if_match(&entry.etag).await {
        Err(error) if error.is(Reason::StateEtagMismatch) => println!("refused: {error}"),
        other => println!("not refused: {other:?}"),
    }

    let cart = state.get::<Json<Cart>>("cart:42").await?.ok_or_else(missing)?;
    println!("the cart has {} items", cart.0.items);
    p.close().await;
    Ok(())
}

fn missing() -> pillion::Error {
    pillion::Error::new(Reason::StateKeyNotFound, "the cart is gone")
}
