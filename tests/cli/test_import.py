"""`flask orders import`: what lands, what is refused and reported, and what the same file does again."""

import importlib
import json
import os
from itertools import count
from unittest import mock

import pytest

import app
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import NotFound, StorageUnavailable
from refunds.service import orders
from tests import records_in

HEADER = "order_id,customer_ref,policy,region,ordered_at,service_provided_at"
_files = count()


@pytest.fixture(scope="module", autouse=True)
def entry(engine, tmp_path_factory):
    """The app of the flask command, configured for each engine."""
    with mock.patch.dict(os.environ, records_in(tmp_path_factory.mktemp("imports"), engine)):
        importlib.reload(app).app.test_cli_runner().invoke(args=["init"])
        yield app
    importlib.reload(app)


@pytest.fixture
def name():
    """The beginning of the order ids of a test, as the tests share their records."""
    return f"F{next(_files)}"


@pytest.fixture
def imported(tmp_path):
    """Imports a file with this content; returns the counts, the lines of refusals and the exit code."""

    def run(content, suffix="csv"):
        file = tmp_path / f"orders.{suffix}"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        result = app.app.test_cli_runner().invoke(args=["orders", "import", str(file)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        counts = dict(line.split(": ") for line in result.stdout.splitlines())
        refusals = [line for line in result.stderr.splitlines() if not line.startswith("Made a master key")]
        return {name: int(number) for name, number in counts.items() if number != "0"}, refusals, result.exit_code

    return run


def stored(order_id):
    with app.app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        try:
            return uow.orders.get(order_id)
        except NotFound:
            return None


def row(order_id, customer="K-1", policy="", region="DE-BY", ordered="", provided="2026-04-02T16:20:00+02:00"):
    return f"{order_id},{customer},{policy},{region},{ordered},{provided}"


def lines(*rows, header=HEADER):
    return "\n".join((header, *rows)) + "\n"


def test_orders_are_registered_by_the_command_line(imported, name):
    assert imported(lines(row(f"{name}-1"), row(f"{name}-2", provided=""))) == ({"registered": 2}, [], 0)
    order = stored(f"{name}-1")
    assert (order.customer_ref, order.region, order.ordered_at, order.policy) == (
        "K-1",
        "DE-BY",
        None,
        "virtual-numbers",
    )
    assert order.asserted_by == COMMAND_LINE.actor
    assert stored(f"{name}-2").service_provided_at is None


def test_the_same_file_again_changes_nothing(imported, name):
    content = lines(row(f"{name}-1"), row(f"{name}-2", provided=""))
    imported(content)
    before = stored(f"{name}-1"), stored(f"{name}-2")
    assert imported(content) == ({"unchanged": 2}, [], 0)
    assert (stored(f"{name}-1"), stored(f"{name}-2")) == before


def test_a_missing_time_of_service_is_completed(imported, name):
    imported(lines(row(f"{name}-1", provided="")))
    assert imported(lines(row(f"{name}-1"))) == ({"completed": 1}, [], 0)
    assert stored(f"{name}-1").revision == 2


def test_a_refused_line_is_reported_and_its_neighbours_are_registered(imported, name):
    imported(lines(row(f"{name}-known")))
    counts, refusals, code = imported(
        lines(
            row(f"{name}-1"),
            row(f"{name}-2", provided="2026-04-02T16:20:00"),
            row(f"{name}-3", region="DE-XX", customer="K-2"),
            row(f"{name}-known", customer="K-2"),
            row("", customer=""),
            "a,b",
            row(f'"{name}-open'),
            "",
            row(f"{name}-4", customer="5555 5555 5555 4444"),
            row(f"{name}-5", ordered="2999-01-01T00:00:00Z"),
            row(f"{name}-6"),
        )
    )
    assert (counts, code) == ({"registered": 2, "refused": 8}, 3)
    assert refusals[0] == (
        "line 3: /service_provided_at: needs its offset, such as Z or +02:00, as in 2026-04-02T16:20:00+02:00"
    )
    assert refusals[1].startswith("line 4: /region: ")
    assert refusals[2:6] == [
        "line 5: /customer_ref: another customer is registered",
        "line 6: /customer_ref: is required; /order_id: is required",
        "line 7: must have 6 cells, and has 2",
        "line 8: is not CSV: check the quotation marks",
    ]
    assert refusals[6].startswith("line 10: /customer_ref: must not be what looks like the number of a payment card")
    assert refusals[7].startswith("line 11: /ordered_at: must not be more than a minute in the future")
    assert stored(f"{name}-1")
    assert stored(f"{name}-6")
    assert not any(map(stored, (f"{name}-2", f"{name}-3", f"{name}-4", f"{name}-5")))
    assert "5555" not in "".join(refusals)


def test_a_refused_line_leaves_no_trace(imported, name):
    with app.app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        before = uow.events.head()
    imported(lines(row(f"{name}-1", region="DE-XX", customer=f"only {name}")))
    with app.app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        assert uow.customers.find(f"only {name}") is None
        assert uow.events.head() == before
        uow.verify([])


def test_json_lines_are_read_whatever_the_file_is_called(imported, name):
    good = {"order_id": f"{name}-1", "customer_ref": "K-1", "region": "DE-BY", "service_provided_at": None}
    content = "\n".join(
        (
            json.dumps(good),
            json.dumps(good | {"order_id": f"{name}-2", "service_provided_at": "2026-04-02T16:20:00Z"}),
            "{",
            '{"order_id": "x", "order_id": "y", "customer_ref": "K-1", "service_provided_at": null}',
            json.dumps(good | {"order_id": f"{name}-3", "colour": "red"}),
            "[]",
            "[" * 100_000,
        )
    )
    counts, refusals, code = imported(content, "txt")
    assert (counts, code) == ({"registered": 2, "refused": 5}, 3)
    assert refusals == [
        "line 3: is not JSON: write each order as an object on one line",
        "line 4: has the same key twice",
        "line 5: /colour: unknown field: remove it, or check its spelling",
        "line 6: must be an object",
        "line 7: is not JSON: write each order as an object on one line",
    ]


def test_a_byte_order_mark_and_semicolons_are_tolerated(imported, name):
    rows = lines(row(f"{name}-1", customer='"Müller, Söhne"').replace(",", ";").replace("Müller;", "Müller,"), ";;;;;")
    content = b"\xef\xbb\xbf" + rows.replace(HEADER, HEADER.replace(",", ";")).replace("\n", "\r\n").encode()
    assert imported(content) == ({"registered": 1}, [], 0)
    assert stored(f"{name}-1").customer_ref == "Müller, Söhne"


def test_columns_may_be_in_any_order_and_optional_ones_missing(imported, name):
    content = f"service_provided_at,customer_ref,order_id\n2026-04-02T16:20:00Z,K-1,{name}-1\n"
    assert imported(content) == ({"registered": 1}, [], 0)
    assert stored(f"{name}-1").region is None


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace("customer_ref", "customer"),
        HEADER.replace("service_provided_at", "service_provided_on"),
        HEADER.removesuffix(",service_provided_at"),
        HEADER + ",colour",
        HEADER + ",region",
        HEADER.replace(",", "\t"),
        "[",
        '"order_id',
        "",
    ],
)
def test_wrong_columns_are_one_error_before_anything_is_written(imported, name, header):
    counts, refusals, code = imported(lines(row(f"{name}-1"), header=header) if header else "")
    assert (counts, code, len(refusals)) == ({}, 3, 1)
    assert refusals[0].startswith(
        "orders.csv: the first line must name the columns customer_ref, order_id, service_provided_at and, if there are "
        "any, ordered_at, policy, region"
    )
    assert stored(f"{name}-1") is None


