"""The file of the checkpoints: the last one is found at its end, however long it is."""

from datetime import UTC, datetime, timedelta

import pytest

from refunds.storage.checkpoints import Checkpoint, Checkpoints

AT = datetime(2026, 4, 2, tzinfo=UTC)


def checkpoints_in(directory, many):
    """A file with so many checkpoints, and these."""
    file = Checkpoints(directory)
    written = [Checkpoint(number, bytes(32), AT + timedelta(minutes=number), "jrn_1") for number in range(many)]
    file.append(*written)
    return file, written


@pytest.mark.parametrize("many", [1, 2, 3000])
@pytest.mark.parametrize("torn", [b"", b'{"position": 5, "ha', b"\n\n"])
def test_the_last_checkpoint_is_found_behind_whatever_was_torn(tmp_path, many, torn):
    file, written = checkpoints_in(tmp_path, many)
    with file.file.open("ab") as raw:
        raw.write(torn)
    assert file.last() == written[-1]
    assert list(file) == written


def test_the_only_checkpoint_may_be_far_from_the_end(tmp_path):
    file, written = checkpoints_in(tmp_path, 1)
    with file.file.open("ab") as raw:
        raw.write(b"x" * 200_000)
    assert file.last() == written[-1]


def test_there_may_be_none(tmp_path):
    assert Checkpoints(tmp_path).last() is None
    (tmp_path / "anchors.jsonl").write_bytes(b"")
    assert Checkpoints(tmp_path).last() is None


def test_its_end_is_enough(tmp_path):
    """What is before it may even be none."""
    file, written = checkpoints_in(tmp_path, 3000)
    file.file.write_bytes(b"no checkpoint}\n" + file.file.read_bytes())
    assert file.last() == written[-1]
