"""Proofs of the topic `seeing_it_in_production`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "seeing_it_in_production"


class TestErrors(ErrorProofs):
    slug = "seeing_it_in_production"
