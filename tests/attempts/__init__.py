"""The wrong fixes that tempt, one module for each drill. `TRAPS` has, for a task and a trap, code that falls into it."""
