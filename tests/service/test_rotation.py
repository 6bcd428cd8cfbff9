"""Rotation of the master key: everything is wrapped by the first key, nothing is lost, and the old key opens nothing."""

import re
from contextlib import closing
from dataclasses import replace
from shutil import copy2
from subprocess import run

import pytest

from refunds.cli import Commands
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import Intent
from refunds.errors import ConfigurationError
from refunds.security.encryption import associated_data, encrypt, new_key
from refunds.service import backups, rotation, unmatched
from refunds.service.contacts import NewContact
from refunds.service.doctor import Patient, examine
from refunds.service.examination import Level
from refunds.service.store import Store
from refunds.storage import keys
from refunds.storage.postgres_transaction import PostgresTransaction
from refunds.web import create_app
from tests.conftest import ROOT, settings
from tests.service.test_privacy import erase, recorded, registered, sound

CUSTOMERS = 12


@pytest.fixture(autouse=True)
def _on_each(engine):
    """Every test runs on each engine."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Batches that are smaller than the tables, and no waiting for readers."""
    monkeypatch.setattr(rotation, "BATCH", 5)
    monkeypatch.setattr(rotation, "PATIENCE", 0)


@pytest.fixture
def of(tmp_path, engine):
    """The settings of an installation with customers, of whom one is erased, and a contact without an order."""
    of = settings(tmp_path, engine=engine)
    with closing(Store(of)) as store:
        for number in range(CUSTOMERS):
            name = registered(store, f"A-{number}", f"K-{number}")
        recorded(store, "A-1")
        erase(store, name)
        with store.write(COMMAND_LINE) as uow:
            asked = NewContact(channel="phone", from_detail="+4989123456", intent=Intent.QUESTION, note="zqnote")
            unmatched.record(uow, "B-1", asked)
    return of


def keep(of, *kept):
    """Write the keys into the file."""
    of.master_key_file.write_text("".join(f"{one}\n" for one in kept))


@pytest.fixture
def old(of):
    """The key of the installation, before which there is a new one now."""
    old = of.master_key_file.read_text().strip()
    keep(of, "ab" * 32, old)
    return old


NEW = "ab" * 32


def wraps(of):
    """Every wrapped key."""
    with closing(Store(of)) as store, store.read(COMMAND_LINE) as uow:
        found = (uow.tx.all(f"SELECT {one.column} AS wrapped FROM {one.table}") for one in keys.WRAPPED)  # noqa: S608
        return [bytes(row["wrapped"]) for rows in found for row in rows if row["wrapped"]]


def rotated(of):
    """What a rotation has done."""
    with closing(Store(of)) as store:
        return rotation.rotate(store)


def commanded(of):
    """The output and the exit code of `flask keys rotate`."""
    app = create_app(of)
    app.cli = Commands(app.name)
    done = app.test_cli_runner().invoke(args=["keys", "rotate"])
    return done.stdout + done.stderr, done.exit_code


def examined(of):
    """What the doctor says of the key that is not well."""
    with closing(Patient(of, Store(of))) as patient:
        return [str(one.text) for name, one in examine(patient) if name == "key" and one.level is not Level.OK]


def read_with(of, *kept):
    """Assert that these keys alone open everything."""
    keep(of, *kept)
    with closing(Store(of)) as store:
        with store.read(COMMAND_LINE) as uow:
            assert [uow.customers.find(f"K-{n}") is not None for n in range(CUSTOMERS)] == [True] * 11 + [False]
            assert uow.orders.get("A-1").customer_ref == "K-1"
            assert [one.note for one in uow.unmatched.paginate(limit=9)] == ["zqnote"]
        sound(store)


def test_everything_is_wrapped_by_the_first_key_and_the_old_one_can_be_destroyed(of, old, engine, tmp_path):
    before = wraps(of)
    if engine == "sqlite":
        assert all(one in (tmp_path / "refunds.db").read_bytes() for one in before)
    text, code = commanded(of)
    assert code == 0, text
    assert "Wrapped anew by the first key: customers 11, unmatched_contacts 1, keys 6." in text
    assert "The older keys are needed no more" in text
    files = b"".join(file.read_bytes() for file in tmp_path.glob("refunds.db*"))
    assert len(before) == len(wraps(of)) == 18
    assert not [one for one in before if one in files]
    assert set(before).isdisjoint(wraps(of))
    with closing(Store(of)) as store, store.read(COMMAND_LINE) as uow:
        data = uow.events.last_of("audit.keys_rotated").data
    assert data == '{"customers":11,"unmatched_contacts":1,"keys":6}'
    assert examined(of) == ["only the first of its 2 keys is needed"]
    read_with(of, NEW)
    assert examined(of) == []
    keep(of, old)
    with pytest.raises(ConfigurationError, match="customers 11 of 11, unmatched_contacts 1 of 1, keys 6 of 6"):
        Store(of).open()


