"""The contract of an engine, for each of them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from types import ModuleType

import pytest

from refunds.errors import ConfigurationError, Conflict, Message, StorageUnavailable
from refunds.storage import open_engine
from tests.storage.engines import (
    ENGINES,
    amount,
    amounts,
    lock,
    opener,
    python,
    require_untouched,
    spend,
    together,
    with_tables,
    write,
)


@pytest.fixture(params=ENGINES)
def make(request, tmp_path):
    """An opener of the database of a test."""
    with opener(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def engine(make):
    """An engine with two tables."""
    return with_tables(make())


def test_the_next_read_sees_a_write(engine):
    with engine.write() as tx:
        spend(tx, 30)
        assert amount(tx) == 70
    assert amounts(engine) == (70, 30)


@pytest.mark.parametrize(
    "error", [ValueError(), StorageUnavailable(Message("away")), KeyboardInterrupt(), GeneratorExit()], ids=repr
)
def test_a_write_that_raises_an_error_is_rolled_back(engine, error):
    def failing_write():
        with engine.write() as tx:
            spend(tx, 30)
            raise error

    with pytest.raises(type(error)):
        failing_write()
    require_untouched(engine)


def test_a_conflict_rolls_the_whole_write_back(engine):
    def failing_write():
        with engine.write() as tx:
            spend(tx, 30)
            tx.run("INSERT INTO parents (id, amount) VALUES ('a', 1)")

    with pytest.raises(Conflict):
        failing_write()
    assert amounts(engine) == (100, 0)


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        ("INSERT INTO parents (id, amount) VALUES ('a', 1)", "parents.id"),
        ("INSERT INTO children (id, parent, name) VALUES ('d', 'a', 'Carl')", "children.name"),
        ("UPDATE children SET id = 'c' WHERE id = 'e'", "children.id"),
    ],
)
def test_a_conflict_names_its_columns(engine, sql, constraint):
    write(engine, "INSERT INTO children (id, parent, name) VALUES ('c', 'a', 'Carl'), ('e', 'a', 'Emma')")
    with pytest.raises(Conflict) as conflict:
        write(engine, sql)
    assert conflict.value.constraint == constraint
    assert constraint not in str(conflict.value)


@pytest.mark.parametrize(
    "sql", ["INSERT INTO children (id, parent) VALUES ('d', 'nobody')", "DELETE FROM parents WHERE id = 'a'"]
)
def test_foreign_keys_are_enforced(engine, sql):
    write(engine, "INSERT INTO children (id, parent) VALUES ('c', 'a')")
    with pytest.raises(Conflict):
        write(engine, sql)


def test_a_read_sees_a_consistent_state_while_others_write(engine):
    with ThreadPoolExecutor(1) as others:
        with engine.read() as tx:
            assert amount(tx) == 100
            written = others.submit(write, engine, "UPDATE parents SET amount = 1")
            time.sleep(0.1)
            assert (amount(tx, "a"), amount(tx, "b")) == (100, 0)
        assert written.result(timeout=5) == 2
    assert amounts(engine) == (1, 1)


def test_a_read_inside_a_write_sees_only_committed_data(engine):
    with engine.write() as tx:
        spend(tx, 30)
        assert amounts(engine) == (100, 0)
    assert amounts(engine) == (70, 30)


@pytest.mark.parametrize("leave", [list, next])
def test_a_read_that_ends_half_way_holds_no_lock(make, leave):
    """Not even while the iterator over the remaining rows still exists."""
    engine = with_tables(make(patience=1))
    with ExitStack() as half_way:
        with engine.read() as tx:
            rows = tx.each("SELECT id FROM parents")
            half_way.callback(rows.close)
            assert leave(rows)
        with suppress(StorageUnavailable):
            write(engine, "UPDATE parents SET amount = 1")
        seen = amounts(engine)
    assert seen == (1, 1)


def test_a_write_that_ends_half_way_through_its_rows_is_committed(engine):
    with ExitStack() as half_way:
        with engine.write() as tx:
            rows = tx.each("SELECT id FROM parents")
            half_way.callback(rows.close)
            assert next(rows)
            spend(tx, 30)
        seen = amounts(engine)
    assert seen == (70, 30)
    with engine.write() as tx:
        spend(tx, 1)
    assert amounts(engine) == (69, 31)


@pytest.mark.parametrize(
    "sql", ["UPDATE parents SET amount = 1", "INSERT INTO parents VALUES ('c', 1, NULL)", "DROP TABLE children"]
)
def test_a_reader_cannot_write(engine, sql):
    with pytest.raises(StorageUnavailable), engine.read() as tx:
        tx.run(sql)
    assert amounts(engine) == (100, 0)
    assert write(engine, "UPDATE parents SET amount = 1") == 2


def test_a_syntax_error_is_not_taken_for_a_busy_database(engine):
    with pytest.raises(Exception, match="syntax error") as mistake, engine.read() as tx:
        tx.one("SELEC id FROM parents")
    assert not isinstance(mistake.value, StorageUnavailable)


def test_bytes_numbers_and_null_are_read_back_unchanged(engine):
    big, data = 2**63 - 1, bytes(range(256))
    write(engine, "INSERT INTO parents VALUES ('c', :amount, :seal)", amount=big, seal=data)
    with engine.read() as tx:
        rows = {row["id"]: row for row in tx.all("SELECT * FROM parents")}
    assert (rows["c"]["amount"], bytes(rows["c"]["seal"]), rows["a"]["seal"]) == (big, data, None)


def test_one_all_and_each_agree(engine):
    with engine.read() as tx:
        sql = "SELECT id FROM parents ORDER BY id"
        assert tx.all(sql) == list(tx.each(sql)) == [{"id": "a"}, {"id": "b"}]
        assert tx.one(sql) == {"id": "a"}
        assert tx.one("SELECT id FROM parents WHERE id = 'z'") is None


def test_a_closed_engine_opens_again_when_it_is_used(engine):
    for moved in (1, 2):
        engine.close()
        with engine.write() as tx:
            spend(tx, moved)
        engine.close()
        engine.close()
        assert amounts(engine)[1] == moved * (moved + 1) / 2


def test_no_writer_loses_what_another_wrote(engine):
    """Each locks a row, reads it and writes it, as use cases do."""

    def increment(_):
        with engine.write() as tx:
            seen = lock(tx)
            time.sleep(0)
            tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", amount=seen + 1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(increment, range(50)))
    assert amounts(engine) == (150, 0)


def test_readers_and_writers_do_not_interfere(engine):
    done = threading.Event()

    def look():
        seen = set()
        while not done.is_set():
            seen.add(sum(amounts(engine)))
        return seen

    def spend_one(_):
        with engine.write() as tx:
            spend(tx, 1)

    with ThreadPoolExecutor(8) as threads:
        looking = [threads.submit(look) for _ in range(4)]
        try:
            list(threads.map(spend_one, range(60)))
        finally:
            done.set()
        assert [look.result() for look in looking] == [{100}] * 4
    assert amounts(engine) == (40, 60)


PROCESS = """
import sys
from tests.storage.engines import ENGINES
engine = ENGINES[sys.argv[1]](sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(15):
    with engine.write() as tx:
        seen = tx.one("SELECT amount FROM parents WHERE id = 'a' {for_update}")["amount"]
        tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", amount=seen + 1)
    with engine.read() as tx:
        assert tx.one("SELECT amount FROM parents WHERE id = 'a'")["amount"] > seen
engine.close()
"""


def test_no_process_loses_what_another_wrote(make):
    engine = with_tables(make())
    together([python(PROCESS, make.kind, make.url) for _ in range(2)])
    assert amounts(engine) == (130, 0)


def test_a_writer_that_waits_for_its_own_thread_gives_up(make):
    engine = with_tables(make(patience=0.1))
    with engine.write() as tx:
        lock(tx)
        with pytest.raises(StorageUnavailable), engine.write() as other:
            lock(other)
        spend(tx, 30)
    assert amounts(engine) == (70, 30)


@pytest.mark.parametrize("same", [True, False], ids=["one engine", "two engines"])
def test_a_writer_that_waits_for_a_lock_gives_up_after_its_patience(make, same):
    holder = with_tables(make())
    engine, since = make(patience=0.3), time.monotonic()
    with (holder if not same else engine).write() as tx:
        lock(tx)
        with ThreadPoolExecutor(1) as others, pytest.raises(StorageUnavailable):
            others.submit(write, engine, "UPDATE parents SET amount = 1").result(60)
        assert time.monotonic() - since >= 0.3
        spend(tx, 30)
    assert amounts(engine) == (70, 30)
    write(engine, "UPDATE parents SET amount = 1")
    assert amounts(holder) == (1, 1)


def test_a_waiting_writer_continues_when_the_lock_is_released(make):
    engine, held = with_tables(make()), threading.Event()

    def increment():
        held.wait(60)
        with engine.write() as tx:
            seen = lock(tx)
            tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", amount=seen + 1)

    with ThreadPoolExecutor(1) as others:
        with engine.write() as tx:
            lock(tx)
            waiting = others.submit(increment)
            held.set()
            time.sleep(0.2)
            assert not waiting.done()
            spend(tx, 30)
        waiting.result(60)
    assert amounts(engine) == (71, 30)


def test_exclusive_writes_do_not_overlap(make):
    """Each checks whether others are running at the same time."""
    engines, running, counts = (make(), make()), [], []
    with_tables(engines[0])

    def write_exclusively(i):
        with engines[i % 2].write(exclusive=True) as tx:
            running.append(i)
            time.sleep(0.02)
            counts.append(len(running))
            seen = amount(tx)  # no lock needed: the write is exclusive
            tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", amount=seen + 1)
            running.remove(i)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write_exclusively, range(12)))
    assert counts == [1] * 12
    assert amounts(engines[1]) == (112, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO parents (id, amount) VALUES ('a', 1)",
        "INSERT INTO children (id, parent) VALUES ('d', 'nobody')",
        "INSERT INTO parents (id) VALUES ('c')",
        "SELECT nothing FROM nowhere",
        "UPDAT parents",
    ],
)
def test_a_write_that_suppresses_a_failed_statement_is_not_committed(engine, sql):
    def suppressing_write():
        with engine.write() as tx:
            spend(tx, 30)
            with suppress(Exception):
                tx.run(sql)

    with pytest.raises(RuntimeError, match="a failed statement must end its transaction"):
        suppressing_write()
    require_untouched(engine)


class _Optimised(SourceFileLoader):
    """Loads a module without its assertions, as `python -O` does."""

    def get_code(self, fullname):
        """The code, compiled without the cache."""
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True, optimize=1)


def test_a_failed_statement_ends_its_transaction_even_without_assertions(engine, make):
    kind = type(engine)
    module = ModuleType(f"{kind.__module__}_optimised")
    _Optimised(module.__name__, find_spec(kind.__module__).origin).exec_module(module)

    def suppressing_write(optimised):
        with optimised.write() as tx:
            spend(tx, 30)
            with suppress(Exception):
                tx.run("SELECT nothing FROM nowhere")

    with closing(getattr(module, kind.__name__)(make.url.removeprefix("sqlite:///"))) as optimised:
        with pytest.raises(RuntimeError, match="a failed statement must end its transaction"):
            suppressing_write(optimised)
        require_untouched(optimised)


@pytest.mark.parametrize(
    "given",
    [{}, {"other": 1}, {"amount": "\udcff"}, {"amount": 2**63}, {"amount": object()}],
    ids=["nothing", "something else", "half a character", "a number too many", "no value"],
)
def test_a_write_that_suppresses_an_unsent_statement_is_not_committed(engine, given):
    """The database itself does not know about it."""

    def suppressing_write():
        with engine.write() as tx:
            spend(tx, 30)
            with pytest.raises(Exception) as unsent:  # noqa: PT011 - whatever the driver has to say
                tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", **given)
            assert not isinstance(unsent.value, StorageUnavailable)

    with pytest.raises(RuntimeError, match="a failed statement must end its transaction"):
        suppressing_write()
    require_untouched(engine)


MANY = "INSERT INTO children (id, parent) VALUES (:id, :parent)"


@pytest.mark.parametrize("count", [0, 1, 2500])
def test_one_statement_runs_for_many_rows(engine, count):
    with engine.write() as tx:
        tx.later(MANY, *({"id": f"{n:05}", "parent": "a"} for n in range(count)))
        spend(tx, 30)
    with engine.read() as tx:
        assert [row["id"] for row in tx.all("SELECT id FROM children ORDER BY id")] == [f"{n:05}" for n in range(count)]
    assert amounts(engine) == (70, 30)


def test_a_conflict_in_one_of_many_rows_rolls_all_back(engine):
    def failing_write():
        with engine.write() as tx:
            tx.later(MANY, *({"id": key, "parent": "a"} for key in "uvu"))

    with pytest.raises(Conflict) as conflict:
        failing_write()
    assert conflict.value.constraint == "children.id"
    with engine.read() as tx:
        assert tx.all("SELECT id FROM children") == []


def test_a_write_that_suppresses_a_failure_in_one_of_many_rows_is_not_committed(engine):
    def suppressing_write():
        with engine.write() as tx:
            spend(tx, 30)
            with suppress(Exception):
                tx.later(MANY, *({"id": key, "parent": "a"} for key in "uvu"))
                amount(tx)

    with pytest.raises(RuntimeError, match="a failed statement must end its transaction"):
        suppressing_write()
    assert amounts(engine) == (100, 0)


def test_a_write_that_suppresses_an_unsent_row_of_many_is_not_committed(engine):
    def suppressing_write():
        with engine.write() as tx:
            spend(tx, 30)
            with suppress(Exception):
                tx.later(MANY, {"id": "u", "parent": "a"}, {"id": "\udcff", "parent": "a"})
                amount(tx)

    with pytest.raises(RuntimeError, match="a failed statement must end its transaction"):
        suppressing_write()
    assert amounts(engine) == (100, 0)
    with engine.read() as tx:
        assert tx.all("SELECT id FROM children") == []


def test_text_is_ordered_by_bytes(engine):
    """Regardless of the locale of the database."""
    keys = ["A", "B", "Z", "a", "a-b", "a.b", "aB", "ab", "b", "z", "\x01", "~", "Ä", "ä", "é", "ß", "Ω", "中", "😀"]
    for key in keys[::-1]:
        write(engine, "INSERT INTO children (id, parent) VALUES (:id, 'a')", id=key)
    seen, after = [], ""
    with engine.read() as tx:
        while page := tx.all("SELECT id FROM children WHERE id > :after ORDER BY id LIMIT 4", after=after):
            seen += [row["id"] for row in page]
            after = seen[-1]
    assert seen == sorted(keys)


def test_rows_cannot_be_read_after_their_transaction(engine):
    """And trying does not affect the transaction that is running then."""
    for i in range(3000):
        if not i % 1000:
            numbers = ", ".join(f"('{n:05}', 'a')" for n in range(i, i + 1000))
            write(engine, f"INSERT INTO children (id, parent) VALUES {numbers}")  # noqa: S608
    with engine.write() as tx:
        rows = tx.each("SELECT id FROM children ORDER BY id")
        assert next(rows) == {"id": "00000"}
    with engine.write() as tx:
        spend(tx, 30)
        with pytest.raises(Exception, match=r"closed|over") as refused:
            next(rows)
        assert not isinstance(refused.value, StorageUnavailable)
        spend(tx, 1)
        assert sum(1 for _ in tx.each("SELECT id FROM children")) == 3000
    assert amounts(engine) == (69, 31)


# The URL.


@pytest.mark.parametrize(
    "url",
    [
        "",
        "refunds.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:refunds.db",
        "sqlite:///refunds.db?mode=ro",
        "sqlite:///refunds.db#1",
        "mysql://localhost/refunds",
        "sqlite://refunds.db",
        "postgresql",
        "SQLITE:///refunds.db",
    ],
)
def test_a_url_that_names_no_engine_is_refused(url):
    with pytest.raises(ConfigurationError, match=r"^REFUNDS_DATABASE: must be sqlite:///PATH"):
        open_engine(url)


@pytest.mark.parametrize("path", ["instance/refunds.db", "/var/lib/refunds.db"])
def test_a_url_names_a_path(path):
    assert open_engine(f"sqlite:///{path}").name == path
