"""Proofs of the topic `exhaustion`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "exhaustion"


class TestErrors(ErrorProofs):
    slug = "exhaustion"
