"""Proofs of the topic `transactions`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "transactions"


class TestErrors(ErrorProofs):
    slug = "transactions"
