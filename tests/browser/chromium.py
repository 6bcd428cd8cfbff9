"""The Chromium of the tests: that of `$CHROMIUM_PATH`, else one that is installed, else Playwright's own.

`tests.needs` installs one if there is none.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
MISSING = "The tests need a Chromium: install it (Debian: apt install chromium), or set CHROMIUM_PATH to one"


@contextmanager
def browser() -> Iterator[Browser]:
    """A running browser that requests only the pages it visits."""
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    path = found()
    if path is None:
        raise RuntimeError(MISSING)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=[*as_root, *quiet])
        try:
            yield launched
        finally:
            launched.close()


def found() -> str | None:
    """The path of a Chromium, or None."""
    named = filter(None, map(shutil.which, NAMES))
    there = (place for place in PLACES if Path(place).exists())
    return os.environ.get("CHROMIUM_PATH") or next(chain(named, there), None) or _playwrights_own()


def _playwrights_own() -> str | None:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None
