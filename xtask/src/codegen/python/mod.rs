//! The Python binding: PyO3 classes and functions, the Python modules and stubs that show them, the
//! exceptions, the blocking form of what is written for asyncio, and the table for the driver.

mod api;
mod blocking;
mod class;
mod driver;
mod error;
mod module;
mod name;
mod stub;

use std::fmt::Write;

use anyhow::Result;

use super::binding::{Binding, Module};
use super::ir::Contract;
use super::{Compiled, Files, MARK, format};

/// Where the native sources are.
const NATIVE: &str = "sdk-python/src/gen";
/// The Python package.
const PACKAGE: &str = "sdk-python/python/pillion";
/// Where the modules are that no wheel has.
const TESTS: &str = "sdk-python/tests";

/// Emits everything that `sdk-python` has of the contract.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let binding = Binding::of(contract)?;
    let mut files = Files::new();
    for module in &binding.modules {
        let classes = class::emit(&binding, module)?;
        let api = binding.apis.iter().find(|api| api.service.block == module.block);
        let api = api.map(|api| api::emit(&binding, api)).transpose()?.unwrap_or_default();
        let source = format!("{USES}{classes}{api}{}", register(&binding, module)?);
        files.insert(format!("{NATIVE}/{}.rs", module.block).into(), format(&source)?);
        files.extend(module::emit(&binding, module)?);
    }
    files.insert(format!("{NATIVE}/mod.rs").into(), format(&native(&binding)?)?);
    files.extend(stub::emit(&binding)?);
    files.extend(error::emit(contract)?);
    files.extend(driver::emit(&binding)?);
    files.extend(blocking::emit()?);
    Ok(files)
}

/// What generated sources begin with.
const USES: &str = "#![allow(unused_imports, unused_variables, unused_parens, dead_code)]
use pyo3::prelude::*;
use crate::call::Options;
use crate::cancel::CancelToken;
use crate::client::{Caller, offered};
use crate::convert::{FromPython, In, ToPython, wanted};
use crate::guard::guard;
use crate::message::{Enumeration, Frozen, compare, repr, variant};
";

/// A Python source, marked.
fn python(source: &str) -> Vec<u8> {
    format!("# {MARK}\n{source}").into_bytes()
}

/// Whether wheels have the module.
fn shipped(binding: &Binding<'_>, module: &Module<'_>) -> bool {
    match binding.apis.iter().find(|api| api.service.block == module.block) {
        Some(api) => api.service.in_process || api.service.feature.is_none(),
        None => true,
    }
}

/// `#[cfg(…)]` for what wheels do not have; what they have beyond the common, they have always.
fn gate(binding: &Binding<'_>, module: &Module<'_>) -> String {
    match module.feature {
        Some(feature) if !shipped(binding, module) => format!("#[cfg(feature = {feature:?})]\n"),
        _ => String::new(),
    }
}

/// The function that puts a module's classes where Python finds them.
fn register(binding: &Binding<'_>, module: &Module<'_>) -> Result<String> {
    let mut code = format!(
        "pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {{
            let module = PyModule::new(parent.py(), {:?})?;",
        module.block
    );
    for message in &module.messages {
        writeln!(code, "module.add_class::<{}>()?;", message.joined_name())?;
    }
    if let Some(api) = binding.apis.iter().find(|api| api.service.block == module.block) {
        let stem = api.service.stem();
        // Both are called `StateApi` by the modules in which programs find them.
        for class in [format!("{stem}Api"), format!("Async{stem}Api")] {
            writeln!(code, "module.add({class:?}, parent.py().get_type::<{class}>())?;")?;
        }
    }
    code.push_str("parent.add_submodule(&module)\n}\n");
    Ok(code)
}

/// The root of the generated native sources.
fn native(binding: &Binding<'_>) -> Result<String> {
    let mut code = String::from(
        "use pyo3::prelude::*;
        use crate::call::Mode;
        use crate::client::Caller;
        use crate::guard::guard;
        ",
    );
    for module in &binding.modules {
        writeln!(code, "{}pub mod {};", gate(binding, module), module.block)?;
    }
    code.push_str("/// Puts every generated class into the module.\npub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {\n");
    for module in &binding.modules {
        writeln!(code, "{}{}::register(module)?;", gate(binding, module), module.block)?;
    }
    code.push_str("module.add(\"Apis\", module.py().get_type::<Apis>())?;\nmodule.add(\"AsyncApis\", module.py().get_type::<AsyncApis>())\n}\n");
    code.push_str(
        "/// Every API of a handle.
        pub fn apis(py: Python<'_>, caller: &Caller) -> PyResult<Py<PyAny>> {
            Ok(match caller.mode() {
                Mode::Blocking => Py::new(py, Apis(caller.clone()))?.into_any(),
                Mode::Async => Py::new(py, AsyncApis(caller.clone()))?.into_any(),
            })
        }\n",
    );
    for (class, prefix, python) in [("Apis", "", "pillion.apis"), ("AsyncApis", "Async", "pillion.aio.apis")] {
        writeln!(
            code,
            "/// Every API.\n#[pyclass(frozen, name = \"Apis\", module = {python:?})]\npub struct {class}(Caller);\n#[pymethods]\nimpl {class} {{"
        )?;
        for module in &binding.modules {
            let Some(api) = binding.apis.iter().find(|api| api.service.block == module.block) else { continue };
            let (block, stem) = (module.block, api.service.stem());
            writeln!(
                code,
                "{}#[getter]\nfn {}(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {{ guard(py, || {block}::{prefix}{stem}Api::object(py, &self.0)) }}",
                gate(binding, module),
                name::python(block),
            )?;
        }
        code.push_str("}\n");
    }
    Ok(code)
}
