"""Proofs of the topic `choosing_a_driver`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "choosing_a_driver"


class TestErrors(ErrorProofs):
    slug = "choosing_a_driver"
