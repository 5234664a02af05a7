"""``python -m masklet_train``."""

import sys

from .loop import main

sys.exit(main())
