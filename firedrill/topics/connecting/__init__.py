"""Exercise 01: the module with which Encore's services connect."""

from ...checking.drill import Drill
from . import any_password, limit_to_connect, patient_start, primary, trusted_server

DRILL = Drill(
    "the module with which Encore's services connect",
    (any_password, patient_start, trusted_server),
    warm_up=limit_to_connect,
    stretch=primary,
)
