"""Proofs of the topic `on_top_of_asyncpg`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "on_top_of_asyncpg"


class TestErrors(ErrorProofs):
    slug = "on_top_of_asyncpg"
