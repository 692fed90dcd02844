"""`python -m firedrill.lab`: the lessons in JupyterLab."""

import sys

from firedrill.lab import launch

sys.exit(launch(sys.argv[1:]))
