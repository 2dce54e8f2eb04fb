//! Collects problems while a file is checked.

use super::diagnostic::Diagnostic;

/// So many problems are shown at once; a file with more is not read to its end.
const MAX_PROBLEMS: usize = 50;

#[derive(Debug, Default)]
pub(crate) struct Report {
    items: Vec<Diagnostic>,
}

impl Report {
    pub(crate) fn add(&mut self, item: Diagnostic) {
        match MAX_PROBLEMS - self.items.len() {
            0 => {}
            1 => self.items.push(item.note("there may be more problems: the file was not checked any further")),
            _ => self.items.push(item),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= MAX_PROBLEMS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn into_items(self) -> Vec<Diagnostic> {
        self.items
    }
}
