//! `pillion schema`

use pillion_runtime::config;

use crate::arguments::Schema;
use crate::exit::{self, Failure};
use crate::output::Output;

pub(crate) fn run(arguments: &Schema, output: &Output) -> Result<u8, Failure> {
    let registry = pillion_runtime::registry();
    let schema = match &arguments.component_type {
        None => config::schema(&registry),
        Some(name) => config::component_schema(&registry, name).ok_or_else(|| {
            let types = registry.state_types().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
            Failure::Message(format!("there is no component type `{name}`; there are: {types}"), exit::FAILED)
        })?,
    };
    output.raw(format!("{schema:#}\n").as_bytes())?;
    Ok(exit::OK)
}
