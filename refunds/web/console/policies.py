"""Policies: their versions with the clause as published, simulations on past orders, and how policies change.

A version is published or withdrawn, or a day closed, as it was shown before. Each is a dry run first. What that shows
has a fingerprint, which the form sends back: if anything that was shown has changed meanwhile, nothing is done, and it
is shown again.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

import orjson
from flask import Response

from refunds.domain.permissions import Scope
from refunds.domain.policy import PolicyVersion, differences
from refunds.domain.region_days import WEEKDAYS
from refunds.errors import FieldError, InvalidInput, Message, PolicyVersionConflict
from refunds.presentation.documents import simulation as documents
from refunds.presentation.documents.confirmation import clause_in
from refunds.presentation.language import LANGUAGES, translate
from refunds.presentation.texts.dates import instant_text
from refunds.presentation.texts.policies import closure_text, difference_text, registration_text, warnings_data
from refunds.schemas.policy import policy_file, read_policy, version_data
from refunds.service import publication, simulation, watch
from refunds.service.publication import PublishResult
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import sessions
from refunds.web.console import action, at, page, screen, to
from refunds.web.console.eligibility import time_zone_of
from refunds.web.console.forms import ClosingSchema, DraftFormSchema, Form, WhatIfSchema, WithdrawingSchema
from refunds.web.schemas.policies import MOST_BYTES

WEEKS: dict[str, Any] = {"mon-fri": WEEKDAYS[:5], "mon-sat": WEEKDAYS[:6], "country": "country"}


@screen("/policies", Scope.POLICIES_READ)
def policies(uow: UnitOfWork, form: Form) -> Response:
    """Show all policies, each with its version in force now, or else the first that will be."""
    listed = [(policy, policy.current(uow.now)) for policy in uow.policies.values()]
    return page("policies.html", form, policies=listed, default=uow.policies.default)


@screen("/policies/<policy_id>", Scope.POLICIES_READ)
def policy(uow: UnitOfWork, form: Form, policy_id: str) -> Response:
    """Show a policy: its versions, their clauses and changes, its closures, and the form to simulate a change.

    Raises `NotFound` if there is no such policy.
    """
    found, records = uow.policies[policy_id], uow.policies.records(policy_id)
    before = dict(pairwise(found.effective_versions))
    changed = {
        later.version: [difference_text(one, later.terms.time_zone) for one in differences(earlier.terms, later.terms)]
        for earlier, later in before.items()
    }
    closures = publication.closures(uow, policy_id)
    present = found.current(uow.now)
    return page(
        "policy.html",
        form,
        policy=found,
        present=present,
        versions=[(version, records[version.version - 1]) for version in reversed(found.versions)],
        changed=changed,
        clauses={
            version.version: [(*clause_in(version.terms, lang),) for lang in sorted(LANGUAGES)]
            for version in found.versions
        },
        closures=closures,
        now=uow.now,
        weeks=list(WEEKS),
        week=next((name for name, week in WEEKS.items() if week == present.terms.business_week), None),
        names=uow.users.names(record.registered_by for record in records),
        said=_said(uow, form, {later: earlier.version for earlier, later in before.items()}, policy_id),
    )


def _said(uow: UnitOfWork, form: Form, before: Mapping[PolicyVersion, int], policy_id: str) -> str | None:
    """Return a text on what was just done to a policy in this session; None if nothing, or it was undone since.

    `before` has the number of the version before each version that ever takes effect.
    """
    said = sessions.read_message(policy_id, form.data.get("said"))
    if not said:
        return None
    done, what, *notices = said
    if done in {"closed", "closed_before"}:
        return closure_text(date.fromisoformat(what), notices, new=done == "closed")
    found = uow.policies[policy_id]
    version = found.version(what)
    if (done == "withdrawn") is (version in found.effective_versions):
        return None
    if done == "withdrawn":
        return translate("Version %(version)s of %(policy)s is withdrawn.", version=what, policy=policy_id)
    return registration_text(version, before.get(version), done)


@screen("/policies/<policy_id>/simulation", Scope.POLICIES_SIMULATE, form_view=policy)
def simulated(uow: UnitOfWork, form: Form, policy_id: str) -> Response:
    """Show, with charts, what other terms would have changed for past orders; `InvalidInput` if no term differs."""
    terms = form.read(WhatIfSchema)
    if "business_week" in terms:
        terms["business_week"] = WEEKS[terms["business_week"]]
    found = uow.policies[policy_id]
    present = found.current(uow.now)
    draft = replace(present, version=len(found.versions) + 1, terms=replace(present.terms, **terms))
    if draft.terms == present.terms:
        raise InvalidInput.at("/window_business_days", Message("changes nothing"), "unchanged")
    report = documents.render_report(simulation.simulate(uow, draft))
    return page("simulation.html", form, policy_id=policy_id, report=report, draft=None)


@screen("/draft", Scope.POLICIES_WRITE)
def draft(uow: UnitOfWork, form: Form) -> Response:
    """Show the form for a draft, filled with what was typed or, if the address names a policy, its last version."""
    readable = all(error.pointer != "/file" for error in form.errors)
    text, policy_id = (readable and form.data.get("file")) or form.data.get("draft"), form.data.get("policy_id")
    if text is None and policy_id and policy_id in uow.policies:
        found = uow.policies[policy_id]
        last = (*found.versions, *found.effective_versions)[-1]  # if all are withdrawn, the last of those
        text = policy_file(replace(last, version=len(found.versions) + 1, effective_from=None))
    faults = [translate(error.detail) for error in form.errors if error.code == "in_draft"]
    return page("draft.html", form, draft=text or "", faults=faults)


def _read(form: Form) -> tuple[str, PolicyVersion]:
    """Return the text of a draft and the version that it describes; a file takes precedence over what was typed.

    Raises `InvalidInput` if there is no draft, if the draft does not fit or is not UTF-8, or unless exactly one of its
    `effective_from` and the form's `now` is given.
    """
    found = form.read(DraftFormSchema)
    place = "file" if "file" in found else "draft"
    text: str = found.get(place, "")
    if not text:
        raise InvalidInput.at("/draft", Message("is required"), "required")
    if "\ufffd" in text:  # in the place of what was not UTF-8
        raise InvalidInput.at(f"/{place}", Message("is not UTF-8 text"), "not_utf_8")
    with _in_draft(text):
        version = read_policy(text)
    if (version.effective_from is None) is not ("now" in found):
        code = "now_or_then" if version.effective_from else "when"
        raise InvalidInput.at("/now", Message("is required"), code)
    return text, version


@contextmanager
def _in_draft(text: str) -> Iterator[None]:
    """In the block, turn `InvalidInput` and `PolicyVersionConflict` into `InvalidInput` that names lines of `text`."""
    try:
        yield
    except PolicyVersionConflict as error:
        raise InvalidInput([_error_in(text, FieldError("/version", Message("%(why)s", why=error.detail)))]) from None
    except InvalidInput as error:
        raise InvalidInput([_error_in(text, one) for one in error.errors]) from None


def _error_in(text: str, error: FieldError) -> FieldError:
    """Turn an error in a draft's text into one of the form's `draft`, which says the line, the term and what to do."""
    steps = [step for step in error.pointer.removeprefix("/terms").split("/") if step]
    number, detail = _line(text, steps), error.detail
    if steps:
        detail = Message("%(term)s: %(detail)s", term=".".join(steps), detail=detail)
    if number:
        detail = Message("line %(line)s: %(detail)s", line=number, detail=detail)
    return FieldError("/draft", detail, "in_draft")


def _line(text: str, steps: list[str]) -> int | None:
    """Return the line number, from 1, of the innermost of these nested names that a draft's text has, or None."""
    number = None
    lines = text.splitlines()
    for step in steps:
        named = re.compile(rf'\s*\[?\s*["\']?{re.escape(step)}["\']?\s*[=.\]]')
        number = next((i for i in range(number or 0, len(lines)) if named.match(lines[i])), number)
    return None if number is None else number + 1