def test_again_nothing_is_wrapped_anew(of, old):
    rotated(of)
    before = wraps(of)
    assert rotated(of) == ({"customers": 0, "unmatched_contacts": 0, "keys": 0}, 0, {}, True)
    assert wraps(of) == before


def test_with_one_key_it_says_how_to_begin(of):
    before = wraps(of)
    text, code = commanded(of)
    assert (code, wraps(of)) == (0, before)
    assert text.startswith("The file has one key. Add a new one in a line after it")


GUIDE = re.findall(
    r"^   ```sh\n(.*?)^   ```",
    (ROOT / "docs/operating.md").read_text().partition("## Changing the master key")[2].partition("## Settings")[0],
    re.MULTILINE | re.DOTALL,
)
"""The commands of the guide that change the file: add the new key, put it first, delete the old one."""


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_two_instances_that_restart_at_different_times_open_what_the_other_wraps_at_every_step(of, tmp_path):
    """Of a server only: a SQLite file serves one machine."""
    machines = [replace(of, master_key_file=tmp_path / name / "master.key") for name in "AB"]
    first, second = files = [machine.master_key_file for machine in machines]
    for file in files:
        file.parent.mkdir()
        copy2(of.master_key_file, file)
    stores, names = [Store(machine) for machine in machines], []

    def work():
        """Let each instance write about a new customer, and each read about all."""
        for store in stores:
            names.append(f"N-{len(names)}")
            registered(store, names[-1], f"customer of {names[-1]}")
        for store in stores:
            with store.read(COMMAND_LINE) as uow:
                assert [uow.orders.get(name).customer_ref for name in names] == [f"customer of {n}" for n in names]

    def change(commands):
        """Change the file on one machine, copy it to the other, and restart the instances one after the other."""
        run(["/bin/sh", "-ec", commands], cwd=first.parent, check=True)
        copy2(first, second)
        for number, machine in enumerate(machines):
            work()
            stores[number].close()
            stores[number] = Store(machine)
            work()

    adding, swapping, deleting = GUIDE
    change(adding)
    assert examined(machines[1]) == ["only the first of its 2 keys is needed"]
    change(swapping)
    assert [text for text in examined(machines[1]) if text.endswith("wrapped keys need a key after the first one")]
    assert rotation.rotate(stores[0]).older == 0
    assert examined(machines[1]) == ["only the first of its 2 keys is needed"]
    change(deleting)
    assert examined(machines[1]) == []
    assert len(first.read_text().splitlines()) == 1
    assert first.read_text().strip() not in of.master_key_file.read_text()
    for store in stores:
        sound(store)
        store.close()


def test_before_the_new_key_is_first_nobody_is_told_to_destroy_it_and_no_rotation_is_recorded(of, old):
    keep(of, old, NEW)
    before = wraps(of)
    text, code = commanded(of)
    assert (code, wraps(of)) == (0, before)
    assert "Only the first key is needed. If another one is new, put it first once every instance" in text
    with closing(Store(of)) as store, store.read(COMMAND_LINE) as uow:
        assert uow.events.last_of("audit.keys_rotated") is None
    with closing(Patient(of, Store(of))) as patient:
        fixes = [str(one.fix) for name, one in examine(patient) if name == "key" and one.fix]
    assert len(fixes) == 1
    assert fixes[0].startswith("if another one is new: put it first, once every instance was restarted with this file;")


def test_three_keys_become_one(of, old):
    rotated(of)
    keep(of, "cd" * 32, NEW, old)
    with closing(Store(of)) as store:
        registered(store, "C-1", "K-new")
    assert rotated(of).rewrapped == {"customers": 11, "unmatched_contacts": 1, "keys": 6}
    read_with(of, "cd" * 32)


