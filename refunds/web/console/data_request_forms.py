"""The forms about data requests. Fields that are the same as in the API are read by the API's fields."""

from refunds.domain.privacy import DataRequestKind, ErasureReason
from refunds.schemas.fields import Choice, FreeText, Line, Text
from refunds.schemas.strict import StrictSchema
from refunds.web.console.forms import ListSchema, Moment, PrintedSchema
from refunds.web.schemas.privacy import DataRequestRequestSchema, IdentityCheckRequestSchema

__all__ = ["IdentityCheckRequestSchema"]


class DataRequestsSchema(ListSchema):
    """The page of the data requests to show, and which of them."""

    show = Text(10, pattern="open|overdue|closed")
    kind = Choice(DataRequestKind)


class NewDataRequestSchema(DataRequestRequestSchema):
    """What a person asks for about their data, as entered."""

    received_at = Moment()  # type: ignore[assignment] # also accepts how people write times


class ExtensionSchema(StrictSchema):
    """Why an answer takes longer."""

    extension_reason = FreeText(500, required=True)


class FeeSchema(StrictSchema):
    """Whether a request may cost something, and why."""

    fee = Text(20, pattern="none|further_copy|excessive", required=True)
    fee_reason = FreeText(500)


class FulfilmentSchema(StrictSchema):
    """What is noted when a request is fulfilled."""

    outcome_reason = FreeText(500)
    erasure_reason = Choice(ErasureReason)
    anyway = Line(200)


class RefusalSchema(StrictSchema):
    """Why a request is refused."""

    refusal_reason = FreeText(500, required=True)


class ExportedSchema(PrintedSchema):
    """The language of an export, and whether it is data instead of a page."""

    data = Text(1)
