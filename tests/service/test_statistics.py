"""Statistics of a month: counted once, in cells that give nobody away, also not to one who knows everybody else."""

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from refunds.cli import Commands
from refunds.domain import statistics as domain
from refunds.domain.contact_points import Channel
from refunds.domain.instants import zone
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import LimitKind
from refunds.domain.records import Intent
from refunds.domain.statistics import FEWEST, Cell, ContactOutcome, bounds
from refunds.errors import InvalidInput
from refunds.service import cancellations, contacts, privacy, statistics, unmatched
from refunds.service.cancellations import Override
from refunds.service.contacts import NewContact
from refunds.service.store import Store
from refunds.storage.tables import NAMES
from refunds.web import create_app
from tests import scaled
from tests.conftest import client_of, mostly_on, settings
from tests.service.test_privacy import erase, registered, sound

NOW = datetime.now(UTC)
LAST = (NOW.replace(day=1) - timedelta(days=15)).replace(hour=10, minute=0, second=0, microsecond=0)
"""An instant in the middle of the last month that has ended."""
MONTH = f"{LAST:%Y-%m}"


@pytest.fixture
def store(engine, tmp_path):
    """The store of an installation."""
    with closing(Store(settings(tmp_path, engine=engine))) as opened:
        yield opened


@pytest.fixture
def _exact(monkeypatch):
    """Cells are shown from ten on."""
    monkeypatch.setattr(domain, "draw_least", lambda: FEWEST)


def asked(store, ref, at=LAST, region="DE-BY", intent=Intent.CANCEL, channel=Channel.PHONE, provided=None):
    """The contact of a customer, about a new order."""
    with store.write(COMMAND_LINE) as uow:
        number = uow.orders.count()
    registered(store, f"A-{number}", ref, provided or at - timedelta(hours=1))
    if region != "DE-BY":
        with store.write(COMMAND_LINE) as uow:
            uow.tx.run("UPDATE orders SET region = :region WHERE order_id = :one", region=region, one=f"A-{number}")
    with store.write(COMMAND_LINE) as uow:
        given = NewContact(channel=channel, intent=intent, received_at=at, ticket_ref="T-1")
        return contacts.record(uow, f"A-{number}", given)


def closed(store, month=MONTH):
    """The cells that are shown of a month, each with its number."""
    found = statistics.close(store, month)[0].cells
    return {Cell(*key): n for key, n in flat(found).items()}


def flat(cells):
    """The cells in one mapping."""
    return {(a, b, c): n for a, inner in cells.items() for b, one in inner.items() for c, n in one.items()}


QUESTIONS = Cell("DE", Channel.PHONE, ContactOutcome.QUESTION)


@pytest.mark.usefixtures("_exact")
def test_customers_are_counted_once_in_each_cell_and_few_are_not_stored(store):
    for number in range(10):
        asked(store, f"K-{number}", intent=Intent.QUESTION)
    asked(store, "K-1", intent=Intent.QUESTION)
    for number in range(9):
        asked(store, f"N-{number}")
    asked(store, "N-1")
    assert closed(store) == {QUESTIONS: 10}
    with store.read(COMMAND_LINE) as uow:
        row = uow.tx.one("SELECT cells FROM statistics")
    assert row["cells"] == '{"DE":{"phone":{"question":10}}}'
    assert "statistics" in NAMES
    sound(store)


@pytest.mark.usefixtures("_exact")
def test_each_outcome_is_a_cell_of_its_own(store):
    for number in range(10):
        contact = asked(store, f"C-{number}")
        asked(store, f"D-{number}", channel=Channel.EMAIL)
        asked(store, f"R-{number}", provided=LAST - timedelta(days=20))
        asked(store, f"W-{number}", channel=Channel.POST, intent=Intent.WITHDRAWAL)
        with store.write(COMMAND_LINE) as uow:
            override = Override(kind="deadline_accepted", reason="they were told so")
            cancellations.issue(uow, order=contact.order_id, contact=contact.contact_id, override=override)
    found = {(channel, outcome): n for (_, channel, outcome), n in closed(store).items()}
    assert (
        found.pop(("phone", "cancelled")) == found.pop(("post", "withdrawal")) == found.pop(("phone", "refused")) == 10
    )
    assert set(found) <= {("email", "cancellable"), ("email", "needs_supervisor")}
    assert set(found.values()) == {10}


