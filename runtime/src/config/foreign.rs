//! Configurations of other runtimes and in other formats: recognised, named and refused, so that
//! nobody believes they were read.

use std::path::Path;

use pillion_proto::Reason;

use super::diagnostic::Diagnostic;

/// What a file was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Dapr,
    Layotto,
    Toml,
}

impl Format {
    /// What it is, and that it is of no use here.
    const fn refusal(self) -> &'static str {
        match self {
            Self::Dapr => "a Dapr resource, which is not read yet",
            Self::Layotto => "a Layotto configuration, which is not read yet",
            Self::Toml => "TOML, which is not read",
        }
    }
}

/// Recognises the text by what is unmistakable in it.
pub(crate) fn recognize(text: &str) -> Option<Format> {
    let is_dapr = |line: &str| {
        let value = line.strip_prefix("apiVersion:").or_else(|| line.strip_prefix("\"apiVersion\":"));
        value.is_some_and(|value| value.trim_start_matches([' ', '"', '\'']).starts_with("dapr.io/"))
    };
    if text.lines().any(is_dapr) {
        return Some(Format::Dapr);
    }
    let is_layotto =
        text.trim_start().starts_with('{') && text.contains("\"servers\"") && text.contains("\"grpc_config\"");
    is_layotto.then_some(Format::Layotto)
}

/// Recognises a file by its name.
pub(crate) fn recognize_name(path: &Path) -> Option<Format> {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")).then_some(Format::Toml)
}

pub(crate) fn refuse(name: &str, format: Format) -> Diagnostic {
    let refusal = Diagnostic::new(Reason::ConfigUnsupportedFormat, format!("`{name}` is {}", format.refusal()));
    refusal.help("write the configuration as `pillion.yaml`; `pillion schema` describes it")
}
