"""Proofs of the topic `fastapi`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "fastapi"


class TestErrors(ErrorProofs):
    slug = "fastapi"
