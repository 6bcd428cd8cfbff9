"""Schemas of policies, their versions and closures."""

from datetime import date

from refunds.domain.clauses import MismatchKind
from refunds.domain.terms import Terms
from refunds.presentation.texts.policies import closure_text
from refunds.schemas.fields import FlagText, FreeText, LocalDate, NearInstant, Nested, Whole
from refunds.schemas.policy import EmailSchema, PhoneSchema, TermsSchema, TextsSchema, terms_data
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.service.publication import ClosureNotice
from refunds.web.schemas import shown
from refunds.web.schemas.examples import A_CLIENT, example, shared


class VersionSummarySchema(shown.Schema):
    """One version of a policy, and when it takes effect."""

    version = shown.Integer("Its number, from 1.", 1)
    effective_from = shown.Instant("From when it is in force; null: from the beginning.", allow_none=True)
    page_published_at = shown.Instant("From when the vendor's page shows it, if that is known.", allow_none=True)
    registered_at = shown.Instant(
        "When it was published or imported, by the service's own clock.", "2026-01-07T08:30:00.250112Z"
    )
    withdrawn_at = shown.Instant("When it was withdrawn, before it took effect; null: it was not.", allow_none=True)
    content_hash = shown.String(
        "A hash of the content: equal content has an equal hash.",
        "5b1d097342c27276c97b62610b230faa7ca70aa8fefb990916606f55bbae6d6c",
    )


class PolicySchema(shown.Schema):
    """A policy and its versions."""

    id = shown.String("The policy.")
    last_updated = shown.Instant(
        "For the newest version that has taken effect: from when the vendor's page shows it; if that is not known, "
        "when it took effect; if it is in force from the beginning, when it was registered. If no version has taken "
        "effect, when the newest was registered."
    )
    default = shown.Boolean("Whether it applies if an HTTP request names no policy.")
    versions = shown.ListOf(VersionSummarySchema)


PolicyListSchema = shown.page_of(PolicySchema)


class PolicyPhoneSchema(shown.Schema, PhoneSchema):  # type: ignore[misc] # the options differ
    """The telephone as a channel of a version."""


class PolicyEmailSchema(shown.Schema, EmailSchema):  # type: ignore[misc] # the options differ
    """E-mail as a channel of a version."""


class PolicyTextsSchema(shown.Schema, TextsSchema):  # type: ignore[misc] # the options differ
    """The clause of a version, by language."""


class PolicyTermsSchema(shown.Schema, TermsSchema):  # type: ignore[valid-type, misc]
    """The terms of a version."""

    phone = Nested(PolicyPhoneSchema)
    email = Nested(PolicyEmailSchema)
    texts = Nested(PolicyTextsSchema)


class PolicyVersionSchema(shown.Schema):
    """A version of a policy with all its terms."""

    policy = shown.String("The policy.", "virtual-numbers")
    version = shown.Integer("Its number, from 1.", 2)
    effective_from = shown.Instant(
        "From when it is in force; null: from the beginning.", "2026-12-31T23:00:00Z", allow_none=True
    )
    registered_at = shown.Instant(
        "When it was published or imported, by the service's own clock.", "2026-12-01T09:15:30.640215Z"
    )
    registered_by = shown.String("Who published or imported it.", A_CLIENT)
    imported = shown.Boolean(
        "Whether it was imported instead of published. Its dates are then those from which it was really in force."
    )
    withdrawn_at = shown.Instant("When it was withdrawn, before it took effect; null: it was not.", allow_none=True)
    withdrawn_by = shown.String("Who withdrew it; null: it was not withdrawn.", allow_none=True)
    content_hash = shown.String(
        "A hash of the content: equal content has an equal hash.",
        "0d1f3c2b9a8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a392817060f5e",
    )
    terms = shown.Nested(PolicyTermsSchema, example=terms_data(Terms(window_business_days=3)))


class ClosureReasonSchema(shown.Schema):
    """The reason for a closure, in two languages; each is null if it was not given or the caller may not see it."""

    de = shown.String("In German.", "Betriebsausflug", allow_none=True)
    en = shown.String("In English.", "Staff outing", allow_none=True)


class ClosureSchema(shown.Schema):
    """A date on which the vendor is closed, in addition to those in the policy's terms."""

    closure_id = shown.String("The closure.", "virtual-numbers/2026-07-10")
    policy = shown.String("The policy.", "virtual-numbers")
    date = shown.Date("The date.", "2026-07-10")
    reason = shown.Nested(ClosureReasonSchema)
    entered_at = shown.Instant(
        "When it was entered. It extends the windows that it falls into and that had not ended then.",
        "2026-07-01T07:12:44.018842Z",
    )
    entered_by = shown.String("Who entered it.", A_CLIENT)


