"""uv, which installs the lock file in two seconds of processor time where pip takes eighty.

What is configured for pip is honoured: uv does not read pip's configuration, so it is translated.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

LOCK = Path(__file__).with_name("uv.lock")
# pip's name: uv's variables. Values with several addresses are separated by white space in both.
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
    "proxy": ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
}
SEPARATED_BY_COMMAS = ("UV_FIND_LINKS",)


def program(folder: Path) -> list[str | Path] | None:
    """The command that is on this machine or, from an earlier start, in `folder`."""
    found = shutil.which("uv") or (folder / "bin/uv")
    return [found] if Path(found).exists() else None


def fetch(folder: Path) -> None:
    """Put uv into `folder`, by pip, whose hash check and configuration hold for it."""
    shutil.rmtree(folder, ignore_errors=True)
    with pip() as command:
        subprocess.run(
            [
                *command,
                *("install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"),
                *("--require-hashes", "-r", LOCK, "--target", folder),
            ],
            check=True,
        )


def environment() -> dict[str, str]:
    """This process's environment and, where it leaves uv's variables open, pip's settings."""
    found = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    for option, value in configuration().items():
        for name in VARIABLES.get(option, ()):
            separator = "," if name in SEPARATED_BY_COMMAS else " "
            found[name] = separator.join(value.split())
    if "UV_INDEX" in found:  # as pip does it: any of them may have a package. The hash decides.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found | os.environ


def options() -> list[str]:
    """What has no variable: find-links alone, as `no-index` says."""
    off = ("", "0", "false", "no", "off")
    return [] if configuration().get("no-index", "").lower() in off else ["--no-index"]


@functools.cache
def configuration() -> dict[str, str]:
    """pip's options by name, from its files and its variables, the weightiest last."""
    try:
        with pip() as command:
            listed = subprocess.run(
                [*command, "config", "list"], capture_output=True, text=True, check=True
            ).stdout
    except (LookupError, OSError, subprocess.SubprocessError):
        return {
            name.removeprefix("PIP_").lower().replace("_", "-"): value
            for name, value in os.environ.items()
            if name.startswith("PIP_")
        }
    return parsed(listed)


def parsed(listed: str) -> dict[str, str]:
    """`pip config list`. [install] weighs more than [global], and a variable more than both."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in found:
            with contextlib.suppress(SyntaxError, ValueError):
                found[section][option] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


@contextlib.contextmanager
def pip() -> Iterator[list[str | Path]]:
    """A command that runs pip: this Python's, the one that ensurepip holds, or Debian's.

    Debian splits ensurepip off into python3-venv. Where that is not installed, pip comes out of
    Debian's archive in the same way as the servers. Raises `Unavailable` where there is none.
    """
    options = ("--disable-pip-version-check", "--no-input")
    if importlib.util.find_spec("pip"):
        yield [sys.executable, "-m", "pip", *options]
        return
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip and ensurepip.origin:
        bundled = Path(ensurepip.origin).parent.glob("_bundled/pip-*.whl")
        for wheel in (*bundled, *Path("/usr/share/python-wheels").glob("pip-*.whl")):
            yield [sys.executable, wheel / "pip", *options]
            return
    from ..servers.apt import Apt

    with tempfile.TemporaryDirectory() as folder:
        packages = Apt(Path(folder, "apt")).download(["python3-pip-whl"])
        (deb,) = [package for package in packages if package.name.startswith("python3-pip-whl_")]
        subprocess.run(["dpkg-deb", "-x", deb, f"{folder}/files"], check=True)
        (wheel,) = Path(folder).glob("files/usr/share/python-wheels/pip-*.whl")
        yield [sys.executable, wheel / "pip", *options]
