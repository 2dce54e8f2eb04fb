//! Reading the file: bounded, and only what a person can have written with an editor.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pillion_proto::Reason;
use pillion_spi::ByteSize;

use super::diagnostic::Diagnostic;
use super::foreign;

/// The largest configuration file.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The text of a configuration file and the name it is shown under.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may have secrets in it.
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// Text from elsewhere than a file.
    ///
    /// # Errors
    /// More than [`MAX_FILE_BYTES`], or a NUL.
    pub(crate) fn text(name: &str, text: &str) -> Result<Self, Diagnostic> {
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(too_large(name));
        }
        Self::check(name.into(), text.into())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A directory, device, pipe or socket; more than [`MAX_FILE_BYTES`]; bytes that are not UTF-8
    /// text; whatever the operating system refuses.
    pub(crate) fn read(path: &Path) -> Result<Self, Diagnostic> {
        let name: Arc<str> = path.to_string_lossy().into();
        let unreadable = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Diagnostic::new(Reason::ConfigNotFound, format!("there is no file `{name}`"))
            }
            _ => Diagnostic::new(Reason::ConfigUnreadable, format!("cannot read `{name}`: {error}")),
        };
        if let Some(format) = foreign::recognize_name(path) {
            return Err(foreign::refuse(&name, format));
        }
        // Looked at before it is opened: opening a pipe would wait for its writer.
        let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
        if metadata.is_dir() {
            let refusal = Diagnostic::new(Reason::ConfigUnreadable, format!("`{name}` is a directory, not a file"));
            return Err(match super::locate::file_in(path) {
                Some(inside) => refusal.help(format!("did you mean `{}`?", inside.display())),
                None => refusal,
            });
        }
        if !metadata.is_file() {
            return Err(Diagnostic::new(Reason::ConfigUnreadable, format!("`{name}` is not a regular file")));
        }
        let mut bytes = Vec::new();
        File::open(path)
            // The length is not trusted: the file may grow, and some have none.
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(too_large(&name));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::check(name, text.into()),
            Err(error) => Err(not_text(&name, error.utf8_error().valid_up_to())),
        }
    }

    fn check(name: Arc<str>, text: Arc<str>) -> Result<Self, Diagnostic> {
        match text.find('\0') {
            Some(position) => Err(not_text(&name, position)),
            None => Ok(Self { name, text }),
        }
    }

    /// The folder against which relative paths in the file are resolved.
    pub(crate) fn folder(path: &Path) -> PathBuf {
        path.parent().map(Path::to_path_buf).unwrap_or_default()
    }
}

fn too_large(name: &str) -> Diagnostic {
    let limit = ByteSize::bytes(MAX_FILE_BYTES);
    Diagnostic::new(Reason::ConfigTooLarge, format!("`{name}` is larger than {limit}"))
}

fn not_text(name: &str, position: usize) -> Diagnostic {
    Diagnostic::new(Reason::ConfigNotText, format!("`{name}` is not UTF-8 text: byte {position} cannot be part of any"))
}
