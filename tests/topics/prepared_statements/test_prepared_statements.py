"""Proofs of the topic `prepared_statements`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "prepared_statements"


class TestErrors(ErrorProofs):
    slug = "prepared_statements"
