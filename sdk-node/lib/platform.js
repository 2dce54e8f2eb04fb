"use strict";

// Which build of the native half this machine needs.

/** Whether the C library is musl: Node's own report says so, without starting a program. */
function musl() {
  const report = process.report?.getReport();
  if (report?.header?.glibcVersionRuntime) return false;
  return report?.sharedObjects?.some((file) => file.includes("libc.musl-") || file.includes("ld-musl-")) ?? false;
}

/** `linux-x64-gnu`, `linux-arm64-musl`, `darwin-arm64`, `win32-x64`. */
function platform() {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return name;
  return `${name}-${musl() ? "musl" : "gnu"}`;
}

exports.platform = platform;