def interrupted(of, calls):
    """Begin a rotation that ends with an error after some batches."""
    with closing(Store(of)) as store, pytest.MonkeyPatch.context() as patch:
        left = [calls]

        def failing(*given, rewrap=keys.rewrap):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return rewrap(*given)

        patch.setattr(keys, "rewrap", failing)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(store)


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_the_loss_of_the_old_key_before_the_end_is_noticed_and_it_is_said_what_is_lost(of, old, calls):
    interrupted(of, calls)
    assert [text for text in examined(of) if text.endswith("wrapped keys need a key after the first one")]
    keep(of, NEW)
    left, no_order = {1: (6, 1), 2: (1, 1), 3: (0, 1), 4: (0, 0)}[calls]
    lost = f"lost: customers {left} of 11, unmatched_contacts {no_order} of 1, keys 6 of 6"
    with pytest.raises(ConfigurationError, match=lost):
        Store(of).open()
    assert lost in "".join(examined(of))
    text, code = commanded(of)
    assert (code, lost in text) == (4, True)
    keep(of, NEW, old)
    assert rotated(of).rewrapped["keys"] == 6
    read_with(of, NEW)


def test_an_instance_that_still_wraps_by_the_old_key_is_noticed(of, old):
    with closing(Store(of)) as late:
        keep(of, old, NEW)
        late.open()
        keep(of, NEW, old)
        rotated(of)
        registered(late, "C-1", "K-late")
    assert examined(of) == ["1 wrapped keys need a key after the first one"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "rewrap", lambda *_: (0, 0, None))
        text, code = commanded(of)
    assert (code, "1 need an older key still" in text) == (1, True)
    keep(of, NEW)
    assert examined(of) == ["no key in it opens these wrapped keys: customers 1"]
    keep(of, NEW, old)
    assert rotated(of).rewrapped == {"customers": 1, "unmatched_contacts": 0, "keys": 0}
    assert examined(of) == ["only the first of its 2 keys is needed"]


def test_what_no_key_opens_is_counted_and_stays(of, old):
    with closing(Store(of)) as store, store.write(COMMAND_LINE) as uow:
        name = uow.customers.find("K-3")
        foreign = encrypt(new_key(), new_key(), associated_data("customers", "wrapped_key", name))
        uow.tx.run("UPDATE customers SET wrapped_key = :w WHERE customer_id = :name", w=foreign, name=name)
    text, code = commanded(of)
    assert code == 1
    assert "No key in the file opens these: customers 1." in text
    assert foreign in wraps(of)


def test_an_erasure_in_the_middle_is_not_undone(of, old, engine, monkeypatch):
    """On a file, no other write is in the middle of one; on a server, one is, between the reading and the writing."""
    with closing(Store(of)) as store, closing(Store(of)) as other:
        with store.read(COMMAND_LINE) as uow:
            name = uow.customers.find("K-4")
        if engine == "sqlite":
            interrupted(of, 1)
            erase(other, name)
        else:
            every, erased = PostgresTransaction.all, []

            def erasing(tx, sql, **parameters):
                rows = every(tx, sql, **parameters)
                if not erased and any(row.get("name") == name for row in rows):
                    erased.append(name)
                    erase(other, name)
                return rows

            monkeypatch.setattr(PostgresTransaction, "all", erasing)
        rotation.rotate(store)
        with store.read(COMMAND_LINE) as uow:
            assert uow.erasures.find(name)
            assert uow.orders.get("A-4").customer_ref == "[erased]"
        sound(store)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_reader_in_the_way_is_told_and_the_next_run_makes_up_for_it(of, old, tmp_path):
    """Of a file only: a server's are its own."""
    before = wraps(of)
    with closing(Store(of)) as other, other.read(COMMAND_LINE) as uow:
        uow.events.head()
        text, code = commanded(of)
    assert (code, "it is being read: run this again" in text) == (1, True)
    assert commanded(of)[1] == 0
    files = b"".join(file.read_bytes() for file in tmp_path.glob("refunds.db*"))
    assert not [one for one in before if one in files]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_backup_of_before_is_restored_with_both_keys_alone_and_rotated_again(of, old, tmp_path):
    """Of a file only: a server has backups of its own."""
    backup = tmp_path.with_name(f"{tmp_path.name}-backup.db")
    with closing(Store(of)) as store:
        backups.back_up(store, backup)
    rotated(of)
    keep(of, NEW)
    with pytest.raises(ConfigurationError, match="lost: customers 11 of 11, unmatched_contacts 1 of 1, keys 6 of 6"):
        backups.restore(of, backup, "")
    keep(of, NEW, old)
    backups.restore(of, backup, "")
    assert rotated(of).rewrapped == {"customers": 11, "unmatched_contacts": 1, "keys": 6}
    read_with(of, NEW)
