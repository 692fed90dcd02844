"""Proofs of each topic: `pytest tests/topics/pools` proves its drill and its errors.

A topic's folder has `wrong_fixes.py` (`TRAPS`, `OTHER_ANSWERS`), `live_errors.py` (a function for
each entry of the error index) and a module that runs both, made of the classes in `proofs.py`.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.proofs")
