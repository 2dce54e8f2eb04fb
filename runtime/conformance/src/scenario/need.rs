//! What a scenario needs of the store.

use std::collections::BTreeMap;
use std::fmt;

/// What the store of a runtime can do, by name, as the runtime's status says.
pub type Capabilities = BTreeMap<String, String>;

/// `watch` (in any form), `watch=resumable` (in this form), `not watch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    name: String,
    value: Option<String>,
    absent: bool,
}

impl Need {
    /// Whether a store that can do `capabilities` is what is needed.
    pub fn met(&self, capabilities: &Capabilities) -> bool {
        let found = capabilities.get(&self.name).map_or("none", String::as_str);
        let there = match &self.value {
            Some(value) => found == value,
            None => !matches!(found, "none" | "false" | ""),
        };
        there != self.absent
    }
}

impl From<&str> for Need {
    fn from(text: &str) -> Self {
        let (absent, text) = text.strip_prefix("not ").map_or((false, text), |text| (true, text));
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
        Self { name: name.to_owned(), value, absent }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.absent {
            write!(f, "not ")?;
        }
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_met_by_what_is_declared() {
        let capabilities = Capabilities::from(
            [("watch", "live"), ("list", "true"), ("ttl", "none"), ("conditions", "false")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        for (need, met) in [
            ("watch", true),
            ("watch=live", true),
            ("watch=resumable", false),
            ("not watch=resumable", true),
            ("not watch", false),
            ("ttl", false),
            ("not conditions", true),
            ("unheard_of", false),
        ] {
            let parsed = Need::from(need);
            assert_eq!(parsed.met(&capabilities), met, "{need}");
            assert_eq!(parsed.to_string(), need);
        }
    }
}
