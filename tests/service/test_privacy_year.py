"""A year by the clock, with retention every night: nothing a day too long or too short, and no byte of what went."""

import random
import secrets
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from refunds.domain.instants import first_instant
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.service import backups, clock, rotation, statistics
from refunds.service.store import Store
from refunds.storage import keys
from refunds.storage.sqlite import SQLite
from tests import scaled
from tests.conftest import settings
from tests.service.privacy_year import MARK, PrivacyYears, heads, heads_in
from tests.service.test_privacy import sound
from tests.service.test_retention import BERLIN, DAY, HOUR, ran
from tests.storage.test_secrecy_at_rest import found

pytestmark = pytest.mark.proof

ORDERS, REQUESTS = scaled(80, 10_000), scaled(40, 200)
FIRST, LAST = date(2027, 1, 1), date(2028, 1, 1)
PAST = (2018, 2019, 2023, 2024, 2025, 2026)
"""The periods of these years end in the year, at its beginning and at its end."""


class Kept:
    """A backup, the day of it, what the oracle knew then, and the master key of that time."""

    def __init__(self, file, day, saved, key):
        self.file, self.day, self.saved, self.key = file, day, saved, key


class Installation:
    """An installation with its operator, who keeps to the documentation."""

    def __init__(self, of, now):
        self.of, self.now, self.store = of, now, Store(of)
        self.store.open()
        rng = random.Random(23)  # noqa: S311 - no secret
        self.years, self.plan = PrivacyYears(self.store, rng, ORDERS // 3), []
        self.key = of.master_key_file.read_text().strip()
        self.gone = 0
        for year in PAST:
            self.happen(ORDERS // (2 * len(PAST)), REQUESTS // 10, date(year, 1, 2), date(year, 12, 30))
        self.happen(ORDERS // 2, REQUESTS, FIRST, LAST)
        self.plan.sort()

    def happen(self, orders, requests, first, last):
        """Plan what happens at random times between two days."""
        rng, begin = self.years.rng, first_instant(first, BERLIN)
        acts = ["order"] * orders + ["request"] * requests
        acts += rng.choices(["limit", "contact", "again"], k=orders // 3)
        self.plan += [(begin + rng.random() * (last - first), name) for name in acts]

    def until(self, moment):
        """Let happen what happens until an instant."""
        while self.plan and self.plan[0][0] < moment:
            at, name = self.plan.pop(0)
            self.years.play(self.now, at)
            self.now.move_to(max(at, datetime.now(UTC)))
            getattr(self.years, name)()
        self.years.play(self.now, moment)
        self.now.move_to(moment)

    def night(self, day):
        """Let go of what is over, and compare what is left with the oracle; at a month's end, close and prove it."""
        self.until(first_instant(day, BERLIN) + timedelta(seconds=1))
        planned = None
        if day.day == 1:
            self.years.seen |= heads(self.store)
            planned = ran(self.store, dry_run=True)
        went = ran(self.store)
        assert planned in (None, went)
        self.gone += sum(went.values())
        assert self.years.compare(day) == set(), "each data request is answered in time"
        if day.day == 1:
            self.close(f"{day - DAY:%Y-%m}")

    def close(self, *months):
        """Close months, and prove that the records are sound and that what can be read is what must be there."""
        for month in months:
            assert statistics.close(self.store, month)[1]
            self.years.months.append(month)
        with self.store.read(COMMAND_LINE) as uow:
            assert uow.statistics.months() == self.years.months[::-1]
        sound(self.store)
        assert self.years.read() == {key: text for key, (_, text) in self.years.texts.items()}

    def use(self, *lines):
        """Start again with these master keys."""
        self.store.close()
        self.of.master_key_file.write_text("".join(f"{one}\n" for one in lines))

    def rotate(self, new=None):
        """Rotate to a new master key, or to the present one after an older state was restored; the others go."""
        self.years.seen |= heads(self.store)
        if new is not None:
            self.use(new, self.key)
            self.key = new
        done = rotation.rotate(self.store)
        assert (done.older, done.lost, done.is_scrubbed) == (0, {}, True)
        assert done.rewrapped["customers"] > 0
        self.use(self.key)

    def back_up(self, file, day):
        """Make a backup."""
        self.years.seen |= heads(self.store)
        backups.back_up(self.store, file)
        return Kept(file, day, self.years.saved(), self.key)

    def restore(self, kept):
        """Put an older state back: nobody who was erased comes back, and what is over goes again."""
        self.years.seen |= heads(self.store)
        months, old = self.years.months, self.key != kept.key
        self.use(self.key, *([kept.key] if old else []))
        backups.restore(self.of, kept.file, "a broken disk")
        self.years.put_back(kept.saved)
        lost = months[len(self.years.months) :]
        assert self.years.compare(kept.day) == {
            name for name, one in self.years.requests.items() if one.is_open and one.due <= datetime.now(UTC)
        }
        if old:
            self.rotate()
        if clock.doubt(self.store):
            clock.confirm(self.store)
        ran(self.store)
        self.until(datetime.now(UTC) + HOUR)
        ran(self.store)
        assert self.years.compare(self.today()) == set()
        self.close(*lost)

    def today(self):
        """The date in Berlin."""
        return datetime.now(BERLIN).date()


@pytest.fixture
def now():
    """The time, which the test moves."""
    with time_machine.travel(datetime(2018, 1, 1, 12, tzinfo=UTC), tick=False) as moved:
        yield moved


@pytest.fixture
def installation(tmp_path, now):
    """An installation before its year: what its past has brought, and retention at the end of each year."""
    made = Installation(settings(tmp_path / "place", engine="sqlite"), now)
    for year in PAST:
        made.until(first_instant(date(year, 12, 31), BERLIN))
        ran(made.store)
        made.years.compare(date(year, 12, 31))
    with closing(made.store):
        yield made


def opened_by(file, key):
    """How many keys a database has, and how many of them a master key opens."""
    with closing(SQLite(str(file), readonly=True)) as database, database.read() as tx:
        found = keys.opened_by(tx, (bytes.fromhex(key),)).values()
    return sum(map(sum, found)), sum(counts[0] for counts in found)


def prove_that_nothing_is_left(one, oldest):
    """Assert that no byte of what went is in the files, and that old ones cannot be read; returns how much went."""
    ran(one.store)
    live = heads(one.store)
    went = one.years.seen - live
    there = {file: file.read_bytes() for file in oldest.file.parent.rglob("*") if file.is_file()}
    del there[one.of.master_key_file]
    old = {file: data for file, data in there.items() if "backup-" in file.name or ".replaced-" in file.name}
    files = {file: data for file, data in there.items() if file not in old}
    assert heads_in(files, went) == set()
    assert len(heads_in(files, live)) > 0.99 * len(live), "the scan finds what is there"
    assert len(heads_in(old, went)) > 0.1 * len(went), "and what went, in the backups"
    assert not found(there, MARK)
    assert found(there | {"planted": f"...{next(iter(one.years.ever))}...".encode()}, MARK) == {"planted"}
    databases = [file for file in old if file.name.endswith(".db") or file.name.endswith("Z")]
    assert len(databases) == 4
    for file in databases:
        total, opened = opened_by(file, one.key)
        assert (total > ORDERS // 10, opened) == (True, 0), file
    assert opened_by(oldest.file, oldest.key)[1] == opened_by(oldest.file, oldest.key)[0], "the old key would open it"
    one.store.close()
    with pytest.raises(ConfigurationError, match=r"lost: customers (\d+) of \1,"):
        backups.restore(one.of, oldest.file, "")
    sound(one.store)
    return len(went)


def test_over_a_year_nothing_is_kept_a_day_longer_and_no_byte_of_what_went_is_left(
    installation, tmp_path, record_property
):
    one, years, nights = installation, installation.years, (LAST - FIRST).days + 1
    made, new = {}, iter([secrets.token_hex(32) for _ in range(3)])
    for day in (FIRST + n * DAY for n in range(nights)):
        one.night(day)
        one.until(first_instant(day, BERLIN) + 10 * HOUR)
        match f"{day:%m-%d}":
            case "03-15" | "07-01" | "10-20":
                one.rotate(next(new))
            case "02-10" | "08-15":
                made[day] = one.back_up(tmp_path / f"backup-{day}.db", day)
            case "05-20":
                one.restore(made[date(2027, 2, 10)])
            case "08-25":
                one.restore(made[date(2027, 8, 15)])
    assert years.months == ["2026-12", *(f"2027-{month:02}" for month in range(1, 13))]
    went = prove_that_nothing_is_left(one, made[date(2027, 2, 10)])
    counts = years.counts
    assert not {"erasure fulfilled", "extended", "nights of held orders", "late, as restored"} - counts.keys()
    record_property(
        "measured",
        f"a year by the clock: {years.made} orders, {nights} nights, {one.gone} records went and {went} sealed values "
        f"with them, {dict(sorted(counts.items()))}",
    )
