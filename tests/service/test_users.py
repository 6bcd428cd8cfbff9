"""Users: who may sign in, how often it may be tried, and how long a session holds."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event
from time import sleep

import pytest
import time_machine
from argon2 import PasswordHasher

from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.errors import CallersError, Conflict, InvalidInput, NotFound, TooManyAttempts, Unauthenticated
from refunds.schemas.policy import read_policy
from refunds.security import passwords
from refunds.service import clients, publication, users
from refunds.service.books import Books
from refunds.storage import events
from refunds.storage import users as stored
from refunds.storage.sqlite import sqlite3, wal_is_sound
from refunds.storage.users import WITHIN
from tests.conftest import settings

NOW = datetime(2026, 4, 8, 9, tzinfo=UTC)
LIMIT = users.ATTEMPTS
_numbers = count(1)


class Cheap(PasswordHasher):
    """Tries passwords quickly, and remembers what they were tried against."""

    def __init__(self):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.tried = []

    def verify(self, stored, password):
        """Whether it fits."""
        self.tried.append(stored)
        return super().verify(stored, password)


@pytest.fixture(autouse=True)
def hasher(monkeypatch):
    """What tries passwords."""
    cheap = Cheap()
    monkeypatch.setattr(passwords, "_passwords", lambda: cheap)
    return cheap


@pytest.fixture(scope="module")
def config(engine, tmp_path_factory):
    """The settings of an installation."""
    return settings(tmp_path_factory.mktemp("users"), engine=engine)


@pytest.fixture(scope="module")
def books(config):
    """Its records."""
    with closing(Books(config)) as made:
        yield made


@pytest.fixture(scope="module")
def others(books, config):
    """The same records, as another process has them open."""
    books.open()
    with closing(Books(config)) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_tried(books):
    """Nobody has tried to sign in."""
    with books.write(COMMAND_LINE) as work:
        work.tx.run("DELETE FROM sign_in_attempts")


@pytest.fixture
def clock():
    """The clock, to be moved."""
    with time_machine.travel(NOW, tick=False) as moved:
        yield moved


def added(books, name=None, role=Role.AGENT):
    """A new user, and the password."""
    with books.write(COMMAND_LINE) as work:
        return users.add(work, f"user-{next(_numbers)}" if name is None else name, role)


def do(books, use_case, *given):
    """What a use case in a write of its own gives."""
    with books.write(COMMAND_LINE) as work:
        return use_case(work, *given)


GUESS = "zq-guess 70112"


def signed_out(books, user_id):
    """Sign a user out."""
    with books.write(Principal(user_id, "", Role.AGENT)) as work:
        users.sign_out(work)


def tried(books, name, password=GUESS):
    """How an attempt at signing in ends: the user, or the class of the error."""
    try:
        return users.sign_in(books, name, password)
    except CallersError as error:
        return type(error)


def in_vain(books, name, times):
    """Attempts that are looked at, and are all in vain."""
    assert {tried(books, name) for _ in range(times)} <= {Unauthenticated}


def journal(books):
    """Every event."""
    with books.read(COMMAND_LINE) as work:
        return [dict(row) for row in events.every(work.tx)]


# Who there is.


def test_a_user_is_added_by_name_and_known_by_an_opaque_id(books):
    user, password = added(books, "anna.berger@north-1", Role.SUPERVISOR)
    assert user.user_id.startswith("usr_")
    assert "anna" not in user.user_id
    assert (user.name, user.role, user.epoch, user.disabled_at) == ("anna.berger@north-1", Role.SUPERVISOR, 1, None)
    assert password not in user.password_hash
    with books.read(COMMAND_LINE) as work:
        assert user in users.every(work)


@pytest.mark.parametrize("name", ["a", "0", "7of9", "a" * 64, "a.b_c@d-e", "a--", "Big.Ben", " spaced\t", "LOUD\n"])
def test_a_name_is_of_plain_letters_however_it_is_typed(books, name):
    user, password = added(books, name)
    assert user.name == name.strip().lower()
    assert users.sign_in(books, f" {name.swapcase()}\n", password) == user


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "\t\n",
            "a b",
            "a\nb",
            "a\0",
            "\0",
            "-a",
            ".a",
            "_a",
            "@a",
            "a" * 65,
            "a/b",
            "a'b",
            "a;b",
            "a+b",
            "a,b",
        ),
        *("änne", "straße", "анна", "ａnna", "anna\u200b", "a\u0308nna", "İ", "ſ", "٣", "😀", "\udcff", "\ud800"),
    ],
)
def test_a_name_of_anything_else_is_refused(books, name):
    with pytest.raises(InvalidInput) as refused:
        added(books, name)
    ((pointer, detail, code),) = [(flaw.pointer, flaw.detail, flaw.code) for flaw in refused.value.flaws]
    assert (pointer, code) == ("/name", "invalid")
    assert "1 to 64 letters" in detail


def test_a_name_is_given_once_however_it_is_spelt(books):
    user, _ = added(books)
    before = journal(books)
    for name in (user.name, user.name.upper(), f"  {user.name} "):
        with pytest.raises(InvalidInput, match=f"there is a user {user.name} already: choose another name") as refused:
            added(books, name)
        assert [flaw.code for flaw in refused.value.flaws] == ["taken"]
    do(books, users.disable, user.name)
    with pytest.raises(InvalidInput):
        added(books, user.name)
    assert len(journal(books)) == len(before) + 1


def test_of_many_who_add_the_same_name_at_once_one_does(books, others):
    name = f"user-{next(_numbers)}"

    def add(its):
        with suppress(InvalidInput, Conflict):
            return added(its, name)

    with ThreadPoolExecutor(8) as pool:
        (made,) = filter(None, pool.map(add, [books, others] * 4))
    assert tried(books, name, made.password) == made.user


def test_whom_nobody_has_added_is_neither_disabled_nor_reset(books):
    for name in ("nobody", "", "no body", "\0", "änne", "\udcff"):
        for use_case in (users.disable, users.reset):
            with pytest.raises(NotFound, match="there is no user of this name: see `flask users list`"):
                do(books, use_case, name)


def test_the_first_users_are_one_for_each_screen_and_only_where_there_is_none(tmp_path, engine):
    with closing(Books(settings(tmp_path))) as books:
        made = do(books, users.first_users)
        assert [(user.name, user.role) for user, _ in made] == [
            (role, role) for role in (Role.AGENT, Role.SUPERVISOR, Role.PRODUCT, Role.AUDITOR)
        ]
        assert [users.sign_in(books, user.name, password) for user, password in made] == [user for user, _ in made]
        do(books, users.disable, "agent")
        assert do(books, users.first_users) == []


def test_users_and_clients_are_called_by_their_names_as_long_as_they_have_one(books):
    anna, ben = added(books).user, added(books).user
    with books.write(COMMAND_LINE) as work:
        clients.create_token(work, Role.BILLING, f"billing {anna.name}", 1)
        client = next(client for client, _ in clients.tokens(work) if client.name == f"billing {anna.name}")
        work.tx.run("UPDATE users SET name = NULL WHERE user_id = :id", id=ben.user_id)
    with books.read(COMMAND_LINE) as work:
        found = users.names(work, [anna.user_id, ben.user_id, client.client_id, "command-line", anna.user_id])
    assert found == {anna.user_id: anna.name, client.client_id: client.name}
    assert users.signed_in(books, ben.user_id, 1)[0].name == ben.user_id


# Signing in.


def test_who_has_the_password_signs_in_and_nobody_else(books, others):
    user, password = added(books)
    _, of_another = added(books)
    assert tried(books, user.name, password) == user
    assert tried(others, user.name, password) == user
    for wrong in (
        of_another,
        password.upper(),
        password[:-1],
        f"{password} ",
        "",
        user.password_hash,
        "\0",
        "ä",
        "\ud800",
    ):
        assert tried(books, user.name, wrong) is Unauthenticated
    assert tried(books, "nobody", password) is Unauthenticated


@pytest.mark.parametrize("name", ["nobody", "", "no body", "no\0body", "nöbody", "x" * 100_000])
def test_of_nobody_a_password_is_tried_like_that_of_anybody(books, hasher, name):
    """One is verified for each attempt, so that nobody learns from the time it takes who there is."""
    user, _ = added(books)
    assert tried(books, user.name) is Unauthenticated
    assert hasher.tried == [user.password_hash]
    assert tried(books, name) is Unauthenticated
    assert len(hasher.tried) == 2


def test_whoever_is_refused_is_told_the_same(books):
    user, password = added(books)
    disabled, its_password = added(books)
    do(books, users.disable, disabled.name)
    told = set()
    for given in ((user.name, "wrong"), ("nobody", password), ("no\0body", ""), (disabled.name, its_password)):
        with pytest.raises(Unauthenticated) as refused:
            users.sign_in(books, *given)
        told.add(str(refused.value))
    assert told == {"User name and password do not fit."}


def test_a_disabled_user_signs_in_only_with_the_password_of_a_reset(books, others, hasher):
    user, password = added(books)
    do(books, users.disable, user.name)
    hasher.tried.clear()
    assert tried(others, user.name, password) is Unauthenticated
    assert hasher.tried == [user.password_hash], "it takes as long"
    again = do(books, users.reset, user.name.upper())
    assert again.password != password
    assert (again.user.user_id, again.user.role, again.user.disabled_at) == (user.user_id, user.role, None)
    assert tried(others, user.name, password) is Unauthenticated
    assert tried(others, user.name, again.password).user_id == user.user_id


# How often it may be tried.


def test_after_ten_attempts_in_vain_no_password_is_looked_at_for_a_while(books, others, hasher, clock):
    user, password = added(books)
    in_vain(books, user.name, LIMIT)
    hasher.tried.clear()
    clock.shift(WITHIN - timedelta(microseconds=1))
    for its in (books, others):
        with pytest.raises(TooManyAttempts, match="There were 10 attempts in vain: wait 15 minutes, or have it reset"):
            users.sign_in(its, user.name, password)
    assert hasher.tried == []
    clock.shift(timedelta(microseconds=1))
    assert tried(books, user.name, password) == user


def test_whoever_goes_on_trying_waits_no_longer_and_has_ten_more_then(books, clock):
    user, _ = added(books)
    for _ in range(3):
        in_vain(books, user.name, LIMIT)
        for _ in range(5):
            assert tried(books, user.name) is TooManyAttempts
            clock.shift(WITHIN / 5)


def test_the_tenth_attempt_may_be_right_and_all_is_counted_anew_then(books, clock):
    user, password = added(books)
    for _ in range(2):
        in_vain(books, user.name, LIMIT - 1)
        assert tried(books, user.name, password) == user
    in_vain(books, user.name, LIMIT)
    assert tried(books, user.name, password) is TooManyAttempts


def test_attempts_of_long_ago_do_not_count(books, clock):
    user, password = added(books)
    in_vain(books, user.name, LIMIT - 1)
    clock.shift(WITHIN)
    in_vain(books, user.name, LIMIT - 1)
    assert tried(books, user.name, password) == user


def test_a_reset_forgives_what_was_tried_in_vain(books, clock):
    user, _ = added(books)
    in_vain(books, user.name, LIMIT)
    again = do(books, users.reset, f" {user.name.upper()}")
    assert tried(books, user.name, again.password).user_id == user.user_id
    in_vain(books, user.name, LIMIT)


def test_who_is_disabled_is_not_tried_for_ever_either(books, clock):
    user, password = added(books)
    do(books, users.disable, user.name)
    found = [tried(books, user.name, password) for _ in range(LIMIT + 1)]
    assert found == [Unauthenticated] * LIMIT + [TooManyAttempts]


def test_a_name_is_counted_however_it_is_spelt_and_others_are_not(books, clock):
    user, _ = added(books, f"longer-{next(_numbers)}")
    near, its_password = added(books, f"{user.name}0")
    for i in range(LIMIT):
        spelt = (user.name, user.name.upper(), f" {user.name}", f"{user.name.title()}\n")[i % 4]
        assert tried(books, spelt) is Unauthenticated
    assert tried(books, user.name.title()) is TooManyAttempts
    assert tried(books, near.name, its_password) == near


@pytest.mark.parametrize("name", ["nobody at all", "", "\0", "nö", "y" * 10_000, "\ud800"])
def test_what_is_no_name_is_counted_too(books, clock, name):
    assert [tried(books, name) for _ in range(LIMIT + 1)] == [Unauthenticated] * LIMIT + [TooManyAttempts]
    clock.shift(WITHIN)
    assert tried(books, name) is Unauthenticated


def test_what_was_tried_long_ago_is_kept_no_longer(books, clock):
    for i in range(5):
        tried(books, f"nobody-{i}")
    clock.shift(WITHIN)
    tried(books, "somebody")
    with books.read(COMMAND_LINE) as work:
        assert work.tx.one("SELECT count(*) AS left FROM sign_in_attempts")["left"] == 1


def test_of_many_attempts_at_once_ten_are_looked_at(books, others, monkeypatch):
    """Each is counted before it is looked at, by whatever process."""
    user, password = added(books)
    looked_at = []

    def fits(*given):
        looked_at.append(given)
        return False

    monkeypatch.setattr(users, "password_fits", fits)
    with ThreadPoolExecutor(24) as pool:
        ended = Counter(pool.map(lambda its: tried(its, user.name, password), [books, others] * 20))
    assert ended == {Unauthenticated: LIMIT, TooManyAttempts: 40 - LIMIT}
    assert looked_at == [(password, user.password_hash)] * LIMIT


def test_a_reset_does_not_get_in_the_way_of_an_attempt_that_is_under_way(books, others, monkeypatch):
    """Both hold the attempts by a name, and then the user: else each would wait for the other."""
    user, password = added(books)
    in_vain(books, user.name, 1)
    counted, count_attempt = Event(), stored.count_attempt

    def count_slowly(*given):
        made = count_attempt(*given)
        counted.set()
        sleep(0.2)
        return made

    monkeypatch.setattr(stored, "count_attempt", count_slowly)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(tried, books, user.name, password)
        assert counted.wait(5)
        again = do(others, users.reset, user.name)
        assert attempt.result() == user
    require_ended((user.user_id, user.epoch), books)
    assert users.sign_in(books, user.name, again.password).user_id == user.user_id


# How long a session holds.


def require_ended(session, *everywhere):
    """A session has ended, in whatever process it is used."""
    for books in everywhere:
        with pytest.raises(Unauthenticated, match="The session has ended: sign in again"):
            users.signed_in(books, *session)


@pytest.mark.parametrize("end", [users.disable, users.reset, None], ids=["disabled", "reset", "signed out"])
def test_every_session_ends_with_the_next_request_in_whatever_process(books, others, end):
    user, password = added(books)
    (session,) = {
        (found.user_id, found.epoch) for found in (tried(its, user.name, password) for its in (books, others))
    }
    for its in (books, others):
        assert users.signed_in(its, *session)[0].actor == session[0]
    if end is None:
        signed_out(books, session[0])
    else:
        do(books, end, user.name)
    require_ended(session, others, books)


def test_a_session_is_of_the_user_and_what_he_does_is_his(books):
    user, password = added(books, role=Role.PRODUCT)
    found = users.sign_in(books, user.name, password)
    principal, _ = users.signed_in(books, found.user_id, found.epoch)
    assert (principal.actor, principal.name, principal.role) == (user.user_id, user.name, Role.PRODUCT)
    assert (principal.token_id, principal.expires_at) == (None, None)
    with books.write(principal) as work:
        publication.import_version(work, read_policy(f'policy = "brand-{next(_numbers)}"\nversion = 1'))
    assert journal(books)[-1]["actor"] == user.user_id


def test_who_signs_in_again_has_another_session_and_the_old_one_stays_ended(books):
    user, password = added(books)
    for epoch in range(1, 4):
        assert users.sign_in(books, user.name, password).epoch == epoch
        users.signed_in(books, user.user_id, epoch)
        signed_out(books, user.user_id)
        require_ended((user.user_id, epoch), books)


def test_the_sessions_of_others_go_on(books):
    user, other = added(books).user, added(books).user
    do(books, users.disable, user.name)
    assert users.signed_in(books, other.user_id, 1)[0].name == other.name


def test_to_be_disabled_twice_changes_nothing(books):
    user, _ = added(books)
    once = do(books, users.disable, user.name)
    before = journal(books)
    assert do(books, users.disable, user.name).disabled_at == once.disabled_at
    assert journal(books) == before


def test_whoever_disables_or_resets_is_told_the_user_as_he_is_then(books):
    name = added(books).user.name
    for use_case in (users.disable, users.disable, users.reset, users.reset):
        told = do(books, use_case, name)
        with books.read(COMMAND_LINE) as work:
            (user,) = [found for found in users.every(work) if found.name == name]
        assert user in {told, getattr(told, "user", None)}
    assert user.epoch == 4
    users.signed_in(books, user.user_id, user.epoch)


def test_there_is_no_session_of_nobody_and_none_of_later(books):
    user, _ = added(books)
    require_ended(("usr_nobody", 1), books)
    require_ended((user.user_id, 0), books)
    require_ended((user.user_id, 2), books)


def test_a_session_sees_the_policies_as_of_now(books, others):
    user, _ = added(books)
    for its in (books, others):
        brand = f"brand-{next(_numbers)}"
        assert brand not in users.signed_in(others, user.user_id, 1)[1]
        do(its, publication.import_version, read_policy(f'policy = "{brand}"\nversion = 1'))
        for seen_by in (books, others):
            assert brand in users.signed_in(seen_by, user.user_id, 1)[1]


# What is stored.


def test_the_journal_says_what_happens_to_a_user_and_not_his_name(books):
    before = len(journal(books))
    user, password = added(books, f"petra-{next(_numbers)}", Role.AUDITOR)
    do(books, users.reset, user.name)
    signed_out(books, user.user_id)
    do(books, users.disable, user.name)
    tried(books, user.name)
    entered = journal(books)[before:]
    assert [(event["type"], event["subject"], event["data"], event["actor"]) for event in entered] == [
        (EventType.USER_CREATED, user.user_id, '{"role":"auditor"}', "command-line"),
        (EventType.USER_RESET, user.user_id, "{}", "command-line"),
        (EventType.USER_DISABLED, user.user_id, "{}", "command-line"),
    ]
    for secret in ("petra", password, user.password_hash):
        assert secret not in repr(entered)


def written(directory):
    """The bytes of everything that an installation has written."""
    return {file.name: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_neither_a_password_nor_what_is_typed_as_a_name_is_in_any_file(tmp_path):
    """Somebody types his password in the field of the name; whatever was typed is known by a keyed digest alone."""
    with closing(Books(settings(tmp_path))) as books:
        user, password = added(books, "zq-anna")
        again = do(books, users.reset, "zq-anna").password
        typed = (password, again, "ZQ-Somebody 5519", "zq.nobody", GUESS)
        for text in typed:
            assert tried(books, text) is Unauthenticated
        assert tried(books, "zq-anna") is Unauthenticated
        assert tried(books, "zq-anna", again).user_id == user.user_id
        running = written(tmp_path)
    assert running["refunds.db-wal" if wal_is_sound(sqlite3.sqlite_version_info) else "refunds.db"]
    for files in (running, written(tmp_path)):
        everything = b"\n".join(files.values()).lower()
        assert b"zq-anna" in everything, "names are stored as they are"
        for text in typed:
            assert text.lower().encode() not in everything
            assert text.lower().encode().hex().encode() not in everything
            assert text.encode().hex().encode() not in everything
