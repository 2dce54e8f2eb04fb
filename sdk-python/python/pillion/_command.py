"""The command `pillion`: the real runtime and its tools, with the components of this package."""

from __future__ import annotations

import signal
import sys

from pillion import _native


def main() -> int:
    """Runs the command with the arguments of this process, and returns its exit code."""
    # The command has handlers of its own; Python's would wait for an interpreter that does not run.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.command(["pillion", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
