"""Policies: their versions with the clause as published, and the simulation of a change on past orders."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.domain.policy import PolicyVersion, differences
from refunds.domain.region_days import WEEKDAYS
from refunds.errors import InvalidInput, Message
from refunds.presentation.documents import simulation as documents
from refunds.presentation.documents.confirmation import clause_in
from refunds.presentation.language import LANGUAGES, translate
from refunds.presentation.texts.policies import closure_text, difference_text, registration_text
from refunds.service import publication, simulation
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import sessions
from refunds.web.console import page, screen
from refunds.web.console.forms import Form, WhatIfSchema

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
