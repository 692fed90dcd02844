"""Proofs of the topic `savepoints`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "savepoints"


class TestErrors(ErrorProofs):
    slug = "savepoints"