ClosureListSchema = shown.page_of(ClosureSchema)
SUMMARY = VersionSummarySchema.example()
CLOSURE = ClosureSchema.example()
VERSION = PolicyVersionSchema.example()
VERSION_EXAMPLE = example("second", "A second version", VERSION)
POLICY = {"id": "virtual-numbers", "last_updated": SUMMARY["registered_at"], "default": True, "versions": [SUMMARY]}

VERSION_LINK = {
    "version": {
        "operationId": "getPolicyVersion",
        "parameters": {"policy_id": "$response.body#/id", "version": "$response.body#/versions/0/version"},
        "description": "What a version says.",
    }
}


class DifferenceSchema(shown.Schema):
    """A term in which a version differs from the one that it is compared with."""

    term = shown.String("The name of the term.", "window_business_days")
    text = shown.String(
        "What it says, and what it said before, in words.", "Window: 3 business days (was: 2 business days)"
    )


class ClauseWarningSchema(shown.Schema):
    """A difference between the clause and its terms. It is found by words and may be a false alarm."""

    code = shown.Code(MismatchKind, "A stable code.")
    language = shown.String("The language of the clause: `de` or `en`.")
    said = shown.String("What the clause says; empty if it lacks a channel.")
    term = shown.String("The name of the term.")
    text = shown.String("What the clause and what the term says, in words.")


class PublishedVersionSchema(PolicyVersionSchema):
    """A version that is or would be published, how it differs from the one before it, and its clause from its terms."""

    follows = shown.Integer("The version in force before it; null: it is the first.", 1, allow_none=True)
    differences = shown.ListOf(DifferenceSchema, example=[DifferenceSchema.example()])
    warnings = shown.ListOf(ClauseWarningSchema)


class DraftSchema(StrictSchema):
    """A version to publish or simulate: a version without the fields that the service sets."""

    version = Whole(1, 100_000, "Its number: the next one.", required=True)
    effective_from = NearInstant(
        "When it takes effect: not before now, nor before `page_published_at`. Null: now or, if that is later, at "
        "`page_published_at`. Once in force, the version cannot be withdrawn, so null usually cannot be undone.",
        required=True,
        allow_none=True,
    )
    terms = Nested(TermsSchema, "Every term; one that is left out takes its default.", required=True)


class PublishQuerySchema(QuerySchema):
    """Whether to publish or only to show the result."""

    dry_run = FlagText("Return what would be published, and publish nothing. Default false.")


class ClosureReasonRequestSchema(StrictSchema):
    """The reason for a closure."""

    de = FreeText(200, "In German.")
    en = FreeText(200, "In English.")


class ClosureRequestSchema(StrictSchema):
    """A closure to enter: a date on which the vendor is closed."""

    date = LocalDate("The date; at most five years away.", required=True)
    reason = Nested(ClosureReasonRequestSchema, "Why, for the vendor's own staff. Stored encrypted.")


class EnteredClosureSchema(ClosureSchema):
    """An entered closure and its effect."""

    notices = shown.ListOf(shown.Code(ClosureNotice, "A stable code."))
    effect_text = shown.String("What it does, in words.")


MOST_BYTES = 2**18
"""The largest body of a draft: both clauses can be long, and JSON escapes make them longer."""


DRAFT = {
    "version": 2,
    "effective_from": "2027-01-01T00:00:00+01:00",
    "terms": {"window_business_days": 3},
}

VERSION_LINKS = {
    name: {
        "operationId": operation_id,
        "parameters": {"policy_id": "$response.body#/policy", "version": "$response.body#/version"},
    }
    for name, operation_id in (("version", "getPolicyVersion"), ("withdrawal", "withdrawPolicyVersion"))
}

PUBLISHED = shared(example("draft", "Three days from New Year on", PublishedVersionSchema.example()))

WITHDRAWN = example(
    "withdrawn",
    "Withdrawn before it took effect",
    VERSION | {"withdrawn_at": "2026-12-30T10:00:00Z", "withdrawn_by": VERSION["registered_by"]},
)

CLOSED = CLOSURE | {
    "notices": [],
    "effect_text": closure_text(date(2026, 7, 10), []),
}

CLOSURE_EXAMPLE = example("closed", "A staff outing", CLOSED)
