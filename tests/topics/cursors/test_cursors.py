"""Proofs of the topic `cursors`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "cursors"


class TestErrors(ErrorProofs):
    slug = "cursors"