@pytest.mark.usefixtures("_exact")
def test_those_who_objected_are_restricted_or_were_erased_are_left_out(store):
    for number in range(13):
        asked(store, f"K-{number}", intent=Intent.QUESTION)
    with store.write(COMMAND_LINE) as uow:
        left_out = [uow.customers.find(f"K-{number}") for number in range(3)]
        privacy.limit(uow, left_out[0], LimitKind.OBJECTION, None)
        privacy.limit(uow, left_out[1], LimitKind.RESTRICTION, None)
        privacy.limit(uow, uow.customers.find("K-9"), LimitKind.HOLD, None)
    erase(store, left_out[2])
    assert closed(store) == {QUESTIONS: 10}


@pytest.mark.usefixtures("_exact")
def test_a_closed_month_never_changes(store):
    for number in range(10):
        asked(store, f"K-{number}", intent=Intent.QUESTION)
    assert closed(store) == {QUESTIONS: 10}
    asked(store, "K-new", intent=Intent.QUESTION)
    with store.read(COMMAND_LINE) as uow:
        name, events = uow.customers.find("K-3"), uow.events.head().position
    again, is_new = statistics.close(store, MONTH)
    assert (is_new, flat(again.cells)) == (False, {QUESTIONS: 10})
    with store.read(COMMAND_LINE) as uow:
        assert uow.events.head().position == events
    erase(store, name)
    assert closed(store) == {QUESTIONS: 10}
    sound(store)


@pytest.mark.usefixtures("_exact")
def test_the_month_is_that_of_the_receipt_by_the_clocks_of_the_policy(store):
    first, after = bounds(MONTH, zone("Europe/Berlin"))
    for number in range(10):
        at = first if number % 2 else after - timedelta(microseconds=1)
        asked(store, f"K-{number}", at, intent=Intent.QUESTION)
        asked(store, f"N-{number}", first - timedelta(microseconds=1), intent=Intent.QUESTION)
    assert closed(store) == {QUESTIONS: 10}
    assert closed(store, f"{first - timedelta(days=1):%Y-%m}") == {QUESTIONS: 10}


def test_the_bounds_of_a_month_are_local_midnights():
    berlin = zone("Europe/Berlin")
    assert bounds("2026-12", berlin) == (datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert bounds("2026-03", berlin) == (datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))


def test_neither_a_month_that_has_not_ended_nor_one_before_the_records_is_closed(store):
    store.open()
    for month, words in ((f"{NOW + timedelta(days=40):%Y-%m}", "not ended"), ("9999-12", "not ended")):
        with pytest.raises(InvalidInput, match=words):
            statistics.close(store, month)
    for month in (MONTH, "0010-01"):
        with pytest.raises(InvalidInput, match="is before the first record"):
            statistics.close(store, month)
    asked(store, "K-1")
    assert closed(store) == {}


def test_contacts_whose_order_is_not_known_are_not_counted(store):
    for number in range(30):
        with store.write(COMMAND_LINE) as uow:
            given = NewContact(channel=Channel.PHONE, intent=Intent.QUESTION, received_at=LAST)
            unmatched.record(uow, f"B-{number}", given)
    asked(store, "K-1")
    assert closed(store) == {}


@pytest.fixture
def app(tmp_path, engine):
    """An installation with a month in which forty customers asked a question."""
    with closing(Store(settings(tmp_path, engine=engine))) as store:
        for number in range(40):
            asked(store, f"K-{number}", intent=Intent.QUESTION)
    app = create_app(settings(tmp_path, engine=engine))
    app.cli = Commands(app.name)
    yield app
    app.extensions["refunds.store"].close()


