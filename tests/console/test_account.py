"""What is a user's own: their password, and the list of their sessions."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import users
from refunds.service.users import ATTEMPTS
from tests.console.conftest import signed_in

GUESS = "a guess"
WRONG = "This is not your password. Nothing was changed."


@pytest.fixture
def anna(site):
    """A user whom no other test uses, with their password."""
    with site.store.write(COMMAND_LINE) as uow:
        return users.add(uow, f"anna-{site.end}", Role.AGENT)


def is_in(browser):
    """Whether the session of a browser has not ended."""
    return browser.get("/console/").status == 200


def listed(page):
    """The sessions that a page lists, by the text of their rows."""
    return [row.text for row in page.root.one("tbody").every("tr")]


def tokens_of(page):
    """Both parts of the offer on a page."""
    fields = page.form("Take the new password").fields
    return fields["new_password"], fields["mark"]


def test_everybody_finds_their_account_beside_sign_out(site):
    for role in Role:
        browser = site.browser(role)
        page = browser.follow(browser.get("/console/account"), f"{role}-1 · {page_role(role)}")
        assert (page.status, page.h1) == (200, "Your account")


def page_role(role):
    """The name of a role on the screen."""
    return {Role.ADMIN: "Administrator"}.get(role, role.capitalize())


def test_sessions_are_listed_with_when_they_began_and_were_last_seen(site, anna, now):
    first = signed_in(site.app, anna.user)
    now.shift(timedelta(hours=1))
    second = signed_in(site.app, anna.user)
    now.shift(timedelta(minutes=9))
    assert is_in(first), "it was last seen an hour ago"
    rows = listed(second.get("/console/account"))
    assert len(rows) == 2
    assert "11:20" in rows[0]
    assert "this one" in rows[0]
    assert "10:20" in rows[1]
    assert "11:29" in rows[1]
    assert "End it" in rows[1]
    now.shift(timedelta(hours=11))
    assert len(listed(second.get("/console/account"))) == 1, "one has lasted too long"


def test_one_session_or_all_others_can_be_ended(site, anna):
    own, *others = (signed_in(site.app, anna.user) for _ in range(4))
    stranger = site.browser(Role.SUPERVISOR)
    page = own.get("/console/account")
    forms = [form for form in page.forms if "session" in form.names]
    assert len(forms) == 3
    page = own.submit(forms[0])
    assert "The sessions have ended." in page.text
    assert "The sessions have ended." not in own.submit(forms[0]).text, "it was over already"
    assert sorted(map(is_in, others)) == [False, True, True]
    own.press(page, "End all others")
    assert not any(map(is_in, others))
    assert is_in(own)
    assert is_in(stranger)
    assert len(listed(own.get("/console/account"))) == 1
    site.verify()


def test_nobody_ends_a_session_of_somebody_else(site, anna, agent):
    own = signed_in(site.app, anna.user)
    with site.store.read(COMMAND_LINE) as uow:
        (session,) = uow.users.sessions(anna.user.user_id)
    before = site.end
    for name in (session.session_id, "ses_1"):
        page = agent.post("/console/account/sessions", {"csrf_token": agent.token, "session": name})
        assert ("have ended" in page.text, "There was no session to end." in page.text) == (False, True)
    assert site.end == before
    assert is_in(own)


def test_a_session_that_was_ended_is_not_revived_by_storing_it_again(site, anna):
    own, other = signed_in(site.app, anna.user), signed_in(site.app, anna.user)
    with site.store.read(COMMAND_LINE) as uow:
        rows = uow.tx.all("SELECT * FROM sessions WHERE user_id = :user", user=anna.user.user_id)
    own.press(own.get("/console/account"), "End all others")
    with site.store.write(COMMAND_LINE) as uow:
        for row in rows:
            uow.tx.run("DELETE FROM sessions WHERE session_id = :session_id", session_id=row["session_id"])
            uow.tx.run("INSERT INTO sessions VALUES (:session_id, :user_id, :began_at, :seen_at)", **row)
    assert is_in(own)
    assert not is_in(other)


@pytest.mark.parametrize("end", [users.disable, users.reset, users.forget])
def test_the_sessions_of_somebody_who_is_disabled_end_and_are_gone(site, anna, end):
    own = signed_in(site.app, anna.user)
    with site.store.write(COMMAND_LINE) as uow:
        end(uow, anna.user.name)
        assert uow.users.sessions(anna.user.user_id) == []
    assert not is_in(own)


def test_signing_out_leaves_no_session(site, anna):
    own = signed_in(site.app, anna.user)
    own.post("/console/sign-out", {"csrf_token": own.token})
    with site.store.read(COMMAND_LINE) as uow:
        assert uow.users.sessions(anna.user.user_id) == []


def test_the_password_is_changed_with_the_old_one_and_other_sessions_end(site, anna):
    own, other = signed_in(site.app, anna.user), signed_in(site.app, anna.user)
    page = own.get("/console/account")
    new, _ = tokens_of(page)
    form = page.form("Take the new password")
    page = own.submit(form, old_password=anna.password)
    assert "Your password is changed, and your other sessions have ended." in page.text
    assert new not in page.source
    assert is_in(own)
    assert not is_in(other)
    assert users.sign_in(site.store, anna.user.name, new).user_id == anna.user.user_id
    before = site.end
    assert "Your password is changed" in own.submit(form, old_password=anna.password).text, "sent twice"
    assert site.end == before
    site.verify()


def test_no_session_begins_with_a_password_that_was_changed_while_it_was_checked(site, anna):
    """Checking takes a while: the old password is right when it begins, and no longer when it ends."""
    own, checked = signed_in(site.app, anna.user), users.sign_in(site.store, anna.user.name, anna.password)
    assert is_in(own)
    own.press(own.get("/console/account"), "Take the new password", old_password=anna.password)
    late = signed_in(site.app, checked)
    assert not is_in(late)
    assert is_in(own)


def test_an_address_says_nothing_that_was_not_done_in_this_session(site, anna, now):
    own, other = signed_in(site.app, anna.user), signed_in(site.app, anna.user)
    for query in ("done=password", "done=sessions", "said=password", "said=sessions", "said=W10.x.y"):
        assert "ended." not in own.get(f"/console/account?{query}").text
    page = own.press(own.get("/console/account"), "End all others")
    path = page.address.partition("localhost")[2]
    assert "The sessions have ended." in own.get(path).text, "loaded again"
    other = signed_in(site.app, anna.user)
    assert "have ended" not in other.get(path).text, "another session did it"
    now.shift(timedelta(minutes=6))
    assert "have ended" not in own.get(path).text, "that was a while ago"


def test_only_what_the_page_offers_is_shown_as_the_new_password(site, anna, agent):
    own = signed_in(site.app, anna.user)
    theirs, mark = tokens_of(agent.get("/console/account"))
    for new, mark_given in (("evil", "x"), ("evil", "\u00e4"), (theirs, mark), ("evil", mark)):
        page = own.get(f"/console/account?{urlencode({'new_password': new, 'mark': mark_given})}")
        assert page.status == 200
        assert new not in page.main.one("input", id="new_password")["value"]


@pytest.mark.parametrize("typed", ["wrong", "x" * 5000, "\u202e", ""])
def test_a_wrong_old_password_is_an_error_beside_its_field(site, anna, typed):
    own, before = signed_in(site.app, anna.user), site.end
    page = own.get("/console/account")
    offered = tokens_of(page)
    page = own.press(page, "Take the new password", old_password=typed)
    assert (page.status, page.errors.keys()) == (422, {"old_password"})
    assert tokens_of(page) == offered, "what was offered stays, as it may be saved already"
    assert page.form("Take the new password").fields["old_password"] == ""
    assert site.end == before
    assert users.sign_in(site.store, anna.user.name, anna.password)


def test_guesses_of_the_old_password_are_counted_like_those_at_the_sign_in(site, anna):
    own = signed_in(site.app, anna.user)
    page = own.get("/console/account")
    for _ in range(ATTEMPTS):
        assert own.press(page, "Take the new password", old_password=GUESS).errors == {"old_password": WRONG}
    page = own.press(page, "Take the new password", old_password=anna.password)
    assert "too many attempts" in page.errors["old_password"]


@pytest.mark.parametrize("whose", ["nobody's", "another's", "not even ASCII"])
def test_only_a_password_that_the_service_has_made_for_this_user_is_taken(site, anna, agent, whose):
    own, before = signed_in(site.app, anna.user), site.end
    page = own.get("/console/account")
    foreign = tokens_of(agent.get("/console/account"))
    new, mark = {"nobody's": ("password1", tokens_of(page)[1]), "another's": foreign}.get(whose, ("password1", "é"))
    page = own.press(page, "Take the new password", old_password=anna.password, new_password=new, mark=mark)
    assert (page.status, page.errors.keys()) == (422, {"new_password"})
    assert tokens_of(page) != (new, mark)
    assert site.end == before


def test_passwords_are_in_no_form_that_is_kept_over_a_new_sign_in(site, anna):
    own = signed_in(site.app, anna.user)
    form = own.get("/console/account").form("Take the new password")
    with site.store.write(COMMAND_LINE) as uow:
        users.disable(uow, anna.user.name)
    page = own.submit(form, old_password=anna.password)
    assert page.status == 401
    assert anna.password not in page.source
    assert form.fields["new_password"] not in page.source
