"""Installs what the tests need besides the development requirements, once, before they run.

`python -m tests.needs` ends with 0 when everything is installed; else it prints what to install by hand. Only one
process of a user installs at a time, and it waits while others use the package manager.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests import PROOFS, postgres
from tests.browser import chromium

PATIENCE = 600
"""Seconds for which the package manager may be in use by others."""

NAP = 1
"""Seconds between two attempts."""

PACKAGES = ("chromium-headless-shell", "chromium")
"""Debian's packages of Chromium, in order of preference: without windows the tests take two thirds of the time."""

SBIN = "/usr/sbin:/usr/local/sbin"

IN_USE = ("Could not get lock", "Unable to lock", "Unable to acquire", "is held by process")
"""What apt-get prints while it is in use."""


def main() -> str | None:
    """Install what is missing; return what is still missing and what to do about it."""
    with Path(tempfile.gettempdir(), f"refunds-needs-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            postgres.newest_binaries()
        except RuntimeError as missing:
            return str(missing)
        by_apt = chromium.found() is not None or _by_apt("Chromium", PACKAGES, chromium.found)
        if not (by_apt or _by_playwright()):
            return f"{chromium.MISSING}."
        if PROOFS and nginx() is None and not _by_apt("nginx", ("nginx-light",), nginx):
            return "The proofs need nginx: install it (Debian: apt install nginx-light)."
    return None


def nginx() -> str | None:
    """The installed nginx; None if there is none. Debian keeps it where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path=SBIN)


def _by_apt(name: str, packages: Sequence[str], found: Callable[[], str | None]) -> bool:
    """Install the first of some packages that is there, with Debian's package manager; whether what is looked for is."""
    apt = shutil.which("apt-get")
    if apt is None:
        return False
    if os.geteuid() != 0:
        _say(f"{name} is missing, and only root may install Debian's.")
        return False
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    _say(f"Bringing {name} from Debian's packages; that takes a minute or two.")
    for command in (["update"], *(["install", "--yes", "--no-install-recommends", each] for each in packages)):
        last = _run([apt, *command])
        if last is not None:
            _say(f"apt-get {' '.join(command)} fails: {last}")
        if found() is not None:
            return True
    return False


def _run(command: list[str]) -> str | None:
    """Run the package manager when it is free; return its last line if it fails."""
    end = time.monotonic() + PATIENCE
    while True:
        ended = postgres.run(*command)
        if ended.returncode == 0:
            return None
        if not any(sign in ended.stdout for sign in IN_USE) or time.monotonic() > end:
            return (ended.stdout.strip().splitlines() or ["without a word"])[-1]
        time.sleep(NAP)


def _by_playwright() -> bool:
    """Install Chromium with Playwright, and return whether it is there."""
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, capture_output=True)
    return chromium.found() is not None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
