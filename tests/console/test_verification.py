"""A verification goes on in the background: its state and its result are noted, where every instance reads them."""

import os
import threading
from datetime import timedelta

import pytest

from refunds.domain.permissions import Role
from refunds.service import upkeep
from tests.console.conftest import opened

BUTTON, AGAIN = "Verify all of it", "Verify all of it again"


@pytest.fixture
def own(tmp_path):
    """An installation of its own, and the directory of its checkpoints."""
    site = opened(directory=tmp_path, engine="sqlite")
    site.register()
    yield site, site.store.checkpoints.file.parent
    site.store.close()


def ended():
    """Wait until no verification is under way."""
    for thread in [one for one in threading.enumerate() if one.name == "verification"]:
        thread.join()


def test_nothing_is_verified_before_somebody_begins_it(own):
    page = own[0].browser(Role.AUDITOR).get("/console/journal/verification")
    assert "Nothing has been verified from here yet." in page.text
    assert BUTTON in page.form(BUTTON).buttons


def test_others_see_who_has_verified_when_and_the_result(own, now):
    site, directory = own
    auditor = site.browser(Role.AUDITOR)
    auditor.press(auditor.get("/console/journal"), BUTTON)
    ended()
    now.shift(timedelta(hours=1))
    page = site.browser(Role.ADMIN).get("/console/journal/verification")
    assert page.facts["By whom"] == "auditor-1"
    assert (page.facts["Begun"], page.facts["Ended"]) == ("2026-04-08T08:20:00Z",) * 2
    with site.store.read(site.principal(Role.ADMIN)) as uow:
        assert page.facts["Hash of the last entry"] == uow.events.head().hash.hex()
    assert upkeep.last_done(directory, "verify") is not None, "as after the command"


def test_a_long_verification_keeps_nobody_waiting_and_is_begun_only_once(own):
    """The file of the checkpoints is a pipe that nobody writes to yet, so the verification does not come to its end."""
    site, directory = own
    file, kept = site.store.checkpoints.file, directory / "kept"
    file.rename(kept)
    os.mkfifo(file)
    auditor, supervisor = site.browser(Role.AUDITOR), site.browser(Role.SUPERVISOR)
    page = auditor.press(auditor.get("/console/journal"), BUTTON)
    assert "It is under way." in page.text
    assert not page.forms, "it is not begun again"
    workers = len([one for one in threading.enumerate() if one.name == "verification"])
    assert supervisor.get("/console/open").status == 200
    assert auditor.press(auditor.get("/console/journal"), BUTTON).path == "/console/journal/verification"
    assert len([one for one in threading.enumerate() if one.name == "verification"]) == workers
    file.write_bytes(kept.read_bytes())
    ended()
    file.unlink()
    kept.rename(file)
    page = auditor.follow(page, "Look again")
    assert "Nothing has been changed" in page.text
    auditor.press(page, AGAIN)


def test_one_that_is_silent_was_broken_off_and_can_be_begun_again(own, now):
    site, directory = own
    auditor, by = site.browser(Role.AUDITOR), site.principal(Role.AUDITOR).actor
    upkeep.write_note(directory, "verification", 0, state="running", by=by, began="2026-04-08T08:20:00Z")
    assert "It is under way." in auditor.get("/console/journal/verification").text, "of another instance"
    now.shift(timedelta(seconds=61))
    page = auditor.get("/console/journal/verification")
    assert "It was broken off" in page.text
    auditor.press(page, AGAIN)
    ended()
    assert "Nothing has been changed" in auditor.get("/console/journal/verification").text


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_note_that_cannot_be_read_is_none(own, content):
    site, directory = own
    (directory / "last-verification.json").write_bytes(content)
    assert "Nothing has been verified" in site.browser(Role.AUDITOR).get("/console/journal/verification").text