def _fingerprint(*shown: Any) -> str:
    """Return a digest of what a dry run shows (plain data); the form sends it back to prove what its reader saw."""
    return sha256(orjson.dumps(shown)).hexdigest()


def _require_as_shown(form: Form, fingerprint: str) -> None:
    """Raise `InvalidInput` unless the form sent this fingerprint; what the unit of work did before is then undone."""
    if form.data.get("shown") != fingerprint:
        raise InvalidInput.at("/shown", Message("has changed since it was shown"), "not_as_shown")


def _result(uow: UnitOfWork, text: str, version: PolicyVersion, *, dry_run: bool) -> tuple[PublishResult, str]:
    """Publish a version, or make its dry run; return the result and the fingerprint of what a dry run shows of it.

    `text` is the file that the version was read from: `InvalidInput` names its lines.
    """
    with _in_draft(text):
        result = publication.publish(uow, version, dry_run=dry_run)
    follows = result.follows.version if result.follows else None
    return result, _fingerprint(version_data(version), follows, result.known)


@screen("/draft", Scope.POLICIES_WRITE, method="POST", form_view=draft, most_bytes=MOST_BYTES)
def review(uow: UnitOfWork, form: Form) -> Response:
    """Show what publishing a draft would do: the terms that it changes, from when, its warnings and its clauses.

    No order is looked at (`simulate_draft` does that), and nothing is stored. Raises `InvalidInput` for a wrong draft.
    """
    text, version = _read(form)
    result, fingerprint = _result(uow, text, version, dry_run=True)
    version, follows = result.version, result.follows.version if result.follows else None
    return page(
        "review.html",
        replace(form, address=at("draft")),
        draft=text,
        version=version,
        known=result.known,
        follows=follows,
        said=registration_text(version, follows, "known" if result.known else "dry_run"),
        differences=[difference_text(one, version.terms.time_zone) for one in result.differences],
        warnings=[warning["text"] for warning in warnings_data(version.terms)],
        clauses=[clause_in(version.terms, lang) for lang in sorted(LANGUAGES)],
        shown=fingerprint,
        is_policy=version.policy_id in uow.policies,
    )


