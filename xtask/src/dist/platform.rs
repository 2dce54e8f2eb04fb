//! The platforms that packages are for.

use anyhow::{Context, Result};

use crate::step::command;

/// One of them.
pub struct Platform {
    /// As rustc calls it.
    pub triple: &'static str,
    /// As the npm packages do; empty where there is none.
    pub npm: &'static str,
    /// What has to be there to build for it.
    pub needs: &'static str,
}

/// All of them.
pub const PLATFORMS: [Platform; 9] = [
    Platform {
        triple: "x86_64-unknown-linux-gnu",
        npm: "linux-x64-gnu",
        needs: "glibc 2.28 or newer to link with; the manylinux_2_28 image has it",
    },
    Platform {
        triple: "aarch64-unknown-linux-gnu",
        npm: "linux-arm64-gnu",
        needs: "rustup target add, gcc-aarch64-linux-gnu as linker; or an ARM machine",
    },
    Platform {
        triple: "x86_64-unknown-linux-musl",
        npm: "linux-x64-musl",
        needs: "rustup target add, musl-tools; RUSTFLAGS=-Ctarget-feature=-crt-static for the libraries",
    },
    Platform {
        triple: "aarch64-apple-darwin",
        npm: "darwin-arm64",
        needs: "a Mac with the command line tools; signing for what is downloaded by a browser",
    },
    Platform {
        triple: "x86_64-apple-darwin",
        npm: "darwin-x64",
        needs: "a Mac with the command line tools; rustup target add on an ARM one",
    },
    Platform {
        triple: "x86_64-pc-windows-msvc",
        npm: "win32-x64",
        needs: "Windows with the build tools of Visual Studio; Unix sockets are left out there",
    },
    Platform {
        triple: "aarch64-linux-android",
        npm: "",
        needs: "the Android NDK and cargo-ndk; an AAR with the library and the Kotlin sources",
    },
    Platform {
        triple: "aarch64-apple-ios",
        npm: "",
        needs: "a Mac with Xcode; an XCFramework, whose checksum goes into Package.swift",
    },
    Platform { triple: "aarch64-apple-ios-sim", npm: "", needs: "as aarch64-apple-ios, in the same XCFramework" },
];

/// The one that this machine builds for.
pub fn here() -> Result<&'static Platform> {
    let output = command("rustc", &["-vV"])?.output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    PLATFORMS
        .iter()
        .find(|platform| platform.triple == host)
        .with_context(|| format!("there are no packages for {host}; add it to the platforms in xtask/src/dist"))
}
