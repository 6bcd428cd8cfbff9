"""Access over HTTP: who the caller is."""

from flask import Response, g

from refunds.config import RELEASE
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.instants import TZDATA_VERSION
from refunds.domain.permissions import SCOPES, Role, Scope
from refunds.presentation.serializers import attributes
from refunds.web.endpoint import Tag, answer
from refunds.web.responses import reply
from refunds.web.schemas import shown
from refunds.web.schemas.examples import A_CLIENT, example

tag = Tag("Access", "Who the caller is, and what the caller may do.")


class MeSchema(shown.Schema):
    """The client that the token identifies, and the releases of the service and its data."""

    client_id = shown.String("The client's id. It is recorded with everything that the client does.", A_CLIENT)
    name = shown.String("The client's name.", "console metrics")
    role = shown.Code(Role, "The client's role.", "operator")
    scopes = shown.ListOf(shown.Code(Scope, "A thing that the role may do."), example=["metrics:read"])
    token_id = shown.String("The id of the token that was sent with this request.", "k3Zp8QwX")
    expires_at = shown.Instant("When the token expires.", "2027-11-22T09:00:00Z")
    release = shown.String("The release of the service.", "0.2.0")
    holidays_version = shown.String("The release of the holiday data.", "0.109")
    tzdata_version = shown.String("The release of the time-zone data.", "2026f")


ME = MeSchema.example()


@tag.operation("GET /v1/me", scopes=())
@answer("The caller.", MeSchema, example("operator", "An operator's client", ME))
def who_am_i() -> Response:
    """Get the caller

    Returns the client, its role and scopes, the time at which its token expires, and the releases of the service and
    its data. Use it to check a token. In the last 30 days before the token expires, every response has the header
    `Token-Expires`.
    """
    principal = g.principal
    return reply(
        {
            **attributes(principal, client_id="actor", name="name", role="role"),
            "scopes": sorted(SCOPES[principal.role]),
            **attributes(principal, "token_id", "expires_at"),
            "release": RELEASE,
            "holidays_version": HOLIDAYS_VERSION,
            "tzdata_version": TZDATA_VERSION,
        }
    )
