use crate::codegen::Files;
use crate::codegen::binding::Binding;
use anyhow::Result;
pub fn emit(_: &Binding<'_>) -> Result<Files> {
    Ok(Files::new())
}
