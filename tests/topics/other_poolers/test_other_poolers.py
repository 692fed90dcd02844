"""Proofs of the topic `other_poolers`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "other_poolers"


class TestErrors(ErrorProofs):
    slug = "other_poolers"
