"""Proofs of the topic `migrations`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "migrations"


class TestErrors(ErrorProofs):
    slug = "migrations"