@action("/draft/publication", review, Scope.POLICIES_WRITE, then=watch.extend, most_bytes=MOST_BYTES)
def publish(uow: UnitOfWork, form: Form) -> Response:
    """Publish a draft and redirect to its policy. The same version again changes nothing.

    Raises `InvalidInput` if its dry run would now show something else than the user saw.
    """
    text, version = _read(form)
    result, fingerprint = _result(uow, text, version, dry_run=False)
    if not result.known:
        _require_as_shown(form, fingerprint)
    return _redirect_to_policy(version.policy_id, "known" if result.known else "published", version.version)


def _redirect_to_policy(policy_id: str, *said: Any) -> Response:
    """Redirect to a policy's page; for five minutes, in this session only, the page says what was done, from `said`."""
    return to("policy", policy_id=policy_id, said=sessions.signed_message(policy_id, *said))


@screen("/draft/simulation", Scope.POLICIES_SIMULATE, method="POST", form_view=draft, most_bytes=MOST_BYTES)
def simulate_draft(uow: UnitOfWork, form: Form) -> Response:
    """Show the effect that a draft would have had on its policy's past orders. Nothing is stored."""
    text, version = _read(form)
    with _in_draft(text):
        report = documents.render_report(simulation.simulate(uow, version))
    form = replace(form, address=at("draft"))
    return page("simulation.html", form, policy_id=version.policy_id, report=report, draft=text)


