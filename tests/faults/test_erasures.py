"""Erased customers: no byte of them is left, whatever is restored, killed or done twice at the same moment."""

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason, LimitKind
from refunds.errors import ConfigurationError
from refunds.security.encryption import CustomerErased, Erased
from refunds.service import acceptance, backups, privacy
from refunds.service.store import Opening, Store
from refunds.storage import erasures
from refunds.storage.audit import Broken
from refunds.storage.postgres_transaction import PostgresTransaction
from refunds.storage.sqlite import SQLite
from refunds.storage.sqlite_connection import Connection
from refunds.storage.tables import NAMES
from refunds.web import create_app
from tests import scaled
from tests.conftest import client_of, mostly_on, settings
from tests.faults.harness import PATIENCE, erase_and_die, until
from tests.faults.processes import PROCESSES
from tests.postgres import newest_binaries, run, shared
from tests.service.test_privacy import PROVIDED, erase, recorded, registered, sound
from tests.storage.test_secrecy_at_rest import found

pytestmark = pytest.mark.proof


TEXTS = {
    name: f"zq{name}zqcanary" for name in ("customer_ref", "note", "ticket_ref", "override", "billing_ref", "hold")
}
DETAIL = "+4917612345678"


class Place:
    """An installation with a customer who has all personal fields, and another customer."""

    def __init__(self, directory, engine):
        self.directory, self.engine = directory, engine
        self.settings = settings(directory, engine=engine)
        self.app = create_app(self.settings)
        self.store = self.app.extensions["refunds.store"]
        self.client = client_of(self.app)
        for ref, order_id in ((TEXTS["customer_ref"], "A-1"), ("K-other", "B-1")):
            self.customer_id = self.cancelled(ref, order_id)
        with self.store.read(COMMAND_LINE) as uow:
            self.customer_id, self.other = (uow.customers.find(ref) for ref in (TEXTS["customer_ref"], "K-other"))
        for name in (self.customer_id, self.other):
            with self.store.write(COMMAND_LINE) as uow:
                privacy.limit(uow, name, LimitKind.HOLD, TEXTS["hold"])
                privacy.lift(uow, name, LimitKind.HOLD)

    def cancelled(self, ref, order_id):
        """Cancel and settle an order of a customer, with everything personal that there can be."""
        order = {"order_id": order_id, "customer_ref": ref, "service_provided_at": "2026-01-02T10:00:00Z"}
        contact = {"channel": "phone", "from_detail": DETAIL, "note": TEXTS["note"], "ticket_ref": TEXTS["ticket_ref"]}
        override = {"kind": "goodwill", "reason": TEXTS["override"]}
        body, key = {"order": order, "contact": contact, "override": override}, {"Idempotency-Key": f"key-{order_id}"}
        answer = self.client.post("/v1/cancellations", json=body, headers=key)
        assert answer.status_code == 201, answer.text
        path = f"/v1/cancellations/{answer.json['cancellation_id']}/settlement"
        assert self.client.put(path, json={"billing_ref": TEXTS["billing_ref"]}).status_code == 200

    def sealed(self, customer_id):
        """What is stored of a customer in encrypted form, and the digest that they are found by, by place."""
        held = {}
        with self.store.read(COMMAND_LINE) as uow:
            tables = [
                *((table.name, [table.key, *table.personal], owned) for table, owned in erasures._owned()),
                ("customers", ["customer_id", "wrapped_key", "digest"], "customer_id = :customer_id"),
                ("idempotency", ["order_id", "reply"], erasures._OF_ORDERS),
            ]
            for name, columns, owned in tables:
                sql = f"SELECT {', '.join(columns)} FROM {name} WHERE {owned}"  # noqa: S608
                for row in uow.tx.all(sql, customer_id=customer_id):
                    held |= {f"{name}.{one} {row[columns[0]]}": row[one] for one in columns[1:] if row[one] is not None}
        return held

    def files(self):
        """The bytes of everything that is stored; of a server also what its statistics and its files have."""
        written = {
            file.name: file.read_bytes()
            for file in self.directory.rglob("*")
            if file.is_file() and file.name != "master.key"
        }
        if self.engine == "postgresql":
            with psycopg.connect(self.settings.database, autocommit=True) as connection:
                connection.execute("ANALYZE")
                for name in [*NAMES, "pg_statistic"]:
                    with connection.cursor().copy(f"COPY {name} TO STDOUT") as rows:
                        written[name] = b"".join(rows)
                connection.execute("VACUUM FULL")
                connection.execute("CHECKPOINT")
                (data,) = connection.execute("SELECT current_setting('data_directory')").fetchone()
                (oid,) = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
            heap = Path(data, "base", str(oid))
            written |= {f"heap {file.name}": file.read_bytes() for file in heap.glob("*")} if heap.exists() else {}
        return written

    def on_server(self):
        """What a PostgreSQL writes besides: its log, its dump if it can make one, and what its statistics show."""
        with psycopg.connect(self.settings.database) as connection:
            (data,) = connection.execute("SELECT current_setting('data_directory')").fetchone()
            shown = connection.execute("SELECT tablename, attname, pg_stats::text FROM pg_stats").fetchall()
        dump, log = newest_binaries() / "pg_dump", Path(data).parent / "log"
        written = {"pg_stats": repr(shown).encode()}
        if log.exists():
            written["log of the server"] = log.read_bytes()
        if dump.exists():
            written["pg_dump"] = run(dump, self.settings.database).stdout.encode()
        return written

    def left_of(self, sealed):
        """The places of which something is in the files, also a text in clear."""
        files = self.files()
        clear = {name for name, text in TEXTS.items() if found(files, text)}
        clear |= {"from_detail"} if found(files, DETAIL[1:]) else set()
        return {place for place, value in sealed.items() if found(files, bytes(value))} | clear


