"""A program of an integrator with the Python client of openapi-generator: one cancellation, from order to settlement."""

import json
import sys
from datetime import UTC, datetime

from pydantic import BaseModel
from refunds_api import ApiClient, Configuration
from refunds_api.api import CancellationsApi, EventsApi, OrdersApi, SettlementsApi
from refunds_api.models.cancellation_request import CancellationRequest
from refunds_api.models.inline_contact import InlineContact
from refunds_api.models.order_request import OrderRequest
from refunds_api.models.refund_request import RefundRequest
from refunds_api.models.settlement_request import SettlementRequest

ORDER = "A-openapi-generator"


def story(client: ApiClient) -> dict[str, BaseModel | list[str]]:
    """The response to each step."""
    orders, settlements, cancellations = OrdersApi(client), SettlementsApi(client), CancellationsApi(client)
    facts = OrderRequest(customer_ref="C-1", service_provided_at=datetime.now(UTC), region="DE-BY")
    wish = CancellationRequest(order_id=ORDER, contact=InlineContact(channel="phone"))
    steps = {
        "order": orders.register_order(ORDER, facts),
        "decision": orders.get_order_eligibility(ORDER),
        "issued": (issued := cancellations.issue_cancellation("cancel-A-openapi-generator", wish)),
        "read": cancellations.get_cancellation(issued.cancellation_id),
        "begun": settlements.begin_refund(issued.cancellation_id, RefundRequest(billing_ref="R-1")),
        "settled": settlements.settle_cancellation(issued.cancellation_id, SettlementRequest(billing_ref="R-1")),
    }
    events = [item.actual_instance for item in EventsApi(client).list_events().items]
    return steps | {"events": [event.type for event in events if event.order_id == ORDER]}


_, address, token = sys.argv
answers = story(ApiClient(Configuration(host=address, access_token=token)))
json.dump(
    {step: json.loads(answer.to_json()) if step != "events" else answer for step, answer in answers.items()},
    sys.stdout,
)
