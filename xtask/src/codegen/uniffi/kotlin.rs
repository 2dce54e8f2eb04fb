use anyhow::Result;
use crate::codegen::Files;
use crate::codegen::binding::Binding;
pub fn emit(_: &Binding<'_>) -> Result<Files> { Ok(Files::new()) }
