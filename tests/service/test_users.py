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
from refunds.service.store import Store
from refunds.storage import events
from refunds.storage.sqlite import sqlite3, wal_is_sound
from refunds.storage.users import WITHIN, Users
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
def store(config):
    """Its records."""
    with closing(Store(config)) as made:
        yield made


@pytest.fixture(scope="module")
def others(store, config):
    """The same records, as another process has them open."""
    store.open()
    with closing(Store(config)) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_tried(store):
    """Nobody has tried to sign in."""
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run("DELETE FROM sign_in_attempts")


@pytest.fixture
def clock():
    """The clock, to be moved."""
    with time_machine.travel(NOW, tick=False) as moved:
        yield moved


def added(store, name=None, role=Role.AGENT):
    """A new user, and the password."""
    with store.write(COMMAND_LINE) as uow:
        return users.add(uow, f"user-{next(_numbers)}" if name is None else name, role)


def do(store, use_case, *given):
    """What a use case in a write of its own gives."""
    with store.write(COMMAND_LINE) as uow:
        return use_case(uow, *given)


GUESS = "zq-guess 70112"


def signed_out(store, user_id):
    """Sign a user out."""
    with store.write(Principal(user_id, "", Role.AGENT)) as uow:
        uow.users.end_sessions(uow.principal.actor)


def tried(store, name, password=GUESS):
    """How an attempt at signing in ends: the user, or the class of the error."""
    try:
        return users.sign_in(store, name, password)
    except CallersError as error:
        return type(error)


def in_vain(store, name, times):
    """Attempts that are looked at, and are all in vain."""
    assert {tried(store, name) for _ in range(times)} <= {Unauthenticated}


def journal(store):
    """Every event."""
    with store.read(COMMAND_LINE) as uow:
        return [dict(row) for row in events.iter_all(uow.tx)]


# Who there is.


def test_a_user_is_added_by_name_and_known_by_an_opaque_id(store):
    user, password = added(store, "anna.berger@north-1", Role.SUPERVISOR)
    assert user.user_id.startswith("usr_")
    assert "anna" not in user.user_id
    assert (user.name, user.role, user.epoch, user.disabled_at) == ("anna.berger@north-1", Role.SUPERVISOR, 1, None)
    assert password not in user.password_hash
    with store.read(COMMAND_LINE) as uow:
        assert user in uow.users.iter_all()


@pytest.mark.parametrize("name", ["a", "0", "7of9", "a" * 64, "a.b_c@d-e", "a--", "Big.Ben", " spaced\t", "LOUD\n"])
def test_a_name_is_of_plain_letters_however_it_is_typed(store, name):
    user, password = added(store, name)
    assert user.name == name.strip().lower()
    assert users.sign_in(store, f" {name.swapcase()}\n", password) == user


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
def test_a_name_of_anything_else_is_refused(store, name):
    with pytest.raises(InvalidInput) as refused:
        added(store, name)
    ((pointer, detail, code),) = [
        (field_error.pointer, field_error.detail, field_error.code) for field_error in refused.value.errors
    ]
    assert (pointer, code) == ("/name", "invalid")
    assert "1 to 64 letters" in detail


def test_a_name_is_given_once_however_it_is_spelt(store):
    user, _ = added(store)
    before = journal(store)
    for name in (user.name, user.name.upper(), f"  {user.name} "):
        with pytest.raises(InvalidInput, match=f"there is a user {user.name} already: choose another name") as refused:
            added(store, name)
        assert [field_error.code for field_error in refused.value.errors] == ["taken"]
    do(store, users.disable, user.name)
    with pytest.raises(InvalidInput):
        added(store, user.name)
    assert len(journal(store)) == len(before) + 1


def test_of_many_who_add_the_same_name_at_once_one_does(store, others):
    name = f"user-{next(_numbers)}"

    def add(its):
        with suppress(InvalidInput, Conflict):
            return added(its, name)

    with ThreadPoolExecutor(8) as pool:
        (made,) = filter(None, pool.map(add, [store, others] * 4))
    assert tried(store, name, made.password) == made.user


def test_whom_nobody_has_added_is_neither_disabled_nor_reset(store):
    for name in ("nobody", "", "no body", "\0", "änne", "\udcff"):
        for use_case in (users.disable, users.reset):
            with pytest.raises(NotFound, match="there is no user of this name: see `flask users list`"):
                do(store, use_case, name)


