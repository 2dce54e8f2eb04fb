//! The native classes of services.

use std::fmt::Write;

use anyhow::Result;
use heck::ToSnakeCase;

use super::super::binding::{Api, Binding, Call};
use super::super::ir::Shape;
use super::super::rust::doc;
use super::class::{self, assignment, parameter_type, proto};
use super::{name, stub};

/// What every call takes beside its request, as Python shows it.
pub const OPTIONS: &str = "timeout=None, app_id=None, token=None, cancel=None";

/// The class of a service, in both modes.
pub fn emit(binding: &Binding<'_>, api: &Api<'_>) -> Result<String> {
    let (stem, service) = (api.service.stem(), api.service);
    let mut code = format!(
        "{}#[pyclass(frozen, subclass, name = \"{stem}Api\", module = \"pillion.apis\")]
        pub struct {stem}Api(Caller);
        /// The same to be awaited.
        #[pyclass(frozen, extends = {stem}Api, name = \"{stem}Api\", module = \"pillion.aio.apis\")]
        pub struct Async{stem}Api;
        impl {stem}Api {{
            pub fn object(py: Python<'_>, caller: &Caller) -> PyResult<Py<PyAny>> {{
                Ok(Py::new(py, Self(caller.clone()))?.into_any())
            }}
        }}
        impl Async{stem}Api {{
            pub fn object(py: Python<'_>, caller: &Caller) -> PyResult<Py<PyAny>> {{
                let parts = PyClassInitializer::from({stem}Api(caller.clone())).add_subclass(Self);
                Ok(Py::new(py, parts)?.into_any())
            }}
        }}
        #[pymethods]
        impl {stem}Api {{",
        doc(&service.doc)
    );
    for call in &api.methods {
        method(binding, api, call, &mut code)?;
    }
    code.push_str("}\n");
    Ok(code)
}

/// The parameters of a call as Python shows them.
pub fn signature(call: &Call<'_>) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut named = false;
    for parameter in &call.parameters {
        if !parameter.positional && !std::mem::replace(&mut named, true) {
            shown.push("*".into());
        }
        let seen = name::python(parameter.member.name());
        shown.push(if parameter.required { seen } else { format!("{seen}={}", name::default(&parameter.member)) });
    }
    if !named {
        shown.push("*".into());
    }
    shown.push(OPTIONS.into());
    shown.join(", ")
}

fn method(binding: &Binding<'_>, api: &Api<'_>, call: &Call<'_>, code: &mut String) -> Result<()> {
    let (mut signature, mut parameters, mut assignments) = (Vec::new(), String::new(), String::new());
    let mut named = false;
    for parameter in &call.parameters {
        if !parameter.positional && !std::mem::replace(&mut named, true) {
            signature.push("*".to_owned());
        }
        let seen = class::parameter(&parameter.member);
        let kind = parameter_type(binding, call.request, &parameter.member)?;
        signature.push(if parameter.required { seen.clone() } else { format!("{seen} = In::default()") });
        write!(parameters, "{seen}: In<{kind}>,")?;
        write!(assignments, "{},", assignment(&parameter.member))?;
    }
    if !named {
        signature.push("*".to_owned());
    }
    let answer = name::class(binding, None, &call.answer.full_name)?;
    let about = stub::documentation(api, call, false, &answer);
    let python = name::python(&call.method.snake());
    let rust = call.method.name.to_snake_case();
    let block = &api.service.block;
    let take = match api.service.feature {
        Some(_) => format!("let api = offered(apis.{block}.as_ref(), {block:?});"),
        None => format!("let api = apis.{block}.clone();"),
    };
    let api = if api.service.feature.is_some() { "api?" } else { "api" };
    let request = proto(call.request);
    let (runner, arguments, input, prelude) = match call.method.shape {
        Shape::Unary => ("unary", "apis, cx", "request", format!("let request = {request} {{ {assignments} }};")),
        Shape::ServerStream => {
            ("stream", "apis, cx", "request", format!("let request = {request} {{ {assignments} }};"))
        }
        Shape::ClientStream => ("upload::<_, _, _>", "apis, cx, requests", "requests", String::new()),
        Shape::Duplex => ("duplex::<_, _, _>", "apis, cx, requests", "requests", String::new()),
    };
    writeln!(
        code,
        "{}#[pyo3(name = {python:?}, signature = ({}, timeout = None, app_id = None, token = None, cancel = None), text_signature = \"($self, {})\")]
        fn call_{rust}(&self, py: Python<'_>, {parameters} timeout: Option<In<pbjson_types::Duration>>, app_id: Option<String>, token: Option<String>, cancel: Option<&Bound<'_, CancelToken>>) -> PyResult<Py<PyAny>> {{
            guard(py, || {{
                {prelude}
                let options = Options::new(py, timeout, app_id, token, cancel)?;
                self.0.{runner}(py, options, move |{arguments}| {{
                    {take}
                    async move {{ {api}.{rust}(&cx, {input}).await }}
                }})
            }})
        }}",
        doc(&about),
        signature.join(", "),
        self::signature(call),
    )?;
    Ok(())
}
