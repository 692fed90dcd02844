"""Proofs of the topic `bulk_loading`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "bulk_loading"


class TestErrors(ErrorProofs):
    slug = "bulk_loading"
