"""`python -m firedrill` is the command `firedrill`."""

import os
import sys

from .cli import main

if __name__ == "__main__":
    os.environ.setdefault("PYTHONUTF8", "1")
    sys.exit(main())
