"""TLS that can tell Encore's server from another: the same `ssl` meets five servers."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import trustme

from ... import servers, tls
from ...checking.examination import Examination
from ...servers.server import Server

TITLE = "TLS that can tell Encore's server from another"

HINTS = (
    "The starter encrypts. Against whom? Lesson 01 connects with 'require' to a server that "
    "signed its own certificate.",
    "asyncpg takes an ssl.SSLContext. A context decides three things: which authorities it "
    "trusts, whether it checks the certificate, whether it checks the name.",
    "ssl.create_default_context() checks both, and has a parameter for a file with the "
    "authorities to trust instead of the machine's.",
)

TRAPS = {
    "prefer": "Without TLS on the other side it went on in clear text. Anyone in between "
    'says "no TLS here".',
    "encrypted only": "Encrypted, to a stranger: the certificate of an authority that nobody at "
    "Encore knows was accepted.",
    "any name": "Any certificate of Encore's opens this door: the one of the reporting server was "
    "accepted for the shop's.",
    "public authorities": "Encore's own server is refused: its certificate is signed by Encore's "
    "authority, and this trusts only the public authorities of the machine.",
    "public authorities, too": "Encore's authority was added to the public ones. Anyone who gets a "
    "certificate for this name from any of them is let in as well.",
}

ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


async def check(exam: Examination) -> None:
    ours, public, nobody = trustme.CA(), trustme.CA(), trustme.CA()
    with servers.open() as stack, tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder, f"{name}-ca.pem")) for name in ("encore", "public")}
        ours.cert_pem.write_to_path(files["encore"])
        public.cert_pem.write_to_path(files["public"])
        # What this machine trusts, for as long as the check lasts:
        # https://docs.openssl.org/3.0/man7/openssl-env/
        with patch.dict("os.environ", SSL_CERT_FILE=files["public"]):
            outcome = await exam.run(files["encore"], plain=True)
            given = outcome.value
            if not outcome.returned or given in (None, ...):
                exam.criterion(
                    "something to give to asyncpg's `ssl` comes back", False, str(outcome)
                )
                return

            async def met_by(authority: trustme.CA | None, *names: str) -> str:
                """What comes of a connection to the server, given such a certificate."""
                if authority:
                    await tls.enable(stack.postgres, authority, *names)
                result = await exam.call(_connect, stack.postgres, given, limit=8)
                # Of another kind: asyncpg did not get as far as the certificate.
                return str(result.value) if result.returned else f"not reached, {result}"

            clear = await met_by(None)
            own = await met_by(ours)
            stranger = await met_by(nobody)
            listed = await met_by(public)
            other = await met_by(ours, "reports.encore.example")
    exam.criterion("Encore's own server is accepted", own == "connected, encrypted", own)
    exam.criterion("a server without TLS is refused", clear == "refused", clear)
    exam.criterion(
        "a server whose certificate nobody knows is refused", stranger == "refused", stranger
    )
    exam.criterion(
        "a server with a certificate of a public authority is refused", listed == "refused", listed
    )
    exam.criterion(
        "another server of Encore's, with its own name in its certificate, is refused",
        other == "refused",
        other,
    )
    if clear.startswith("connected"):
        exam.trap("prefer")
    elif stranger.startswith("connected"):
        exam.trap("encrypted only")
    elif own == "refused" and listed.startswith("connected"):
        exam.trap("public authorities")
    elif listed.startswith("connected"):
        exam.trap("public authorities, too")
    elif other.startswith("connected"):
        exam.trap("any name")


async def _connect(postgres: Server, given: Any) -> str:
    try:
        connection = await asyncpg.connect(postgres.dsn(), ssl=given, timeout=5)
    except ssl.SSLCertVerificationError:
        return "refused"
    except ConnectionError as error:
        if "rejected SSL upgrade" in str(error):
            return "refused"
        raise
    encrypted = await connection.fetchval(ENCRYPTED)
    await connection.close()
    return "connected, encrypted" if encrypted else "connected, in clear text"
