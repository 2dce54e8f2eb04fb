//! What is printed, where, and in which form.

use std::io::{self, Write};

use pillion_proto::Error;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::exit::{self, Failure};

/// The two streams, as the user wants them.
#[derive(Debug)]
pub(crate) struct Output {
    /// Data as JSON.
    pub(crate) json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        arguments.color.write_global();
        Self { json: arguments.json, quiet: arguments.quiet }
    }

    /// A line for people.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            // Nobody may be reading; that is no reason to fail.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// A line of data as JSON.
    pub(crate) fn data(&self, value: &Value) -> io::Result<()> {
        self.raw(format!("{value}\n").as_bytes())
    }

    /// Data as it is.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // The reader has seen enough (`| head`), which is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Whether to say nothing but errors.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Says why a command failed, and how it exits.
    pub(crate) fn failure(&self, failure: Failure) -> u8 {
        let (text, value, code) = match failure {
            Failure::Error(error) => (text(&error), problem(&error), exit::code(&error)),
            Failure::Config(diagnostics) => {
                (diagnostics.render(true), json!({ "diagnostics": diagnostics.to_json() }), exit::CONFIG)
            }
            Failure::Message(text, code) => {
                let value = json!({ "message": text.clone() });
                (format!("error: {text}"), value, code)
            }
        };
        if self.json {
            let _ = self.data(&json!({ "error": value }));
        }
        // An error is never too much to say.
        let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
        code
    }
}

fn text(error: &Error) -> String {
    let unknown = match error.outcome() {
        pillion_proto::error::Outcome::Unknown => " (it may have taken effect)",
        _ => "",
    };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let advice = match error.advice_text() {
        "" => String::new(),
        advice => format!("\n  try: {advice}"),
    };
    format!("error[{}]: {}{cause}{unknown}{advice}", error.reason(), error.message())
}

fn problem(error: &Error) -> Value {
    pillion_proto::http::problem(error)
}
