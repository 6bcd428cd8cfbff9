"""What the tests need is installed once, by one process, or they say what to install by hand."""

import os
import stat

import pytest

from tests import needs
from tests.browser import chromium

APT = """#!/bin/sh
echo "$@" >> {here}/asked
if [ "$(grep -c . {here}/asked)" -le {busy} ]; then
  echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)"; exit 100
fi
[ "$1" = update ] || {brings}
"""


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A function that sets up a machine with only a fake package manager."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    monkeypatch.setenv("DEBIAN_FRONTEND", "as it was")
    monkeypatch.setattr(chromium, "NAMES", ("chromium-of-the-test",))
    monkeypatch.setattr(chromium, "PLACES", ())
    monkeypatch.setattr(chromium, "_playwrights_own", lambda: None)
    monkeypatch.setattr(needs, "_by_playwright", lambda: False)
    monkeypatch.setattr(needs, "NAP", 0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def with_apt(brings, busy=0):
        apt = tmp_path / "apt-get"
        apt.write_text(APT.format(here=tmp_path, busy=busy, brings=brings))
        apt.chmod(apt.stat().st_mode | stat.S_IXUSR)
        return tmp_path

    return with_apt


def test_a_browser_is_installed_as_soon_as_the_package_manager_is_free(bare, capsys):
    here = bare(
        '(echo "#!/bin/sh" > "$0.new"; chmod +x "$0.new"; mv "$0.new" "${0%apt-get}chromium-of-the-test")', busy=3
    )
    assert needs.main() is None
    assert chromium.found() == str(here / "chromium-of-the-test")
    assert [line.split()[0] for line in (here / "asked").read_text().splitlines()] == ["update"] * 4 + ["install"]
    assert "Bringing Chromium from Debian's packages" in capsys.readouterr().err


def test_another_browser_is_installed_if_the_preferred_one_is_not_available(bare):
    here = bare(
        '[ "$4" = chromium-headless-shell ] && exit 100; '
        '(echo "#!/bin/sh" > "$0.new"; chmod +x "$0.new"; mv "$0.new" "${0%apt-get}chromium-of-the-test")'
    )
    assert needs.main() is None
    assert [line.split()[-1] for line in (here / "asked").read_text().splitlines()] == ["update", *needs.PACKAGES]


def test_a_browser_that_cannot_be_installed_must_be_installed_by_hand(bare, capsys):
    bare("(echo 'E: Unable to locate package chromium'; exit 100)")
    assert needs.main() == f"{chromium.MISSING}."
    error_output = capsys.readouterr().err
    for package in needs.PACKAGES:
        assert f"{package} fails: E: Unable to locate package chromium" in error_output


def test_only_root_uses_the_package_manager(bare, capsys, monkeypatch):
    here = bare("true")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert needs.main() == f"{chromium.MISSING}."
    assert "only root may install Debian's" in capsys.readouterr().err
    assert not (here / "asked").exists()


def test_an_existing_browser_is_not_installed_again(bare, monkeypatch):
    here = bare("true")
    monkeypatch.setenv("CHROMIUM_PATH", "/opt/chromium")
    assert needs.main() is None
    assert not (here / "asked").exists()


def test_the_proofs_get_nginx_too(bare, monkeypatch):
    here = bare('(echo "#!/bin/sh" > "$0.new"; chmod +x "$0.new"; mv "$0.new" "${0%apt-get}nginx")')
    monkeypatch.setenv("CHROMIUM_PATH", "/opt/chromium")
    monkeypatch.setattr(needs, "SBIN", str(here))
    monkeypatch.setenv("PATH", str(here) + ":/bin")
    assert needs.main() is None
    assert not (here / "asked").exists()
    monkeypatch.setattr(needs, "PROOFS", True)
    assert needs.main() is None
    assert needs.nginx() == str(here / "nginx")


def test_proofs_without_nginx_must_have_it_installed_by_hand(bare, monkeypatch):
    here = bare("exit 100")
    monkeypatch.setenv("CHROMIUM_PATH", "/opt/chromium")
    monkeypatch.setattr(needs, "SBIN", str(here))
    monkeypatch.setattr(needs, "PROOFS", True)
    assert needs.main() == "The proofs need nginx: install it (Debian: apt install nginx-light)."
