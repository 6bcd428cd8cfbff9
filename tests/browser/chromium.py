"""A Chromium for the tests, on a machine where nobody has prepared one.

It is the one of `$CHROMIUM_PATH`, else one that is installed, else Debian's, brought where we may, else Playwright's own.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


@contextmanager
def browser() -> Iterator[Browser]:
    """A running browser that asks nobody for anything but the pages it is sent to."""
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found(), args=[*as_root, *quiet])
        try:
            yield launched
        finally:
            launched.close()


@cache
def found() -> str | None:
    """Where it is; None: where Playwright keeps its own."""
    path = os.environ.get("CHROMIUM_PATH") or _installed()
    apt = shutil.which("apt-get")
    if path is None and apt and os.geteuid() == 0:
        quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
        subprocess.run([apt, "update", "-qq"], check=False, **quiet)
        subprocess.run([apt, "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=False, **quiet)
        path = _installed()
    if path is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return path


def _installed() -> str | None:
    named = filter(None, map(shutil.which, NAMES))
    return next(chain(named, (place for place in PLACES if Path(place).exists())), None)
