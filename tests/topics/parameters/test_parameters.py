"""Proofs of the topic `parameters`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "parameters"


class TestErrors(ErrorProofs):
    slug = "parameters"