@pytest.fixture
def place(tmp_path, engine):
    """An installation."""
    made = Place(tmp_path / "place", engine)
    yield made
    made.store.close()


def test_nothing_of_an_erased_customer_is_left(capsysbinary, place):
    sealed, other = place.sealed(place.customer_id), place.sealed(place.other)
    assert {name.split()[0] for name in sealed} >= {
        "customers.wrapped_key",
        "customers.digest",
        "orders.customer_ref",
        "contacts.from_detail",
        "contacts.note",
        "contacts.ticket_ref",
        "cancellations.override_reason",
        "cancellations.billing_ref",
        "limits.reason",
        "idempotency.reply",
    }
    assert place.left_of(sealed | other) == sealed.keys() | other.keys()
    erase(place.store, place.customer_id)
    assert place.store.has_scrubbed_all
    assert place.left_of(sealed) == set()
    assert place.left_of(other) == other.keys()
    answers = b"".join(place.client.get(f"/v1/{path}").data for path in ("orders/A-1", "contacts?order_id=A-1"))
    log = b"".join(capsysbinary.readouterr())
    assert b"[erased]" in answers
    assert b'"event":"request"' in log
    for text in (*TEXTS.values(), DETAIL[1:]):
        assert not found({"answers": answers, "log": log}, text)
    sound(place.store)


STEPS = {
    "the key": ("UPDATE customers", "wrapped_key = :empty, ", "customers.wrapped_key"),
    "the digest": ("UPDATE customers", ", digest = :digest", "customers.digest"),
    "stored replies": ("DELETE FROM idempotency WHERE (client_id, key_hash) IN", None, "idempotency.reply"),
    "orders": ("UPDATE orders", None, "orders.customer_ref"),
    "contacts": ("UPDATE contacts", None, "contacts.note"),
    "cancellations": ("UPDATE cancellations", None, "cancellations.billing_ref"),
    "limits": ("UPDATE limits", None, "limits.reason"),
}


@mostly_on("sqlite")
@pytest.mark.parametrize("step", STEPS)
def test_the_scan_finds_what_an_erasure_without_one_of_its_steps_leaves(place, monkeypatch, step):
    beginning, removed, left = STEPS[step]
    sealed = place.sealed(place.customer_id)
    for kind in (Connection, PostgresTransaction):

        def without(tx, sql, run=kind.run, **parameters):
            if sql.startswith(beginning):
                if removed is None:
                    return 0
                assert removed in sql
                sql = sql.replace(removed, "")
            return run(tx, sql, **parameters)

        monkeypatch.setattr(kind, "run", without)
    erase(place.store, place.customer_id)
    assert left in {name.split()[0] for name in place.left_of(sealed)}


