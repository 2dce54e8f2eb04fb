//! Real servers, started as child processes in temporary folders on free ports.
//!
//! A server never outlives the program that started it, however that ends: see [`Process`].

mod process;
mod redis;
mod tls;

pub use process::Process;
pub use redis::{AclUser, Fsync, RedisOptions, RedisServer};
pub use tls::Certificates;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// How long a server may take to answer its first request, or to end when asked to.
pub const PATIENCE: Duration = Duration::from_secs(20);

const FOLDER_PREFIX: &str = "pillion-conformance-";

/// A port that was free a moment ago.
///
/// # Errors
/// When no port can be bound.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A fresh folder, removed on drop. Its name carries our process id: folders of programs that were
/// killed before they could tidy up are removed on the way.
///
/// # Errors
/// When the temporary folder of the system is not writable.
pub fn temporary_folder() -> Result<TempDir> {
    let root = std::env::temp_dir();
    remove_leftovers(&root);
    tempfile::Builder::new()
        .prefix(&format!("{FOLDER_PREFIX}{}-", std::process::id()))
        .tempdir_in(&root)
        .context("making a temporary folder")
}

fn remove_leftovers(root: &Path) {
    let Ok(folders) = std::fs::read_dir(root) else { return };
    for folder in folders.flatten() {
        let name = folder.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.split_once('-')?.0.parse().ok())
            .and_then(rustix::process::Pid::from_raw);
        if owner.is_some_and(|owner| rustix::process::test_kill_process(owner) == Err(rustix::io::Errno::SRCH)) {
            // Somebody else may be removing it too.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}
