"""Users: who may sign in, how many attempts are allowed, and how long a session lasts."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, product
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
from refunds.security.limiter import Limiter
from refunds.service import clients, publication, users
from refunds.service.store import Store
from refunds.storage import events
from refunds.storage.events import Events
from refunds.storage.sqlite import sqlite3, wal_is_sound
from refunds.storage.users import WITHIN, Users
from tests.conftest import mostly_on, settings

NOW = datetime(2026, 4, 8, 9, tzinfo=UTC)
LIMIT = users.ATTEMPTS
_numbers = count(1)


class Cheap(PasswordHasher):
    """A cheap password hasher that remembers the hashes that passwords are compared with."""

    def __init__(self):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.tried = []

    def verify(self, stored, password):
        """Whether a password fits."""
        self.tried.append(stored)
        return super().verify(stored, password)


@pytest.fixture(autouse=True)
def hasher(monkeypatch):
    """The password hasher."""
    cheap = Cheap()
    monkeypatch.setattr(passwords, "_passwords", lambda: cheap)
    return cheap


@pytest.fixture(scope="module")
def config(engine, tmp_path_factory):
    """The settings of an installation."""
    return settings(tmp_path_factory.mktemp("users"), engine=engine)


@pytest.fixture(scope="module")
def store(config):
    """The store of the installation."""
    with closing(Store(config)) as made:
        yield made


@pytest.fixture(scope="module")
def other_store(store, config):
    """A second store on the same records, as in another process."""
    store.open()
    with closing(Store(config)) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_attempts(store):
    """Delete all attempts to sign in."""
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run("DELETE FROM sign_in_attempts")


@pytest.fixture
def clock():
    """The clock, which a test can move."""
    with time_machine.travel(NOW, tick=False) as moved:
        yield moved


def added(store, name=None, role=Role.AGENT):
    """Add a user, and return the user and the password."""
    with store.write(COMMAND_LINE) as uow:
        return users.add(uow, f"user-{next(_numbers)}" if name is None else name, role)


def run(store, use_case, *given):
    """Run a use case in its own transaction, and return its result."""
    with store.write(COMMAND_LINE) as uow:
        return use_case(uow, *given)


GUESS = "zq-guess 70112"


def signed_out(store, user_id):
    """Sign a user out."""
    with store.write(Principal(user_id, "", Role.AGENT)) as uow:
        uow.users.end_sessions(uow.principal.actor)


def sign_in_outcome(store, name, password=GUESS):
    """Try to sign in: the user, or the class of the error."""
    try:
        return users.sign_in(store, name, password)
    except CallersError as error:
        return type(error)


def fail_to_sign_in(store, name, times):
    """Make attempts that are checked and fail."""
    assert {sign_in_outcome(store, name) for _ in range(times)} <= {Unauthenticated}


def journal(store):
    """All events of the journal."""
    with store.read(COMMAND_LINE) as uow:
        return [dict(row) for row in Events.iter_rows(uow.tx)]


# Users.


def test_a_user_is_added_by_name_and_known_by_an_opaque_id(store):
    user, password = added(store, "anna.berger@north-1", Role.SUPERVISOR)
    assert user.user_id.startswith("usr_")
    assert "anna" not in user.user_id
    assert (user.name, user.role, user.epoch, user.disabled_at) == ("anna.berger@north-1", Role.SUPERVISOR, 1, None)
    assert password not in user.password_hash
    with store.read(COMMAND_LINE) as uow:
        assert user in uow.users.iter_all()


@pytest.mark.parametrize("name", ["a", "0", "7of9", "a" * 64, "a.b_c@d-e", "a--", "Big.Ben", " spaced\t", "LOUD\n"])
def test_a_name_is_stripped_and_lower_case(store, name):
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
def test_a_name_with_other_characters_is_refused(store, name):
    with pytest.raises(InvalidInput) as refused:
        added(store, name)
    ((pointer, detail, code),) = [
        (field_error.pointer, field_error.detail, field_error.code) for field_error in refused.value.errors
    ]
    assert (pointer, code) == ("/name", "invalid")
    assert "1 to 64 letters" in detail


def test_a_name_is_unique_in_every_spelling(store):
    user, _ = added(store)
    before = journal(store)
    for name in (user.name, user.name.upper(), f"  {user.name} "):
        with pytest.raises(InvalidInput, match=f"there is a user {user.name} already: choose another name") as refused:
            added(store, name)
        assert [field_error.code for field_error in refused.value.errors] == ["taken"]
    run(store, users.disable, user.name)
    with pytest.raises(InvalidInput):
        added(store, user.name)
    assert len(journal(store)) == len(before) + 1


def test_only_one_of_many_concurrent_additions_of_a_name_succeeds(store, other_store):
    name = f"user-{next(_numbers)}"

    def add(own_store):
        with suppress(InvalidInput, Conflict):
            return added(own_store, name)

    with ThreadPoolExecutor(8) as pool:
        (made,) = filter(None, pool.map(add, [store, other_store] * 4))
    assert sign_in_outcome(store, name, made.password) == made.user


def test_an_unknown_user_cannot_be_disabled_or_reset(store):
    for name in ("nobody", "", "no body", "\0", "änne", "\udcff"):
        for use_case in (users.disable, users.reset):
            with pytest.raises(NotFound, match="there is no user of this name: see `flask users list`"):
                run(store, use_case, name)


def test_the_first_users_are_only_created_if_there_are_none(tmp_path, engine):
    with closing(Store(settings(tmp_path))) as store:
        made = run(store, users.first_users)
        assert [(user.name, user.role) for user, _ in made] == [
            (role, role) for role in (Role.AGENT, Role.SUPERVISOR, Role.PRODUCT, Role.PRIVACY, Role.AUDITOR)
        ]
        assert [users.sign_in(store, user.name, password) for user, password in made] == [user for user, _ in made]
        run(store, users.disable, "agent")
        assert run(store, users.first_users) == []


def test_users_and_clients_have_names_until_they_are_erased(store):
    anna, ben = added(store).user, added(store).user
    with store.write(COMMAND_LINE) as uow:
        clients.create_token(uow, Role.BILLING, f"billing {anna.name}", 1)
        client = next(client for client, _ in uow.tokens.with_clients() if client.name == f"billing {anna.name}")
        uow.tx.run("UPDATE users SET name = NULL WHERE user_id = :id", id=ben.user_id)
    with store.read(COMMAND_LINE) as uow:
        found = uow.users.names([anna.user_id, ben.user_id, client.client_id, "command-line", anna.user_id])
    assert found == {anna.user_id: anna.name, client.client_id: f"{client.name} (API)"}
    assert users.signed_in(store, users.session_for(store, ben))[0].name == ben.user_id


# Signing in.


def test_a_user_signs_in_only_with_the_right_password(store, other_store):
    user, password = added(store)
    _, of_another_user = added(store)
    assert sign_in_outcome(store, user.name, password) == user
    assert sign_in_outcome(other_store, user.name, password) == user
    for wrong in (
        of_another_user,
        password.upper(),
        password[:-1],
        f"{password} ",
        "",
        user.password_hash,
        "\0",
        "ä",
        "\ud800",
    ):
        assert sign_in_outcome(store, user.name, wrong) is Unauthenticated
    assert sign_in_outcome(store, "nobody", password) is Unauthenticated


@pytest.mark.parametrize("name", ["nobody", "", "no body", "no\0body", "nöbody", "x" * 100_000])
def test_a_password_of_an_unknown_user_is_checked_too(store, hasher, name):
    """Each attempt verifies one hash, so that its duration does not reveal which users exist."""
    user, _ = added(store)
    assert sign_in_outcome(store, user.name) is Unauthenticated
    assert hasher.tried == [user.password_hash]
    assert sign_in_outcome(store, name) is Unauthenticated
    assert len(hasher.tried) == 2


def test_every_failed_sign_in_gets_the_same_message(store):
    user, password = added(store)
    disabled, other_password = added(store)
    run(store, users.disable, disabled.name)
    messages = set()
    for given in ((user.name, "wrong"), ("nobody", password), ("no\0body", ""), (disabled.name, other_password)):
        with pytest.raises(Unauthenticated) as refused:
            users.sign_in(store, *given)
        messages.add(str(refused.value))
    assert messages == {"The user name or the password is wrong."}


def test_a_disabled_user_signs_in_only_with_the_password_from_a_reset(store, other_store, hasher):
    user, password = added(store)
    run(store, users.disable, user.name)
    hasher.tried.clear()
    assert sign_in_outcome(other_store, user.name, password) is Unauthenticated
    assert hasher.tried == [user.password_hash], "it takes as long"
    again = run(store, users.reset, user.name.upper())
    assert again.password != password
    assert (again.user.user_id, again.user.role, again.user.disabled_at) == (user.user_id, user.role, None)
    assert sign_in_outcome(other_store, user.name, password) is Unauthenticated
    assert sign_in_outcome(other_store, user.name, again.password).user_id == user.user_id


# Attempts.


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    """As many attempts with names that do not exist as a test makes."""
    monkeypatch.setattr(users, "NOBODYS", Limiter(1_000))


def test_after_ten_failed_attempts_no_password_is_checked_for_a_while(store, other_store, hasher, clock):
    user, password = added(store)
    fail_to_sign_in(store, user.name, LIMIT)
    hasher.tried.clear()
    clock.shift(WITHIN - timedelta(microseconds=1))
    for own_store in (store, other_store):
        with pytest.raises(
            TooManyAttempts, match="There were 10 failed attempts: wait 15 minutes, or have the password reset"
        ):
            users.sign_in(own_store, user.name, password)
    assert hasher.tried == []
    clock.shift(timedelta(microseconds=1))
    assert sign_in_outcome(store, user.name, password) == user


def test_further_attempts_do_not_extend_the_wait(store, clock):
    user, _ = added(store)
    for _ in range(3):
        fail_to_sign_in(store, user.name, LIMIT)
        for _ in range(5):
            assert sign_in_outcome(store, user.name) is TooManyAttempts
            clock.shift(WITHIN / 5)


def test_a_successful_tenth_attempt_resets_the_count(store, clock):
    user, password = added(store)
    for _ in range(2):
        fail_to_sign_in(store, user.name, LIMIT - 1)
        assert sign_in_outcome(store, user.name, password) == user
    fail_to_sign_in(store, user.name, LIMIT)
    assert sign_in_outcome(store, user.name, password) is TooManyAttempts


def test_old_attempts_do_not_count(store, clock):
    user, password = added(store)
    fail_to_sign_in(store, user.name, LIMIT - 1)
    clock.shift(WITHIN)
    fail_to_sign_in(store, user.name, LIMIT - 1)
    assert sign_in_outcome(store, user.name, password) == user


def test_a_reset_clears_failed_attempts(store, clock):
    user, _ = added(store)
    fail_to_sign_in(store, user.name, LIMIT)
    again = run(store, users.reset, f" {user.name.upper()}")
    assert sign_in_outcome(store, user.name, again.password).user_id == user.user_id
    fail_to_sign_in(store, user.name, LIMIT)


def test_attempts_of_a_disabled_user_are_limited_too(store, clock):
    user, password = added(store)
    run(store, users.disable, user.name)
    found = [sign_in_outcome(store, user.name, password) for _ in range(LIMIT + 1)]
    assert found == [Unauthenticated] * LIMIT + [TooManyAttempts]


def test_attempts_count_for_a_name_in_every_spelling_and_for_no_other(store, clock):
    user, _ = added(store, f"longer-{next(_numbers)}")
    near, other_password = added(store, f"{user.name}0")
    for i in range(LIMIT):
        spelling = (user.name, user.name.upper(), f" {user.name}", f"{user.name.title()}\n")[i % 4]
        assert sign_in_outcome(store, spelling) is Unauthenticated
    assert sign_in_outcome(store, user.name.title()) is TooManyAttempts
    assert sign_in_outcome(store, near.name, other_password) == near


@pytest.mark.proof
@mostly_on("postgresql")
@pytest.mark.parametrize("name", ["nobody at all", "", "\0", "nö", "y" * 10_000, "\ud800"])
def test_attempts_with_an_invalid_name_are_limited_too(store, clock, name):
    assert [sign_in_outcome(store, name) for _ in range(LIMIT + 1)] == [Unauthenticated] * LIMIT + [TooManyAttempts]
    clock.shift(WITHIN)
    assert sign_in_outcome(store, name) is Unauthenticated


def test_a_browser_that_has_signed_in_before_is_not_locked_by_others(store, clock):
    """It has ten attempts of its own; that somebody else signed in with it does not help."""
    user, password = added(store)
    fail_to_sign_in(store, user.name, LIMIT)
    assert sign_in_outcome(store, user.name, password) is TooManyAttempts
    for known in ("usr_another", None):
        with pytest.raises(TooManyAttempts):
            users.sign_in(store, user.name, password, known)
    assert users.sign_in(store, user.name, password, user.user_id) == user
    for _ in range(LIMIT):
        with pytest.raises(Unauthenticated):
            users.sign_in(store, user.name, "wrong", user.user_id)
    with pytest.raises(TooManyAttempts):
        users.sign_in(store, user.name, password, user.user_id)


def test_attempts_with_names_that_do_not_exist_are_limited_together(store, monkeypatch):
    """They are not counted in the records then, and users still sign in."""
    monkeypatch.setattr(users, "NOBODYS", Limiter(3))
    user, password = added(store)
    found = [sign_in_outcome(store, f"nobody-{number}") for number in range(30)]
    assert found[:3] == [Unauthenticated] * 3
    assert TooManyAttempts in found[3:]
    assert sign_in_outcome(store, user.name, password) == user


def test_old_attempts_are_deleted(store, clock):
    for i in range(5):
        sign_in_outcome(store, f"nobody-{i}")
    clock.shift(WITHIN)
    sign_in_outcome(store, "somebody")
    with store.read(COMMAND_LINE) as uow:
        assert uow.tx.one("SELECT count(*) AS left FROM sign_in_attempts")["left"] == 1


def test_only_ten_of_many_concurrent_attempts_are_checked(store, other_store, monkeypatch):
    """Each is counted before its password is checked, in every process."""
    user, password = added(store)
    checked = []

    def fits(*given):
        checked.append(given)
        return False

    monkeypatch.setattr(users, "password_fits", fits)
    with ThreadPoolExecutor(24) as pool:
        ended = Counter(
            pool.map(lambda own_store: sign_in_outcome(own_store, user.name, password), [store, other_store] * 20)
        )
    assert ended == {Unauthenticated: LIMIT, TooManyAttempts: 40 - LIMIT}
    assert checked == [(password, user.password_hash)] * LIMIT


def test_a_reset_does_not_deadlock_with_a_running_attempt(store, other_store, monkeypatch):
    """Both lock the attempts of a name first and the user second, so that neither waits for the other."""
    user, password = added(store)
    fail_to_sign_in(store, user.name, 1)
    counted, count_attempt = Event(), Users.count_attempt

    def count_slowly(*given, **named):
        made = count_attempt(*given, **named)
        counted.set()
        sleep(0.2)
        return made

    monkeypatch.setattr(Users, "count_attempt", count_slowly)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(sign_in_outcome, store, user.name, password)
        assert counted.wait(5)
        again = run(other_store, users.reset, user.name)
        assert attempt.result() == user
    require_ended(users.session_for(store, user), store)
    assert users.sign_in(store, user.name, again.password).user_id == user.user_id


# Sessions.


def require_ended(session, *stores):
    """Assert that a session has ended in each of the stores."""
    for store in stores:
        with pytest.raises(Unauthenticated, match="The session has ended: sign in again"):
            users.signed_in(store, session)


@pytest.mark.parametrize("end", [users.disable, users.reset, None], ids=["disabled", "reset", "signed out"])
def test_every_session_ends_with_the_next_request_in_every_process(store, other_store, end):
    user, password = added(store)
    begun = [
        users.session_for(own_store, sign_in_outcome(own_store, user.name, password))
        for own_store in (store, other_store)
    ]
    for session, own_store in product(begun, (store, other_store)):
        assert users.signed_in(own_store, session)[0].actor == user.user_id
    if end is None:
        signed_out(store, user.user_id)
    else:
        run(store, end, user.name)
    for session in begun:
        require_ended(session, other_store, store)


def test_a_session_acts_as_its_user(store):
    user, password = added(store, role=Role.PRODUCT)
    found = users.sign_in(store, user.name, password)
    principal, _ = users.signed_in(store, users.session_for(store, found))
    assert (principal.actor, principal.name, principal.role) == (user.user_id, user.name, Role.PRODUCT)
    assert (principal.token_id, principal.expires_at) == (None, None)
    with store.write(principal) as uow:
        publication.import_version(uow, read_policy(f'policy = "brand-{next(_numbers)}"\nversion = 1'))
    assert journal(store)[-1]["actor"] == user.user_id


def test_signing_in_again_starts_another_session_and_the_old_one_stays_ended(store):
    user, password = added(store)
    for epoch in range(1, 4):
        found = users.sign_in(store, user.name, password)
        assert found.epoch == epoch
        session = users.session_for(store, found)
        users.signed_in(store, session)
        signed_out(store, user.user_id)
        require_ended(session, store)


def test_the_sessions_of_other_users_continue(store):
    user, other = added(store).user, added(store).user
    session = users.session_for(store, other)
    run(store, users.disable, user.name)
    assert users.signed_in(store, session)[0].name == other.name


def test_disabling_a_user_twice_changes_nothing(store):
    user, _ = added(store)
    once = run(store, users.disable, user.name)
    before = journal(store)
    assert run(store, users.disable, user.name).disabled_at == once.disabled_at
    assert journal(store) == before


def test_disable_and_reset_return_the_updated_user(store):
    name = added(store).user.name
    for use_case in (users.disable, users.disable, users.reset, users.reset):
        result = run(store, use_case, name)
        with store.read(COMMAND_LINE) as uow:
            (user,) = [found for found in uow.users.iter_all() if found.name == name]
        assert user in {result, getattr(result, "user", None)}
    assert user.epoch == 4
    users.signed_in(store, users.session_for(store, user))


def test_a_session_of_an_unknown_user_epoch_or_journal_is_refused(store):
    session = users.session_for(store, added(store).user)
    users.signed_in(store, session)
    for changed in ({"user_id": "usr_nobody"}, {"epoch": 0}, {"epoch": 2}, {"journal_id": "jrn_other"}):
        require_ended(session._replace(**changed), store)
    require_ended(session._replace(position=session.position + 1), store)


@pytest.mark.parametrize("end", [users.disable, users.reset, None], ids=["disabled", "reset", "signed out"])
def test_an_epoch_that_is_set_back_revives_no_session(store, other_store, end):
    """By hand, in the database; the journal knows that the session has ended."""
    user, password = added(store)
    session = users.session_for(store, users.sign_in(store, user.name, password))
    run(store, publication.import_version, read_policy(f'policy = "brand-{next(_numbers)}"\nversion = 1'))
    users.signed_in(store, session)
    if end is None:
        signed_out(store, user.user_id)
    else:
        run(store, end, user.name)
    with store.write(COMMAND_LINE) as uow:
        back = "UPDATE users SET epoch = :epoch, disabled_at = NULL, password_hash = :hash WHERE user_id = :user_id"
        assert uow.tx.run(back, epoch=user.epoch, hash=user.password_hash, user_id=user.user_id) == 1
    require_ended(session, store, other_store)
    again = users.sign_in(store, user.name, password)
    assert again.epoch == session.epoch
    users.signed_in(other_store, users.session_for(store, again))


def test_a_restored_database_revives_no_session(config, store):
    """A restore gives the journal another id, and undoes the event that ended the session."""
    user, password = added(store)
    session = users.session_for(store, users.sign_in(store, user.name, password))
    signed_out(store, user.user_id)
    with store.write(COMMAND_LINE) as uow:
        uow.users.begin_session(session.session_id, replace(user, epoch=user.epoch + 1))
        head, last = uow.events.head(), "SELECT hash FROM events WHERE position = :position"
        row = uow.tx.one(last, position=head.position - 1)
        uow.tx.run("DELETE FROM events WHERE position = :position", position=head.position)
        uow.tx.run("UPDATE users SET epoch = :epoch WHERE user_id = :user_id", epoch=user.epoch, user_id=user.user_id)
        restored = head._replace(position=head.position - 1, hash=row["hash"], journal_id="jrn_restored")
        events.set_head(uow.tx, restored)
    require_ended(session, store)
    with store.write(COMMAND_LINE) as uow:
        events.set_head(uow.tx, restored._replace(journal_id=head.journal_id))
    users.signed_in(store, session)


def test_signing_out_is_in_the_journal_and_the_records_agree_with_it(store):
    user, _ = added(store)
    signed_out(store, user.user_id)
    last = journal(store)[-1]
    assert (last["type"], last["actor"], last["subject"], last["data"]) == (
        EventType.USER_SIGNED_OUT,
        user.user_id,
        user.user_id,
        "{}",
    )
    signed_out(store, "usr_nobody")
    assert journal(store)[-1] == last


def test_a_session_sees_the_current_policies(store, other_store):
    user, _ = added(store)
    for own_store in (store, other_store):
        brand = f"brand-{next(_numbers)}"
        session = users.session_for(own_store, user)
        assert brand not in users.signed_in(other_store, session)[1]
        run(own_store, publication.import_version, read_policy(f'policy = "{brand}"\nversion = 1'))
        for seen_by in (store, other_store):
            assert brand in users.signed_in(seen_by, session)[1]


# Storage.


def test_the_journal_records_changes_of_a_user_without_the_name(store):
    before = len(journal(store))
    user, password = added(store, f"petra-{next(_numbers)}", Role.AUDITOR)
    run(store, users.reset, user.name)
    signed_out(store, user.user_id)
    run(store, users.disable, user.name)
    sign_in_outcome(store, user.name)
    entered = journal(store)[before:]
    assert [(event["type"], event["subject"], event["data"], event["actor"]) for event in entered] == [
        (EventType.USER_CREATED, user.user_id, '{"role":"auditor"}', "command-line"),
        (EventType.USER_RESET, user.user_id, "{}", "command-line"),
        (EventType.USER_SIGNED_OUT, user.user_id, "{}", user.user_id),
        (EventType.USER_DISABLED, user.user_id, "{}", "command-line"),
    ]
    for secret in ("petra", password, user.password_hash):
        assert secret not in repr(entered)


def written(directory):
    """The bytes of every file of an installation."""
    return {file.name: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_a_wrong_password_does_not_change_it_and_the_right_one_does_so_once(store):
    user, password = added(store, "own-password")
    principal = Principal(user.user_id, user.name, user.role)
    with store.read(principal) as uow:
        offered = users.new_offer(uow)
    with pytest.raises(Unauthenticated):
        users.change_password(store, principal, "", GUESS, offered)
    for _ in range(2):
        users.change_password(store, principal, "", password, offered)
    assert sign_in_outcome(store, user.name, offered.password).user_id == user.user_id


def test_of_two_requests_for_the_same_password_the_later_finds_it_taken(store, monkeypatch):
    """Both, of a double click, have checked the old password before either stores the new one."""
    user, password = added(store, "twice-password")
    principal = Principal(user.user_id, user.name, user.role)
    with store.read(principal) as uow:
        offered = users.new_offer(uow)

    def hash_while_the_other_is_done(given):
        monkeypatch.undo()
        users.change_password(store, principal, "", password, offered)
        return users.password_hash(given)

    monkeypatch.setattr(users, "password_hash", hash_while_the_other_is_done)
    users.change_password(store, principal, "", password, offered)
    assert sign_in_outcome(store, user.name, offered.password).user_id == user.user_id
    changes = [
        one
        for one in journal(store)
        if (one["type"], one["subject"]) == (EventType.USER_PASSWORD_CHANGED, user.user_id)
    ]
    assert len(changes) == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_no_file_contains_a_password_or_a_typed_name(tmp_path):
    """Users sometimes type their password as their name, so only a keyed digest of it is stored."""
    with closing(Store(settings(tmp_path))) as store:
        user, password = added(store, "zq-anna")
        again = run(store, users.reset, "zq-anna").password
        typed = (password, again, "ZQ-Somebody 5519", "zq.nobody", GUESS)
        for text in typed:
            assert sign_in_outcome(store, text) is Unauthenticated
        assert sign_in_outcome(store, "zq-anna") is Unauthenticated
        assert sign_in_outcome(store, "zq-anna", again).user_id == user.user_id
        running = written(tmp_path)
    assert running["refunds.db-wal" if wal_is_sound(sqlite3.sqlite_version_info) else "refunds.db"]
    for files in (running, written(tmp_path)):
        everything = b"\n".join(files.values()).lower()
        assert b"zq-anna" in everything, "names are stored as they are"
        for text in typed:
            assert text.lower().encode() not in everything
            assert text.lower().encode().hex().encode() not in everything
            assert text.encode().hex().encode() not in everything