def test_the_first_users_are_one_for_each_screen_and_only_where_there_is_none(tmp_path, engine):
    with closing(Store(settings(tmp_path))) as store:
        made = do(store, users.first_users)
        assert [(user.name, user.role) for user, _ in made] == [
            (role, role) for role in (Role.AGENT, Role.SUPERVISOR, Role.PRODUCT, Role.AUDITOR)
        ]
        assert [users.sign_in(store, user.name, password) for user, password in made] == [user for user, _ in made]
        do(store, users.disable, "agent")
        assert do(store, users.first_users) == []


def test_users_and_clients_are_called_by_their_names_as_long_as_they_have_one(store):
    anna, ben = added(store).user, added(store).user
    with store.write(COMMAND_LINE) as uow:
        clients.create_token(uow, Role.BILLING, f"billing {anna.name}", 1)
        client = next(client for client, _ in uow.tokens.with_clients() if client.name == f"billing {anna.name}")
        uow.tx.run("UPDATE users SET name = NULL WHERE user_id = :id", id=ben.user_id)
    with store.read(COMMAND_LINE) as uow:
        found = uow.users.names([anna.user_id, ben.user_id, client.client_id, "command-line", anna.user_id])
    assert found == {anna.user_id: anna.name, client.client_id: client.name}
    assert users.signed_in(store, ben.user_id, 1)[0].name == ben.user_id


# Signing in.


def test_who_has_the_password_signs_in_and_nobody_else(store, others):
    user, password = added(store)
    _, of_another = added(store)
    assert tried(store, user.name, password) == user
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
        assert tried(store, user.name, wrong) is Unauthenticated
    assert tried(store, "nobody", password) is Unauthenticated


@pytest.mark.parametrize("name", ["nobody", "", "no body", "no\0body", "nöbody", "x" * 100_000])
def test_of_nobody_a_password_is_tried_like_that_of_anybody(store, hasher, name):
    """One is verified for each attempt, so that nobody learns from the time it takes who there is."""
    user, _ = added(store)
    assert tried(store, user.name) is Unauthenticated
    assert hasher.tried == [user.password_hash]
    assert tried(store, name) is Unauthenticated
    assert len(hasher.tried) == 2


def test_whoever_is_refused_is_told_the_same(store):
    user, password = added(store)
    disabled, its_password = added(store)
    do(store, users.disable, disabled.name)
    told = set()
    for given in ((user.name, "wrong"), ("nobody", password), ("no\0body", ""), (disabled.name, its_password)):
        with pytest.raises(Unauthenticated) as refused:
            users.sign_in(store, *given)
        told.add(str(refused.value))
    assert told == {"The user name or the password is wrong."}


def test_a_disabled_user_signs_in_only_with_the_password_of_a_reset(store, others, hasher):
    user, password = added(store)
    do(store, users.disable, user.name)
    hasher.tried.clear()
    assert tried(others, user.name, password) is Unauthenticated
    assert hasher.tried == [user.password_hash], "it takes as long"
    again = do(store, users.reset, user.name.upper())
    assert again.password != password
    assert (again.user.user_id, again.user.role, again.user.disabled_at) == (user.user_id, user.role, None)
    assert tried(others, user.name, password) is Unauthenticated
    assert tried(others, user.name, again.password).user_id == user.user_id


# How often it may be tried.


def test_after_ten_attempts_in_vain_no_password_is_looked_at_for_a_while(store, others, hasher, clock):
    user, password = added(store)
    in_vain(store, user.name, LIMIT)
    hasher.tried.clear()
    clock.shift(WITHIN - timedelta(microseconds=1))
    for its in (store, others):
        with pytest.raises(
            TooManyAttempts, match="There were 10 failed attempts: wait 15 minutes, or have the password reset"
        ):
            users.sign_in(its, user.name, password)
    assert hasher.tried == []
    clock.shift(timedelta(microseconds=1))
    assert tried(store, user.name, password) == user


def test_whoever_goes_on_trying_waits_no_longer_and_has_ten_more_then(store, clock):
    user, _ = added(store)
    for _ in range(3):
        in_vain(store, user.name, LIMIT)
        for _ in range(5):
            assert tried(store, user.name) is TooManyAttempts
            clock.shift(WITHIN / 5)


