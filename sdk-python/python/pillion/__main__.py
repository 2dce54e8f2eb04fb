"""`python -m pillion` is the command `pillion`."""

import sys

from pillion._command import main

sys.exit(main())
