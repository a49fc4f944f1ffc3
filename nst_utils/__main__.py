"""``python -m nst_utils``: the same as ``nst``."""

import sys

from nst_utils.cli.parser import main

sys.exit(main())