def test_the_tenth_attempt_may_be_right_and_all_is_counted_anew_then(store, clock):
    user, password = added(store)
    for _ in range(2):
        in_vain(store, user.name, LIMIT - 1)
        assert tried(store, user.name, password) == user
    in_vain(store, user.name, LIMIT)
    assert tried(store, user.name, password) is TooManyAttempts


def test_attempts_of_long_ago_do_not_count(store, clock):
    user, password = added(store)
    in_vain(store, user.name, LIMIT - 1)
    clock.shift(WITHIN)
    in_vain(store, user.name, LIMIT - 1)
    assert tried(store, user.name, password) == user


def test_a_reset_forgives_what_was_tried_in_vain(store, clock):
    user, _ = added(store)
    in_vain(store, user.name, LIMIT)
    again = do(store, users.reset, f" {user.name.upper()}")
    assert tried(store, user.name, again.password).user_id == user.user_id
    in_vain(store, user.name, LIMIT)


def test_who_is_disabled_is_not_tried_for_ever_either(store, clock):
    user, password = added(store)
    do(store, users.disable, user.name)
    found = [tried(store, user.name, password) for _ in range(LIMIT + 1)]
    assert found == [Unauthenticated] * LIMIT + [TooManyAttempts]


def test_a_name_is_counted_however_it_is_spelt_and_others_are_not(store, clock):
    user, _ = added(store, f"longer-{next(_numbers)}")
    near, its_password = added(store, f"{user.name}0")
    for i in range(LIMIT):
        spelt = (user.name, user.name.upper(), f" {user.name}", f"{user.name.title()}\n")[i % 4]
        assert tried(store, spelt) is Unauthenticated
    assert tried(store, user.name.title()) is TooManyAttempts
    assert tried(store, near.name, its_password) == near


@pytest.mark.parametrize("name", ["nobody at all", "", "\0", "nö", "y" * 10_000, "\ud800"])
def test_what_is_no_name_is_counted_too(store, clock, name):
    assert [tried(store, name) for _ in range(LIMIT + 1)] == [Unauthenticated] * LIMIT + [TooManyAttempts]
    clock.shift(WITHIN)
    assert tried(store, name) is Unauthenticated


def test_what_was_tried_long_ago_is_kept_no_longer(store, clock):
    for i in range(5):
        tried(store, f"nobody-{i}")
    clock.shift(WITHIN)
    tried(store, "somebody")
    with store.read(COMMAND_LINE) as uow:
        assert uow.tx.one("SELECT count(*) AS left FROM sign_in_attempts")["left"] == 1


def test_of_many_attempts_at_once_ten_are_looked_at(store, others, monkeypatch):
    """Each is counted before it is looked at, by whatever process."""
    user, password = added(store)
    looked_at = []

    def fits(*given):
        looked_at.append(given)
        return False

    monkeypatch.setattr(users, "password_fits", fits)
    with ThreadPoolExecutor(24) as pool:
        ended = Counter(pool.map(lambda its: tried(its, user.name, password), [store, others] * 20))
    assert ended == {Unauthenticated: LIMIT, TooManyAttempts: 40 - LIMIT}
    assert looked_at == [(password, user.password_hash)] * LIMIT


def test_a_reset_does_not_get_in_the_way_of_an_attempt_that_is_under_way(store, others, monkeypatch):
    """Both hold the attempts by a name, and then the user: else each would wait for the other."""
    user, password = added(store)
    in_vain(store, user.name, 1)
    counted, count_attempt = Event(), Users.count_attempt

    def count_slowly(*given):
        made = count_attempt(*given)
        counted.set()
        sleep(0.2)
        return made

    monkeypatch.setattr(Users, "count_attempt", count_slowly)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(tried, store, user.name, password)
        assert counted.wait(5)
        again = do(others, users.reset, user.name)
        assert attempt.result() == user
    require_ended((user.user_id, user.epoch), store)
    assert users.sign_in(store, user.name, again.password).user_id == user.user_id


# How long a session holds.


def require_ended(session, *everywhere):
    """A session has ended, in whatever process it is used."""
    for store in everywhere:
        with pytest.raises(Unauthenticated, match="The session has ended: sign in again"):
            users.signed_in(store, *session)


