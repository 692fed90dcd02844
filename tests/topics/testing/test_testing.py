"""Proofs of the topic `testing`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "testing"


class TestErrors(ErrorProofs):
    slug = "testing"
