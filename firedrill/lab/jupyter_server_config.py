"""How JupyterLab runs for the course. Options on the command line win over these."""

import os
import secrets
import sys
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - Jupyter gives it; traitlets' get_config is another
here = Path(__file__).parent

c.ServerApp.root_dir = str(
    here.parents[1]
)  # the repository: lessons link to files outside notebooks/
c.ServerApp.contents_manager_class = "firedrill.lab.contents.Contents"  # saves to my/
c.ServerApp.allow_root = True
c.ServerApp.jpserver_extensions = {
    "firedrill.lab": True
}  # prints the one address; Jupyter's own is amid its log,
c.IdentityProvider.token = secrets.token_hex(24)  # and only printed for a token that it made
c.Application.log_level = "ERROR"
c.LabApp.app_settings_dir = str(here / "settings")  # defaults only: what the reader changes wins
c.LabApp.custom_css = True  # custom.css, next to this file: the width of text
c.LabApp.extension_manager = "readonly"  # an installed extension could break a lesson
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
c.ServerApp.tornado_settings = {
    "page_config_data": {"buildCheck": False}
}  # which starts node for each page, for nothing
c.LanguageServerManager.autodetect = False  # runs npm, which writes to the reader's home
c.KernelSpecManager.allowed_kernelspecs = {"python3"}

# On Linux, webbrowser falls back to a text browser, which would take over the terminal.
if sys.platform == "linux" and not any(
    map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
):
    c.ExtensionApp.open_browser = False

# Sockets in a private folder, not open ports. Their paths are limited (104 bytes on macOS, 108 on
# Linux), and "/kernel-", a UUID and "-ipc-5" take 50 of them; with TCP the kernel's traffic is
# encrypted instead.
if len(os.fsencode(jupyter_runtime_dir())) + 50 < 104:
    c.KernelManager.transport = "ipc"
else:
    c.MappingKernelManager.transport_encryption = "auto"