@pytest.mark.parametrize("end", [users.disable, users.reset, None], ids=["disabled", "reset", "signed out"])
def test_every_session_ends_with_the_next_request_in_whatever_process(store, others, end):
    user, password = added(store)
    (session,) = {
        (found.user_id, found.epoch) for found in (tried(its, user.name, password) for its in (store, others))
    }
    for its in (store, others):
        assert users.signed_in(its, *session)[0].actor == session[0]
    if end is None:
        signed_out(store, session[0])
    else:
        do(store, end, user.name)
    require_ended(session, others, store)


def test_a_session_is_of_the_user_and_what_he_does_is_his(store):
    user, password = added(store, role=Role.PRODUCT)
    found = users.sign_in(store, user.name, password)
    principal, _ = users.signed_in(store, found.user_id, found.epoch)
    assert (principal.actor, principal.name, principal.role) == (user.user_id, user.name, Role.PRODUCT)
    assert (principal.token_id, principal.expires_at) == (None, None)
    with store.write(principal) as uow:
        publication.import_version(uow, read_policy(f'policy = "brand-{next(_numbers)}"\nversion = 1'))
    assert journal(store)[-1]["actor"] == user.user_id


def test_who_signs_in_again_has_another_session_and_the_old_one_stays_ended(store):
    user, password = added(store)
    for epoch in range(1, 4):
        assert users.sign_in(store, user.name, password).epoch == epoch
        users.signed_in(store, user.user_id, epoch)
        signed_out(store, user.user_id)
        require_ended((user.user_id, epoch), store)


def test_the_sessions_of_others_go_on(store):
    user, other = added(store).user, added(store).user
    do(store, users.disable, user.name)
    assert users.signed_in(store, other.user_id, 1)[0].name == other.name


def test_to_be_disabled_twice_changes_nothing(store):
    user, _ = added(store)
    once = do(store, users.disable, user.name)
    before = journal(store)
    assert do(store, users.disable, user.name).disabled_at == once.disabled_at
    assert journal(store) == before


def test_whoever_disables_or_resets_is_told_the_user_as_he_is_then(store):
    name = added(store).user.name
    for use_case in (users.disable, users.disable, users.reset, users.reset):
        told = do(store, use_case, name)
        with store.read(COMMAND_LINE) as uow:
            (user,) = [found for found in uow.users.iter_all() if found.name == name]
        assert user in {told, getattr(told, "user", None)}
    assert user.epoch == 4
    users.signed_in(store, user.user_id, user.epoch)


def test_there_is_no_session_of_nobody_and_none_of_later(store):
    user, _ = added(store)
    require_ended(("usr_nobody", 1), store)
    require_ended((user.user_id, 0), store)
    require_ended((user.user_id, 2), store)


def test_a_session_sees_the_policies_as_of_now(store, others):
    user, _ = added(store)
    for its in (store, others):
        brand = f"brand-{next(_numbers)}"
        assert brand not in users.signed_in(others, user.user_id, 1)[1]
        do(its, publication.import_version, read_policy(f'policy = "{brand}"\nversion = 1'))
        for seen_by in (store, others):
            assert brand in users.signed_in(seen_by, user.user_id, 1)[1]


# What is stored.


def test_the_journal_says_what_happens_to_a_user_and_not_his_name(store):
    before = len(journal(store))
    user, password = added(store, f"petra-{next(_numbers)}", Role.AUDITOR)
    do(store, users.reset, user.name)
    signed_out(store, user.user_id)
    do(store, users.disable, user.name)
    tried(store, user.name)
    entered = journal(store)[before:]
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
    with closing(Store(settings(tmp_path))) as store:
        user, password = added(store, "zq-anna")
        again = do(store, users.reset, "zq-anna").password
        typed = (password, again, "ZQ-Somebody 5519", "zq.nobody", GUESS)
        for text in typed:
            assert tried(store, text) is Unauthenticated
        assert tried(store, "zq-anna") is Unauthenticated
        assert tried(store, "zq-anna", again).user_id == user.user_id
        running = written(tmp_path)
    assert running["refunds.db-wal" if wal_is_sound(sqlite3.sqlite_version_info) else "refunds.db"]
    for files in (running, written(tmp_path)):
        everything = b"\n".join(files.values()).lower()
        assert b"zq-anna" in everything, "names are stored as they are"
        for text in typed:
            assert text.lower().encode() not in everything
            assert text.lower().encode().hex().encode() not in everything
            assert text.encode().hex().encode() not in everything
