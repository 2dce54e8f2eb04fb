//! `pillion check`

use serde_json::json;

use super::start;
use crate::arguments::File;
use crate::exit::{self, Failure};
use crate::output::Output;

pub(crate) fn run(file: &File, output: &Output) -> Result<u8, Failure> {
    let registry = pillion_runtime::registry();
    let Some((config, origin)) = start::configured(file, &registry)? else {
        return Err(start::no_file());
    };
    if output.json {
        let components: Vec<_> = config
            .components
            .iter()
            .map(|component| json!({ "name": component.name, "type": component.kind.name() }))
            .collect();
        output.data(&json!({ "ok": true, "file": origin, "components": components }))?;
    } else {
        output.say(format_args!("{origin} is correct"));
        for component in &config.components {
            output.say(format_args!("  {:<16} {}", component.name, component.kind.name()));
        }
    }
    Ok(exit::OK)
}
