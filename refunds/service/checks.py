"""Checks: decisions without side effects."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision
from refunds.domain.judging import judge
from refunds.domain.outcomes import Facts
from refunds.domain.policy import Policy
from refunds.errors import InvalidInput, Message, NotFound
from refunds.storage.policies import Policies


def check_eligibility(
    policies: Policies,
    *,
    service_provided_at: datetime | None,
    requested_at: datetime,
    sent_at: datetime | None = None,
    channel: Channel | None = None,
    contact_point: str | None = None,
    ordered_at: datetime | None = None,
    region: str | None = None,
    policy: str | None = None,
    terms: Mapping[str, Any] | None = None,
) -> Decision:
    """Decide whether an order with these facts can be cancelled if requested at `requested_at`.

    `region` is the customer's place. `policy` is the one that judges, for None the default one. `terms`, which must
    already be read, replaces single terms of it, for a what-if. Without a channel, the contact point is ignored. Raises
    `InvalidInput` (policy, contact point), `UnknownRegion`, `NoPolicyInForce` and `CalendarNotCovered`.
    """
    point = contact_point if channel else None
    facts = Facts(service_provided_at, requested_at, sent_at=sent_at, channel=channel, contact_point=point)
    return judge(named_policy(policies, policy), facts, ordered_at, region, terms or {})


def named_policy(policies: Policies, policy_id: str | None) -> Policy:
    """Return the policy with this id, for None the default one; raise `InvalidInput` at `/policy` if there is none."""
    try:
        return policies[policies.default if policy_id is None else policy_id]
    except NotFound as error:
        raise InvalidInput.at("/policy", error.detail, "unknown_policy") from None


_FARTHEST = timedelta(days=5 * 366)


def require_near(day: date, today: date, pointer: str) -> None:
    """Raise `InvalidInput` at `pointer` if `day` is over five years before or after `today`: surely a typing error."""
    if abs(day - today) > _FARTHEST:
        raise InvalidInput.at(pointer, Message("must not be more than five years away"), "out_of_range")
