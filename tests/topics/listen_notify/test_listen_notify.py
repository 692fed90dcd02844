"""Proofs of the topic `listen_notify`: its drill and its errors."""

from ..proofs import DrillProofs, ErrorProofs


class TestDrill(DrillProofs):
    slug = "listen_notify"


class TestErrors(ErrorProofs):
    slug = "listen_notify"