def test_a_reader_holds_up_the_end_of_an_erasure_which_the_next_write_makes_up_for(tmp_path):
    place = Place(tmp_path / "place", "sqlite")
    sealed = place.sealed(place.customer_id)
    with closing(Store(place.settings)) as another, another.read(COMMAND_LINE) as uow:
        uow.events.head()
        erase(place.store, place.customer_id)
        assert not place.store.has_scrubbed_all
        assert place.left_of(sealed) == sealed.keys()
    registered(place.store, "C-1", "K-new")
    assert place.store.has_scrubbed_all
    assert place.left_of(sealed) == set()
    place.store.close()


def test_the_next_start_makes_up_for_it_too_and_a_service_for_a_command(tmp_path, monkeypatch):
    place = Place(tmp_path / "place", "sqlite")
    sealed = place.sealed(place.customer_id)
    with monkeypatch.context() as patch:
        patch.setattr(SQLite, "scrub", lambda _: False)
        erase(place.store, place.customer_id)
    with closing(Store(place.settings)) as another:
        another.open()
        assert another.has_scrubbed_all
        assert place.left_of(sealed) == set()
        erase(another, place.other)
    assert not place.store.has_scrubbed_all
    registered(place.store, "C-1", "K-new")
    assert place.store.has_scrubbed_all
    place.store.close()


def older(place):
    """An older state of an installation, before an erasure: a backup, or a copy of the database."""
    if place.engine == "sqlite":
        file = place.directory.with_name("backup.db")
        backups.back_up(place.store, file)
        return file
    place.store.close()
    return shared().create(of=place.settings.database)


def put_back(place, old):
    """Put an older state in the place of the database, without any command of the service."""
    place.store.close()
    if place.engine == "sqlite":
        for file in place.directory.glob("refunds.db*"):
            file.unlink()
        shutil.copy(old, place.directory / "refunds.db")
    else:
        place.settings = settings(place.directory, database=old)
    place.store = Store(place.settings)


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("ledger", ["there", "lost"])
def test_an_older_state_is_erased_again_before_it_is_served(place, checkpointed, ledger):
    sealed, old = place.sealed(place.customer_id), older(place)
    erase(place.store, place.customer_id)
    if checkpointed:
        place.store.checkpoint()
    assert place.left_of(sealed) == set()
    put_back(place, old)
    if ledger == "lost":
        place.store.erasures.file.unlink()
    if checkpointed:
        with pytest.raises(ConfigurationError, match="is not the one of the checkpoints"):
            place.store.open()
        place.store.open(Opening.ACCEPT)
        if ledger == "lost":
            with pytest.raises(ConfigurationError, match="--ledger-lost REASON"):
                acceptance.accept(place.store, "restored")
        acceptance.accept(place.store, "restored", ledger_lost="a broken disk" if ledger == "lost" else None)
    else:
        place.store.open()
    assert place.left_of(sealed) == (sealed.keys() if ledger == "lost" else set())
    sound(place.store)


@pytest.mark.parametrize("database", ["there", "lost"])
@pytest.mark.parametrize("ledger", ["there", "lost"])
def test_a_restored_backup_is_erased_again(tmp_path, ledger, database):
    place = Place(tmp_path / "place", "sqlite")
    sealed, backup = place.sealed(place.customer_id), older(place)
    erase(place.store, place.customer_id)
    place.store.close()
    if ledger == "lost":
        place.store.erasures.file.unlink()
    if database == "lost":
        (place.directory / "refunds.db").unlink()
    if (ledger, database) == ("lost", "lost"):
        before = place.files()
        with pytest.raises(ConfigurationError, match="--ledger-lost REASON"):
            backups.restore(place.settings, backup, "")
        assert place.files() == before
        backups.restore(place.settings, backup, "", "a broken disk")
    else:
        backups.restore(place.settings, backup, "")
        assert {one.customer_id for one in place.store.erasures} == {place.customer_id}
    with closing(Store(place.settings)) as place.store:
        assert bool(place.left_of(sealed)) is ((ledger, database) == ("lost", "lost"))
        sound(place.store)
        with place.store.read(COMMAND_LINE) as uow:
            accepted = uow.events.last_of("audit.accepted")
        assert ("a broken disk" in accepted.data) is ((ledger, database) == ("lost", "lost"))