@screen("/policies/<policy_id>/versions/<number:version>/withdrawal", Scope.POLICIES_WRITE)
def withdrawal(uow: UnitOfWork, form: Form, policy_id: str, version: int) -> Response:
    """Show what the withdrawal of a version would mean, or why it is not possible; store nothing."""
    conflict, withdrawn_at, found = None, None, uow.policies[policy_id].version(version)
    try:
        withdrawn_at = publication.withdraw(uow, policy_id, version, dry_run=True).withdrawn_at
    except PolicyVersionConflict as error:
        since = found.effective_from and instant_text(found.effective_from, found.terms.time_zone)
        conflict = translate(error.detail, since=since)
    return page(
        "withdrawal.html",
        form,
        version=found,
        conflict=conflict,
        withdrawn=withdrawn_at is not None,
        stays=(before := _before(uow, found)),
        shown=_fingerprint(policy_id, version, before),
    )


def _before(uow: UnitOfWork, version: PolicyVersion) -> int | None:
    """Return the number of the version of the same policy that is in force until this one takes effect, or None."""
    holding = uow.policies[version.policy_id].effective_versions
    return next((one.version for one in reversed(holding) if one.effective_at < version.effective_at), None)


@action(
    "/policies/<policy_id>/versions/<number:version>/withdrawal", withdrawal, Scope.POLICIES_WRITE, then=watch.extend
)
def withdraw(uow: UnitOfWork, form: Form, policy_id: str, version: int) -> Response:
    """Withdraw a version that has not taken effect, and redirect to its policy; one already withdrawn stays so.

    Raises `InvalidInput` if this is not possible, or another version would then stay in force than was shown.
    """
    form.read(WithdrawingSchema)
    fingerprint = _fingerprint(policy_id, version, _before(uow, uow.policies[policy_id].version(version)))
    try:
        publication.withdraw(uow, policy_id, version)
    except PolicyVersionConflict:
        fingerprint = ""
    _require_as_shown(form, fingerprint)
    return _redirect_to_policy(policy_id, "withdrawn", version)


def _enter_closure(
    uow: UnitOfWork, form: Form, policy_id: str, *, dry_run: bool
) -> tuple[publication.EnteredClosure, str, str]:
    """Enter the closure in a form, or make its dry run; return the closure, its effect in words, the fingerprint.

    Raises `InvalidInput` for an unreadable field or a date over five years away, `NotFound` and `CalendarNotCovered`.
    """
    found = form.read(ClosingSchema)
    found.pop("shown", None)
    day = found.pop("date").day("date", uow.now, time_zone_of(uow, policy_id), ahead=timedelta(days=364))
    entered = publication.close(uow, policy_id, dry_run=dry_run, day=day, **found)
    said = closure_text(entered.closure.date, entered.notices, new=entered.created)
    return entered, said, _fingerprint(policy_id, entered.closure.date, found, entered.notices, entered.created)


@screen("/policies/<policy_id>/closures", Scope.POLICIES_WRITE, method="POST", form_view=policy)
def closing(uow: UnitOfWork, form: Form, policy_id: str) -> Response:
    """Show what a closure on a date would change; store nothing."""
    entered, said, fingerprint = _enter_closure(uow, form, policy_id, dry_run=True)
    form = replace(form, address=at("policy", policy_id=policy_id))
    return page("closing.html", form, policy_id=policy_id, entered=entered, said=said, shown=fingerprint)


@action("/policies/<policy_id>/closures/entry", closing, Scope.POLICIES_WRITE, then=watch.extend)
def close_day(uow: UnitOfWork, form: Form, policy_id: str) -> Response:
    """Enter a closure of a policy and redirect to the policy. The same date again changes nothing.

    Raises `InvalidInput` if the closure would now change something else than the user was shown.
    """
    entered, _, fingerprint = _enter_closure(uow, form, policy_id, dry_run=False)
    if entered.created:
        _require_as_shown(form, fingerprint)
    done = "closed" if entered.created else "closed_before"
    return _redirect_to_policy(policy_id, done, entered.closure.date.isoformat(), *entered.notices)
