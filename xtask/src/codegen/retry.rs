//! The wrapper that makes failed calls again; its rules are hand-written (`proto/src/retry.rs`).

use std::fmt::Write;

use anyhow::Result;

use super::ir::{Contract, Kind, Label, Method, Service};
use super::rust::{gate, signature};
use super::{Compiled, Files, format};

/// The field whose presence makes any call of its method repeatable.
const KEY: &str = "idempotency_key";

/// Emits `proto/src/gen/retry.rs`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let mut code =
        String::from("use std::sync::Arc;\nuse async_trait::async_trait;\nuse crate::retry::{Retry, repeat};\n");
    for service in contract.served() {
        wrapper(contract, service, &mut code)?;
    }
    apis(contract, &mut code)?;
    Ok(Files::from([("proto/src/gen/retry.rs".into(), format(&code)?)]))
}

fn wrapper(contract: &Contract, service: &Service, code: &mut String) -> Result<()> {
    let stem = service.stem();
    let gate = gate(service);
    writeln!(
        code,
        "/// [`{stem}Api`](crate::{stem}Api) that makes failed calls again where that is safe.
        {gate}pub struct {stem}Retry {{ inner: Arc<dyn crate::{stem}Api>, policy: Arc<dyn Retry> }}
        {gate}impl std::fmt::Debug for {stem}Retry {{
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(\"{stem}Retry\") }}
        }}
        {gate}impl {stem}Retry {{
            /// Wraps `inner`, a remote client.
            pub fn new(inner: Arc<dyn crate::{stem}Api>, policy: Arc<dyn Retry>) -> Self {{ Self {{ inner, policy }} }}
        }}
        {gate}#[async_trait]
        impl crate::{stem}Api for {stem}Retry {{"
    )?;
    for method in &service.methods {
        let snake = method.snake();
        let body = if method.uploads() {
            // The caller's stream can be read only once.
            format!("self.inner.{snake}(cx, requests).await")
        } else {
            format!(
                "let keyed = {};
                repeat(&*self.policy, &crate::{}_method::{}, keyed, cx, request, |request| self.inner.{snake}(cx, request)).await",
                keyed(contract, method)?,
                service.block,
                method.shouty(),
            )
        };
        writeln!(code, "{} {{ {body} }}", signature(contract, method)?)?;
    }
    writeln!(code, "}}")?;
    Ok(())
}

/// Whether a request bears a key, as an expression.
fn keyed(contract: &Contract, method: &Method) -> Result<String> {
    let fields = &contract.message(&method.input)?.fields;
    let has_key =
        fields.iter().any(|field| field.name == KEY && field.kind == Kind::String && field.label == Label::Single);
    Ok(if has_key { format!("!request.{KEY}.is_empty()") } else { "false".to_owned() })
}

fn apis(contract: &Contract, code: &mut String) -> Result<()> {
    let (some, native): (Vec<_>, Vec<_>) = contract.served().partition(|service| service.feature.is_some());
    writeln!(
        code,
        "impl crate::Apis {{
            /// The same APIs, each making failed calls again where that is safe and `policy` says so.
            #[must_use]
            pub fn retried(&self, policy: &Arc<dyn Retry>) -> Self {{
                #[allow(unused_mut)]
                let mut apis = Self::new("
    )?;
    for service in native {
        writeln!(code, "Arc::new({}Retry::new(self.{}.clone(), policy.clone())),", service.stem(), service.block)?;
    }
    writeln!(code, ");")?;
    for service in some {
        let (stem, block) = (service.stem(), &service.block);
        writeln!(
            code,
            "{}{{ apis.{block} = self.{block}.clone().map(|inner| Arc::new({stem}Retry::new(inner, policy.clone())) as Arc<dyn crate::{stem}Api>); }}",
            gate(service)
        )?;
    }
    writeln!(code, "apis }} }}")?;
    Ok(())
}
