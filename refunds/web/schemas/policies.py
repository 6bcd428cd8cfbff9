"""Schemas of policies, their versions and closures."""

from datetime import date

from refunds.domain.clauses import MismatchKind
from refunds.domain.terms import Terms
from refunds.presentation.texts.policies import closure_text
from refunds.schemas.fields import FreeText, Instant, Nested, Whole, require_near
from refunds.schemas.policy import EmailSchema, PhoneSchema, TermsSchema, TextsSchema, terms_data
from refunds.schemas.strict import StrictSchema
from refunds.service.publication import ClosureNotice
from refunds.web.schemas import shown
from refunds.web.schemas.examples import A_CLIENT, example, shared

_REGISTERED = "When the version was published or imported, by the service's clock."
_WITHDRAWN = shown.InstantOrNull("When the version was withdrawn, before it took effect; null: it was not withdrawn.")
_HASH = "A hash of the version's content: equal content has an equal hash."


class VersionSummarySchema(shown.Schema):
    """A version of a policy without its terms."""

    version = shown.Integer("The number of the version, from 1.", 1)
    effective_from = shown.InstantOrNull("From when the version is in force; null: from the beginning.")
    page_published_at = shown.InstantOrNull("From when the vendor's page shows the version; null if that is not known.")
    registered_at = shown.Instant(_REGISTERED, "2026-01-07T08:30:00.250112Z")
    withdrawn_at = _WITHDRAWN
    content_hash = shown.String(_HASH, "5b1d097342c27276c97b62610b230faa7ca70aa8fefb990916606f55bbae6d6c")


class PolicySchema(shown.Schema):
    """A policy and its versions."""

    id = shown.String("The id of the policy.")
    last_updated = shown.Instant(
        "The time of the newest version that has taken effect: when the vendor's page showed it; if that is not "
        "known, when it took effect; if it is in force from the beginning, when it was registered. If no version has "
        "taken effect, the time at which the newest version was registered."
    )
    default = shown.Boolean("Whether the policy applies if an HTTP request names no policy.")
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

    policy = shown.String("The id of the policy.", "virtual-numbers")
    version = shown.Integer("The number of the version, from 1.", 2)
    effective_from = shown.InstantOrNull(
        "From when the version is in force; null: from the beginning.", "2026-12-31T23:00:00Z"
    )
    registered_at = shown.Instant(_REGISTERED, "2026-12-01T09:15:30.640215Z")
    registered_by = shown.String("Who published or imported the version.", A_CLIENT)
    imported = shown.Boolean(
        "Whether the version was imported instead of published. `effective_from` is then the time from which it was "
        "really in force."
    )
    withdrawn_at = _WITHDRAWN
    withdrawn_by = shown.StringOrNull("Who withdrew the version; null: it was not withdrawn.")
    content_hash = shown.String(_HASH, "0d1f3c2b9a8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a392817060f5e")
    terms = shown.Nested(PolicyTermsSchema, example=terms_data(Terms(window_business_days=3)))


class ClosureReasonSchema(shown.Schema):
    """The reason for a closure in two languages. Each is null if it was not given or is hidden."""

    de = shown.StringOrNull("The reason in German.", "Betriebsausflug")
    en = shown.StringOrNull("The reason in English.", "Staff outing")


class ClosureSchema(shown.Schema):
    """A closure: a date on which the vendor is closed, in addition to those in the policy's terms."""

    closure_id = shown.String("The id of the closure.", "virtual-numbers/2026-07-10")
    policy = shown.String("The id of the policy.", "virtual-numbers")
    date = shown.Date("The date on which the vendor is closed.", "2026-07-10")
    reason = shown.Nested(ClosureReasonSchema)
    entered_at = shown.Instant(
        "When the closure was entered. It extends the windows that contain its date and had not ended at that time.",
        "2026-07-01T07:12:44.018842Z",
    )
    entered_by = shown.String("Who entered the closure.", A_CLIENT)


ClosureListSchema = shown.page_of(ClosureSchema)
SUMMARY = VersionSummarySchema.example()
CLOSURE = ClosureSchema.example()
VERSION = PolicyVersionSchema.example()
VERSION_EXAMPLE = example("second", "A second version", VERSION)
POLICY = {"id": "virtual-numbers", "last_updated": SUMMARY["registered_at"], "default": True, "versions": [SUMMARY]}

VERSION_LINK = shown.links({"policy_id": "id", "version": "versions/0/version"}, version="getPolicyVersion")
VERSION_LINK["version"]["description"] = "The terms and the clause of a version."


class DifferenceSchema(shown.Schema):
    """A term in which a version differs from another version."""

    term = shown.String("The name of the term.", "window_business_days")
    text = shown.String("The term in words, now and before.", "Window: 3 business days (was: 2 business days)")


class ClauseWarningSchema(shown.Schema):
    """A difference between the clause and the terms. It is found by words, so it may be a false alarm."""

    code = shown.Code(MismatchKind, "The kind of difference: a stable code.")
    language = shown.String("The language of the clause: `de` or `en`.")
    said = shown.String("What the clause says; empty if the clause does not mention a channel.")
    term = shown.String("The name of the term.")
    text = shown.String("What the clause says and what the term says, in words.")


class PublishedVersionSchema(PolicyVersionSchema):
    """A version that is or would be published, its differences from the version before, and warnings."""

    follows = shown.IntegerOrNull(
        "The number of the version in force before this one; null: this is the first version.", 1
    )
    differences = shown.ListOf(DifferenceSchema, example=[DifferenceSchema.example()])
    warnings = shown.ListOf(ClauseWarningSchema)


class DraftSchema(StrictSchema):
    """A version to publish or simulate, without the fields that the service sets."""

    version = Whole(1, 100_000, "The number of the version: the policy's next number.", required=True)
    effective_from = Instant(
        "When the version takes effect. It must not be before now, nor before `page_published_at`. Null: now or, if "
        "that is later, at `page_published_at`. A version in force cannot be withdrawn, so null can usually not be "
        "undone.",
        validate=require_near,
        required=True,
        allow_none=True,
    )
    terms = Nested(TermsSchema, "The terms; a term that you leave out gets its default.", required=True)


class ClosureReasonRequestSchema(StrictSchema):
    """The reason for a closure."""

    de = FreeText(200, "The reason in German.")
    en = FreeText(200, "The reason in English.")


class EnteredClosureSchema(ClosureSchema):
    """An entered closure, and what it changes."""

    notices = shown.ListOf(shown.Code(ClosureNotice, "A stable code."))
    effect_text = shown.String("What the closure changes, in words.")


MOST_BYTES = 2**18
"""The largest body of a draft: both clauses can be long, and JSON escapes make them longer."""


DRAFT = {"version": 2, "effective_from": "2027-01-01T00:00:00+01:00", "terms": {"window_business_days": 3}}

VERSION_LINKS = shown.links(
    {"policy_id": "policy", "version": "version"}, version="getPolicyVersion", withdrawal="withdrawPolicyVersion"
)

PUBLISHED = shared(example("draft", "Three days from New Year on", PublishedVersionSchema.example()))

WITHDRAWN = example(
    "withdrawn",
    "Withdrawn before it took effect",
    VERSION | {"withdrawn_at": "2026-12-30T10:00:00Z", "withdrawn_by": VERSION["registered_by"]},
)

_EFFECT = {"notices": [], "effect_text": closure_text(date(2026, 7, 10), [])}
CLOSURE_EXAMPLE = example("closed", "A staff outing", CLOSURE | _EFFECT)
