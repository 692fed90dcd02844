"""Proofs of the topic `json_and_codecs`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "json_and_codecs"


class TestErrors(ErrorProofs):
    slug = "json_and_codecs"