def flask(app, *words):
    """The output, the errors and the exit code of the command."""
    done = app.test_cli_runner().invoke(args=["statistics", "close", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout, done.stderr, done.exit_code


def test_the_command_closes_the_last_month_and_says_if_it_was_closed(app):
    out, err, code = flask(app)
    assert (out, err, code) == (f"{MONTH} is closed. GET /v1/statistics and the console show it.\n", "", 0)
    out, err, code = flask(app, "--month", MONTH)
    assert (out.startswith(f"{MONTH} was closed "), out.endswith(" stays as it is.\n"), code) == (True, True, 0)
    for month in (
        "2026-13",
        "2026-00",
        "26-01",
        "0000-01",
        "0001-01",
        "2026-1",
        "2026-01 ",
        "",
        "2026-01-01",
        "２０２６-01",
    ):
        out, err, code = flask(app, "--month", month)
        assert (out, code) == ("", 3), month
        assert err.startswith("month: "), month
    assert flask(app, "--month", f"{NOW:%Y-%m}")[1].startswith(f"month: {NOW:%Y-%m} has not ended")
    assert flask(app, "--lang", "de")[0].endswith(" und bleibt, wie er ist.\n")


def test_a_run_every_night_is_no_failure_before_the_first_month_has_ended(tmp_path, store, engine):
    store.open()
    app = create_app(settings(tmp_path, engine=engine))
    app.cli = Commands(app.name)
    with closing(app.extensions["refunds.store"]):
        assert flask(app) == (f"Nothing to close: {MONTH} is before the first record\n", "", 0)
        assert flask(app, "--month", MONTH) == ("", f"month: {MONTH} is before the first record\n", 3)


def test_the_api_shows_every_cell_of_a_country_and_which_are_not_shown(app):
    client = client_of(app, "product")
    assert client.get("/v1/statistics").status_code == 404
    flask(app)
    found = client.get("/v1/statistics").json
    assert found == client.get(f"/v1/statistics?month={MONTH}").json
    assert (found["month"], found["months"]) == (MONTH, [MONTH])
    assert len(found["cells"]) == len(Channel) * len(ContactOutcome)
    assert [one for one in found["cells"] if one["count"] is not None] == [
        {"country": "DE", "channel": "phone", "outcome": "question", "count": 40}
    ]
    assert client.get("/v1/statistics?month=2020-01").status_code == 404
    assert client.get("/v1/statistics?month=2020-1").status_code == 422
    assert client.get("/v1/statistics?region=DE").status_code == 422
    for role, status in (("privacy", 200), ("admin", 200), ("auditor", 403), ("agent", 403), ("billing", 403)):
        assert client_of(app, role).get("/v1/statistics").status_code == status, role


def test_a_simulation_is_coarse_for_those_who_may_not_read_orders(app):
    draft = {"version": 2, "effective_from": None, "terms": {"window_business_days": 5}}
    exact, coarse = (
        client_of(app, role).post("/v1/policies/virtual-numbers/simulations", json=draft).json
        for role in ("admin", "product")
    )
    assert (exact["coarse"], exact["orders"]["judged"], exact["contacts"]["judged"]) == (False, 40, 40)
    assert exact["by_region"]
    asked(app.extensions["refunds.store"], "K-more", intent=Intent.QUESTION)
    again = client_of(app, "product").post("/v1/policies/virtual-numbers/simulations", json=draft).json
    assert again == coarse
    assert (coarse["coarse"], coarse["by_region"]) == (True, [])
    assert coarse["examples"] == {"to_eligible": [], "to_refused": []}
    numbers = list(counts(coarse["orders"])) + list(counts(coarse["contacts"])) + list(counts(coarse["by_month"]))
    assert numbers
    assert not [one for one in numbers if one % 10]


def counts(data):
    """Every number in some data."""
    if isinstance(data, dict):
        data = list(data.values())
    for one in data if isinstance(data, list) else ():
        yield from [one] if isinstance(one, int) else counts(one)


# The adversary.


def possible(known, published, least=None):
    """The numbers that a cell may have for one who knows all its customers but one, and what is published of it.

    `least` is how many a cell needs to be shown, if that is known.
    """
    both = {known, known + 1}
    if published is not None:
        return both & {published}
    return both if least is None else {one for one in both if one < least}


CELLS = [Cell("AT", channel, outcome) for channel in Channel for outcome in ContactOutcome]


def worlds(months, chance):
    """The others of a region in each month, by cell, and the one who is not known; some cells are close to ten."""
    for _ in range(months):
        others = Counter({cell: chance.choice([0, 0, 1, 4, 8, 9, 9, 10, 11, 25]) for cell in CELLS})
        yield others, others + Counter(chance.sample(CELLS, chance.randrange(3)))


def derived(months, least, *, known_least=None, times=1):
    """How many suppressed cells there are, and of how many the number is derived, when each month is computed `times`."""
    chance, suppressed, found = Random(23), 0, 0  # noqa: S311 - the same worlds each time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain, "draw_least", least)
        for others, truth in worlds(months, chance):
            tables = [flat(domain.cells_to_publish(truth)) for _ in range(times)]
            for cell in CELLS:
                if cell not in tables[0]:
                    suppressed += 1
                    seen = [possible(others[cell], one.get(cell), known_least) for one in tables]
                    left = set.intersection(*seen)
                    assert truth[cell] in left
                    found += len(left) == 1
    return suppressed, found


def test_an_adversary_who_knows_all_customers_but_one_derives_no_suppressed_cell():
    suppressed, found = derived(80, domain.draw_least)
    assert suppressed > 1000
    assert found == 0


def test_the_adversary_derives_what_is_shown_from_ten_on_exactly():
    """Who knows nine, and that ten would be shown, knows that there is no tenth."""
    assert derived(80, lambda: FEWEST, known_least=FEWEST)[1] > 100


def test_the_adversary_succeeds_when_a_month_is_computed_again():
    assert derived(80, domain.draw_least, times=5)[1] > 50


def test_a_cell_below_ten_is_never_shown_and_a_large_one_nearly_always():
    counts_of = {Cell("AT", channel, ContactOutcome.QUESTION): 9 for channel in Channel}
    assert not any(domain.cells_to_publish(counts_of) for _ in range(500))
    assert sum(bool(domain.cells_to_publish({QUESTIONS: 30})) for _ in range(500)) == 500
    assert 100 < sum(bool(domain.cells_to_publish({QUESTIONS: 10})) for _ in range(500)) < 400


TOLD = ("/v1/policies", "/v1/policies/virtual-numbers", "/v1/policies/virtual-numbers/closures", "/v1/calendars")


@pytest.mark.proof
@mostly_on("sqlite")
def test_an_adversary_who_reads_everything_that_product_may_derives_nothing_until_suppression_is_off(
    store, engine, tmp_path
):
    """All Austrians but one are known, who asked by telephone; of one it is not known whether they asked.

    What the role may read is the same in both worlds, but for numbers of customers of whom most are not known.
    """
    months = scaled(2, 12)
    of = {is_there: Store(settings(tmp_path / str(is_there), engine=engine)) for is_there in (False, True)}
    starts = [LAST]
    while len(starts) < months:
        starts.append((starts[-1].replace(day=1) - timedelta(days=15)).replace(day=15))
    read = {}
    for is_there, opened in of.items():
        for count, start in enumerate(reversed(starts)):
            for number in range(6 + count % 3):
                asked(opened, f"K-{number}", start, "AT", Intent.QUESTION)
            if is_there and count % 2 == 0:
                asked(opened, "K-unknown", start, "AT", Intent.QUESTION)
            for number in range(30):
                asked(opened, f"D-{number}", start, "DE-BY", Intent.QUESTION)
        for start in starts:
            statistics.close(opened, f"{start:%Y-%m}")
        opened.close()
        app = create_app(settings(tmp_path / str(is_there), engine=engine))
        client = client_of(app, "product")
        tables = [client.get(f"/v1/statistics?month={start:%Y-%m}").json["cells"] for start in starts]
        draft = {"version": 2, "effective_from": None, "terms": {"window_business_days": 4}}
        simulated = client.post("/v1/policies/virtual-numbers/simulations", json=draft).json
        read[is_there] = [tables, simulated["by_region"], simulated["examples"], simulated["coarse"]]
        read[is_there] += [client.get(path).json for path in TOLD]
        for path in ("/v1/events", "/metrics", "/v1/orders", "/v1/contacts", "/v1/cancellations", "/v1/data-requests"):
            assert client.get(path).status_code == 403, path
        app.extensions["refunds.store"].close()
    assert without_times(read[False]) == without_times(read[True])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain, "draw_least", lambda: 0)
        off = []
        for opened in of.values():
            with opened.write(COMMAND_LINE) as uow:
                uow.tx.run("DELETE FROM statistics")
            off.append([flat(statistics.close(opened, f"{start:%Y-%m}")[0].cells) for start in starts])
            opened.close()
    assert off[0] != off[1]


def without_times(data):
    """Data without what differs between two installations: ids and the times of their making."""
    if isinstance(data, dict):
        return {
            name: without_times(one)
            for name, one in data.items()
            if not name.endswith(("_at", "_by", "_id", "_updated"))
        }
    return [without_times(one) for one in data] if isinstance(data, list) else data
