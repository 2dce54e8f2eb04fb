"""Starts the driver: `python sdk-python/tests/driver [--aio] …`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from driver.main import main  # noqa: E402 - only now it is found

sys.exit(main(sys.argv[1:]))
