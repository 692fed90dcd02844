"""Proofs of the topic `pools`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "pools"


class TestErrors(ErrorProofs):
    slug = "pools"
