//! The rules of the house that no compiler checks.

mod layer;
mod share;
mod text;

use anyhow::{Result, bail};

/// Checks them all and lists every breach.
pub fn run() -> Result<()> {
    let mut problems = layer::check()?;
    problems.extend(text::check()?);
    if !problems.is_empty() {
        bail!("the house is not tidy:\n  {}", problems.join("\n  "));
    }
    println!("tidy: layers, versions, names and texts are in order");
    for share in share::count()? {
        println!("  {share}");
    }
    Ok(())
}
