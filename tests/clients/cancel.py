"""A program of an integrator with the client of openapi-python-client: one cancellation, from order to settlement."""

import json
import sys
from datetime import UTC, datetime
from http import HTTPStatus

from refunds_client import AuthenticatedClient
from refunds_client.api.cancellations import get_cancellation, issue_cancellation
from refunds_client.api.events import list_events
from refunds_client.api.orders import get_order_eligibility, register_order
from refunds_client.api.policies import get_policy_version
from refunds_client.api.settlements import begin_refund, settle_cancellation
from refunds_client.models import (
    Cancellation,
    CancellationRequest,
    Feed,
    InlineContact,
    InlineContactChannel,
    Order,
    OrderDecision,
    OrderRequest,
    PolicyVersion,
    RefundRequest,
    SettlementRequest,
)
from refunds_client.types import Response

ORDER = "A-python"


def checked(answer: Response, model: type, status: HTTPStatus = HTTPStatus.OK) -> dict:
    """The data of a response, after checking its status and its documented model."""
    assert answer.status_code == status, answer.content
    assert isinstance(answer.parsed, model)
    return answer.parsed.to_dict()


def story(client: AuthenticatedClient) -> dict:
    """The response to each step."""
    facts = OrderRequest(customer_ref="C-1", service_provided_at=datetime.now(UTC), region="DE-BY")
    order = register_order.sync_detailed(ORDER, client=client, body=facts)
    decision = get_order_eligibility.sync_detailed(ORDER, client=client)
    judging = checked(decision, OrderDecision)["policy"]
    policy = get_policy_version.sync_detailed(judging["id"], judging["version"], client=client)
    wish = CancellationRequest(order_id=ORDER, contact=InlineContact(channel=InlineContactChannel.PHONE))
    issued = issue_cancellation.sync_detailed(client=client, body=wish, idempotency_key="cancel-A-python")
    where = issued.headers["Location"].rpartition("/")[2]
    read = get_cancellation.sync_detailed(where, client=client)
    begun = begin_refund.sync_detailed(where, client=client, body=RefundRequest(billing_ref="R-1"))
    settled = settle_cancellation.sync_detailed(where, client=client, body=SettlementRequest(billing_ref="R-1"))
    feed = checked(list_events.sync_detailed(client=client), Feed)
    assert checked(policy, PolicyVersion)["version"] == judging["version"]
    return {
        "order": checked(order, Order, HTTPStatus.CREATED),
        "decision": checked(decision, OrderDecision),
        "issued": checked(issued, Cancellation, HTTPStatus.CREATED),
        "read": checked(read, Cancellation),
        "begun": checked(begun, Cancellation),
        "settled": checked(settled, Cancellation),
        "events": [event["type"] for event in feed["items"] if event["order_id"] == ORDER],
    }


_, address, token = sys.argv
# The proxies of the environment do not lead to this machine.
json.dump(story(AuthenticatedClient(base_url=address, token=token, httpx_args={"trust_env": False})), sys.stdout)
