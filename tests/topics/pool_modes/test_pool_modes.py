"""Proofs of the topic `pool_modes`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "pool_modes"


class TestErrors(ErrorProofs):
    slug = "pool_modes"
