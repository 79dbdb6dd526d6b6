"""``python -m netdiag`` is the command ``netdiag``."""

import sys

from netdiag.cli import main

sys.exit(main())
