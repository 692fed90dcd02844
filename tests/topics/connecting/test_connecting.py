"""Proofs of the topic `connecting`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "connecting"


class TestErrors(ErrorProofs):
    slug = "connecting"
