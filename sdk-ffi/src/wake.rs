//! Waking who waits for a call, without a call into their language.

use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};

/// A continuation in the sense of UniFFI whose data is the descriptor of a pipe: it writes `code` there.
///
/// Ruby waits so. To be called back by our threads it would need a thread of its own, which a child of a
/// fork does not have, and the interpreter's lock, which may be held by who is waited for.
#[unsafe(no_mangle)]
pub extern "C" fn pillion_wake(pipe: u64, code: i8) {
    let Ok(pipe) = RawFd::try_from(pipe) else { return };
    // SAFETY: a continuation is called once for each poll, and who polled closes the pipe after that.
    let mut pipe = ManuallyDrop::new(unsafe { File::from_raw_fd(pipe) });
    // Where nobody reads, nobody waits.
    let _ = pipe.write_all(&code.to_ne_bytes());
}