def test_a_restore_that_was_ended_before_the_ledger_was_whole_is_repeated(tmp_path, monkeypatch):
    """Only the replaced database said who was erased, and nobody asks that one any more."""
    place = Place(tmp_path / "place", "sqlite")
    sealed, backup = place.sealed(place.customer_id), older(place)
    erase(place.store, place.customer_id)
    place.store.close()
    place.store.erasures.file.unlink()
    put = backups._put_in_place

    def put_and_end(*given):
        put(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(backups, "_put_in_place", put_and_end)
        with pytest.raises(KeyboardInterrupt):
            backups.restore(place.settings, backup, "")
    backups.restore(place.settings, backup, "")
    assert {one.customer_id for one in place.store.erasures} == {place.customer_id}
    with closing(Store(place.settings)) as place.store:
        assert not place.left_of(sealed)
        sound(place.store)


def test_a_backup_has_the_ledger_beside_it(tmp_path):
    place = Place(tmp_path / "place", "sqlite")
    erase(place.store, place.customer_id)
    backup = older(place)
    assert list(backups.beside(backup)[1]) == list(place.store.erasures)
    sealed = place.sealed(place.other)
    erase(place.store, place.other)
    later = place.directory.with_name("later.db")
    backups.back_up(place.store, later)
    assert not [one for one in sealed.values() if found({"later": later.read_bytes()}, bytes(one))]
    place.store.close()


def dead(target, *given):
    """Whether a process that runs this was killed; else it has ended."""
    process = PROCESSES.Process(target=target, args=given)
    process.start()
    process.join(PATIENCE)
    code = process.exitcode
    process.close()
    assert code in {0, -signal.SIGKILL}
    return code != 0


def test_an_erasure_that_is_killed_between_two_steps_is_done_once_or_not_at_all(tmp_path, engine, record_property):
    configured, steps, erased = settings(tmp_path, engine=engine), 1, []
    with closing(Store(configured)) as store:
        names = [registered(store, f"A-{n}", f"K-{n}") for n in range(60)]
        for n in range(60):
            recorded(store, f"A-{n}", received_at=PROVIDED)
    for name in names:
        ended = not dead(erase_and_die, configured, name, steps)
        with closing(Store(configured)) as store:
            store.open()
            assert store.has_scrubbed_all
            noted = [one.customer_id for one in store.erasures]
            with store.read(COMMAND_LINE) as uow:
                in_journal = [one.subject for one in uow.events.after(0, 999, ["customer.erased"], audit=True)]
                assert (uow.erasures.find(name) is not None) is (name in noted)
            assert sorted(in_journal) == sorted(noted)
            assert len(set(noted)) == len(noted)
            erased.append(name in noted)
            sound(store)
        if ended:
            break
        steps += scaled(3, 1)
    assert ended
    assert erased[0] is False
    assert erased == sorted(erased)
    record_property("measured", f"{engine}: an erasure killed at each of {steps} steps")


def test_an_instance_that_starts_in_the_middle_of_an_erasure_does_not_repeat_it(tmp_path, engine):
    configured = settings(tmp_path, engine=engine)
    with closing(Store(configured)) as store, closing(Store(configured)) as another, ThreadPoolExecutor(1) as pool:
        name = registered(store, "A-1")
        with store.write(COMMAND_LINE) as uow:
            privacy.erase(uow, name, ErasureReason.REQUEST)
            assert [one.customer_id for one in store.erasures] == [name]
            opening = pool.submit(another.open)
            if engine == "postgresql":
                until(lambda: waiting(configured))
        opening.result(PATIENCE)
        with another.read(COMMAND_LINE) as uow:
            assert len(uow.events.after(0, 99, ["customer.erased"], audit=True)) == 1
        sound(another)


def waiting(configured):
    """Whether a session waits for a lock."""
    with psycopg.connect(configured.database) as connection:
        sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return connection.execute(sql).fetchone() is not None


def test_two_instances_erase_the_same_customers_once(tmp_path, engine):
    configured = settings(tmp_path, engine=engine)
    with closing(Store(configured)) as one, closing(Store(configured)) as another:
        names = [registered(one, f"A-{n}", f"K-{n}") for n in range(scaled(8, 100))]
        another.open()

        def erased(store):
            return [erase(store, name, ErasureReason.CHILD) for name in names]

        with ThreadPoolExecutor(2) as pool:
            first, second = (pool.submit(erased, store) for store in (one, another))
            assert first.result() == second.result()
        assert [line.customer_id for line in one.erasures] == names
        with one.read(COMMAND_LINE) as uow:
            assert [e.subject for e in uow.events.after(0, 999, ["customer.erased"], audit=True)] == names
        sound(one)


def test_after_many_erasures_everything_is_sound_and_whole(tmp_path, engine, record_property):
    configured, many = settings(tmp_path, engine=engine), scaled(60, 5000)
    with closing(Store(configured)) as store:
        names = [registered(store, f"A-{n:04}", f"K-{n}") for n in range(many)]
        for n in range(many):
            recorded(store, f"A-{n:04}", received_at=PROVIDED)
        gone = names[::10]
        for name in gone:
            erase(store, name, ErasureReason.CHILD)
        events = sound(store)
        with store.read(COMMAND_LINE) as uow:
            assert [event.position for event in uow.events.after(0, events, None, audit=True)] == [
                *range(1, events + 1)
            ]
            listed = uow.contacts.paginate(limit=many)
            erased = [one.order_id for one in listed if isinstance(one.note, Erased)]
            assert (len(listed), len(uow.orders.paginate(limit=many))) == (many, many)
            assert erased == [f"A-{n:04}" for n in range(0, many, 10)]
            assert [uow.customers.find(f"K-{n}") for n in range(many)] == [
                None if name in gone else name for name in names
            ]
            blanked = listed[many // 2 + 1].contact_id
        with store.write(COMMAND_LINE) as uow:
            uow.tx.run("UPDATE contacts SET note = :empty WHERE contact_id = :id", empty=b"", id=blanked)
        with pytest.raises(Broken, match="emptied"):
            sound(store)
    record_property("measured", f"{engine}: {len(gone)} erasures among {many} customers")


def test_an_erasure_among_calls_about_the_same_orders_leaves_nothing_unreadable(tmp_path, engine):
    """Each call is recorded and erased, or refused; none is encrypted with a key that is gone."""
    configured = settings(tmp_path, engine=engine)
    with closing(Store(configured)) as one, closing(Store(configured)) as another, ThreadPoolExecutor(3) as pool:
        for n in range(scaled(6, 100)):
            name = registered(one, f"A-{n}", f"K-{n}")

            def call(store, n=n):
                for _ in range(4):
                    with suppress(CustomerErased):
                        recorded(store, f"A-{n}", received_at=PROVIDED)

            calls = [pool.submit(call, store) for store in (one, another)]
            pool.submit(erase, another, name, ErasureReason.CHILD).result(PATIENCE)
            for each in calls:
                each.result(PATIENCE)
            with one.read(COMMAND_LINE) as uow:
                assert all(isinstance(contact.note, Erased) for contact in uow.contacts.of_order(f"A-{n}"))
        sound(one)


def test_running_instances_refuse_an_older_state_until_it_is_accepted_and_erased_again(tmp_path):
    place = Place(tmp_path / "place", "postgresql")
    sealed, old = place.sealed(place.customer_id), older(place)
    erase(place.store, place.customer_id)
    place.client.get("/v1/orders/A-1")
    with psycopg.connect(old) as source, psycopg.connect(place.settings.database) as target:
        target.execute("SET session_replication_role = replica")
        for name in [*NAMES, "journal_head"]:
            target.execute(f"DELETE FROM {name}")  # noqa: S608
            columns = ", ".join(
                column
                for (column,) in source.execute(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'"
                    " AND table_schema = 'public' ORDER BY ordinal_position",
                    [name],
                )
            )
            with (
                source.cursor().copy(f"COPY {name} ({columns}) TO STDOUT") as rows,
                target.cursor().copy(f"COPY {name} ({columns}) FROM STDIN") as into,
            ):
                for row in rows:
                    into.write(row)
    refused = place.client.get("/v1/orders/A-1")
    assert (refused.status_code, found({"answer": refused.data}, TEXTS["customer_ref"])) == (503, set())
    with closing(Store(place.settings)) as another:
        another.open(Opening.ACCEPT)
        acceptance.accept(another, "restored under the service")
    answer = place.client.get("/v1/orders/A-1")
    assert answer.status_code == 200, answer.text
    assert answer.json["customer_ref"] == "[erased]"
    assert place.left_of(sealed) == set()
    place.store.close()
