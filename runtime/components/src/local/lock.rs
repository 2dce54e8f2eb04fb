//! One process at a time, and within it one store at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::Path;

use pillion_spi::error::{Error, Result};

use super::schema;

const FILE: &str = "pillion.lock";

/// The right to use a folder. It ends with the process, whatever the way that ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the folder; `None` while another holds it.
    ///
    /// # Errors
    /// The file system does not let us lock it.
    pub(super) fn take(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let fail = |error: std::io::Error| {
            Error::unavailable(format!("cannot lock `{}`", path.display()))
                .source(error)
                .advice("check the permissions of the folder and whether its file system has locks")
        };
        // Not truncated before it is ours: it names the holder.
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        let text = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(fail)?;
        Ok(Some(Self(file)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do while a forked child has inherited the file. An error changes
        // nothing: the lock ends with the last holder.
        let _ = self.0.unlock();
    }
}

/// The error that says who holds the folder, as far as that is known.
pub(super) fn held(dir: &Path) -> Error {
    let known = std::fs::read_to_string(dir.join(FILE)).ok();
    let holder = match known.and_then(|text| text.trim().parse::<u32>().ok()) {
        Some(pid) if pid == std::process::id() => format!("another store of this process (pid {pid})"),
        Some(pid) => format!("the process with pid {pid}"),
        None => "another process".to_owned(),
    };
    Error::unavailable(format!("`{}` is in use by {holder}", dir.join(schema::FILE).display()))
        .advice("end that process, connect to it instead, or give this store a folder of its own")
}
