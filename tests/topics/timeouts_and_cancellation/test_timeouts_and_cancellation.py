"""Proofs of the topic `timeouts_and_cancellation`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "timeouts_and_cancellation"


class TestErrors(ErrorProofs):
    slug = "timeouts_and_cancellation"