def test_the_rest_of_a_cell_with_a_line_break_is_no_order(imported, name):
    counts, refusals, _ = imported(lines(row(f'"{name}\n-1"'), row(f"{name}-2")))
    assert counts == {"registered": 1, "refused": 2}
    assert refusals == [f"line {number}: is not CSV: check the quotation marks" for number in (2, 3)]


def test_what_is_not_utf_8_is_refused_with_its_line(imported, name):
    content = lines(row(f"{name}-1", customer="Müller"), row(f"{name}-2")).encode("latin-1")
    counts, refusals, _ = imported(content)
    assert counts == {"registered": 1, "refused": 1}
    assert (refusals[0].startswith("line 2: /customer_ref: "), "UTF-8" in refusals[0]) == (True, True)


def test_an_interrupted_import_is_finished_by_running_it_again(imported, name, monkeypatch):
    monkeypatch.setattr(orders, "CHUNK", 10)
    content = lines(*(row(f"{name}-{number}") for number in range(35)))
    registered = []
    register = orders.register

    def failing(uow, facts):
        registered.append(facts)
        if len(registered) == 25:
            raise StorageUnavailable("the disk is full")
        return register(uow, facts)

    monkeypatch.setattr(orders, "register", failing)
    assert imported(content)[1:] == (["the disk is full"], 1)
    assert [bool(stored(f"{name}-{number}")) for number in (0, 19, 20)] == [True, True, False]
    assert imported(content)[0] == {"unchanged": 20, "registered": 15}


def test_refusals_are_in_the_language_that_is_asked_for(tmp_path, name):
    file = tmp_path / "orders.csv"
    file.write_text(lines(row(f"{name}-1", customer="")))
    result = app.app.test_cli_runner().invoke(args=["orders", "import", str(file), "--lang", "de"])
    assert result.stderr.splitlines()[-1] == "line 2: /customer_ref: fehlt"


def test_what_cannot_be_rewound_is_imported_too(name):
    """A shell gives the output of a command as a pipe, as in `flask orders import <(zcat orders.csv.gz)`."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write("\n".join((HEADER, row(f"{name}-1"), row(f"{name}-2"), "")))
    result = app.app.test_cli_runner().invoke(args=["orders", "import", f"/dev/fd/{reading}"])
    os.close(reading)
    assert (result.stdout.splitlines()[0], result.exit_code) == ("registered: 2", 0)
    assert stored(f"{name}-2")
