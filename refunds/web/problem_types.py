"""The types of problems. Each says what happened and how to fix it, and has a status and a page: `/problems/<code>`."""

from typing import NamedTuple

from refunds.errors import Message


class Problem(NamedTuple):
    """A type of problem: its status, its title, what happened, and the fix."""

    status: int
    title: Message
    happened: str = ""
    fix: str = ""

    def explained(self, happened: str, fix: str) -> "Problem":
        """Return a copy with both texts. `make translations` finds them by the name of this method."""
        return self._replace(happened=happened, fix=fix)


PROBLEMS = {
    "bad-request": Problem(400, Message("The service cannot read the request")).explained(
        "The address or a header of the request is wrong: for example, its query is not UTF-8, or it names a host that "
        "is not served here.",
        "Check the address and the headers. An operator adds host names with REFUNDS_TRUSTED_HOSTS.",
    ),
    "malformed-json": Problem(400, Message("The body is not JSON")).explained(
        "The body is not valid JSON in UTF-8: it is cut short or nested too deeply, or it contains something that JSON "
        "does not have, such as NaN or half a surrogate pair.",
        "Write the body with a JSON library, and send all of it.",
    ),
    "duplicate-key": Problem(400, Message("An object has the same key twice")).explained(
        "An object in the body has the same key twice. JSON readers disagree on which one counts, so the service "
        "accepts neither.",
        "Send every key once.",
    ),
    "idempotency-key-missing": Problem(400, Message("The request has no Idempotency-Key")).explained(
        "This operation creates a record, and its response can be lost on the network. With a key, the same request "
        "sent again gets the first response and creates no second record.",
        "Send an Idempotency-Key that you choose, such as a UUID. Use the same key for every attempt at one request, "
        "and another for every other request.",
    ),
    "idempotency-key-invalid": Problem(400, Message("The Idempotency-Key is malformed")).explained(
        "The Idempotency-Key is not 1 to 128 letters, digits and simple signs, with or without quotes around them.",
        "Use a UUID, for example.",
    ),
    "invalid-cursor": Problem(400, Message("The cursor does not belong to this list")).explained(
        "The value of after does not come from this list with these filters, or it was changed.",
        "Leave after out to begin again. Then send each page's next as it is, with the same filters.",
    ),
    "unauthenticated": Problem(401, Message("The caller is not known")).explained(
        "The request has no token, or its token is misspelt, revoked or expired.",
        "Send Authorization: Bearer and the token. An operator creates one with: flask tokens create",
    ),
    "forbidden": Problem(403, Message("The caller may not do this")).explained(
        "The token is valid, but its role does not have the scope that this request needs.",
        "Ask someone whose role has this scope. The API document names the scopes of each operation; GET /v1/me lists "
        "yours.",
    ),
    "not-found": Problem(404, Message("There is nothing at this address, or with this id")).explained(
        "The path is misspelt, or something that the request names does not exist.",
        "Compare the path with the API document at /docs. Percent-encode special characters in codes and ids.",
    ),
    "order-not-found": Problem(404, Message("No order is registered with this id")).explained(
        "The path is right, but no order has this id. Nothing was changed.",
        "Compare the id with the billing system's. If it is right, register the order first.",
    ),
    "method-not-allowed": Problem(405, Message("This address does not take this method")).explained(
        "The path exists, but it does not take this method. The Allow header lists the methods that it takes.",
        "Use a method from the Allow header.",
    ),
    "not-acceptable": Problem(406, Message("The response does not exist in this form")).explained(
        "The Accept header names no form in which this operation can respond.",
        "Ask for a form that the API document names for the operation, or send no Accept header.",
    ),
    "order-facts-conflict": Problem(409, Message("The order is registered with other facts")).explained(
        "An order with this id is registered with other facts. The list of errors names each difference. Nothing was "
        "changed.",
        "Check the order's id. If the registered facts are wrong, correct them: send If-Match and a correction_reason.",
    ),
    "customer-erased": Problem(409, Message("The customer was erased")).explained(
        "The customer of this order was erased, and the request would store personal data about them. Nothing was "
        "changed.",
        "Send the request without the personal fields. The order can still be read, settled, unsettled, resolved and "
        "revoked. A new order of the same customer belongs to a new customer.",
    ),
    "customer-has-open-matters": Problem(409, Message("The customer has open matters")).explained(
        "The customer has an open withdrawal, an open request that was in time or needs a supervisor, a refund that is "
        "not settled, or an open data request for a copy of their data. Nothing was erased.",
        "Deal with what the detail names, or say why the erasure does not wait for it.",
    ),
    "legal-hold": Problem(409, Message("A legal hold keeps the customer's data")).explained(
        "The customer has a legal hold, so they cannot be erased, and no order of theirs can become another "
        "customer's. Nothing was changed.",
        "Lift the hold once its reason is gone.",
    ),
    "identity-not-checked": Problem(409, Message("The person's identity was not checked")).explained(
        "The data request has no identity check. Without one, no data is handed out or erased. Nothing was changed.",
        "Check the person's identity, note in the data request how you checked it, and send this again.",
    ),
    "data-request-state-conflict": Problem(409, Message("The data request has something else on record")).explained(
        "The data request already has another outcome or another identity check. Nothing was changed.",
        "Read the data request again. If its identity check is wrong, correct it by a rectification. If the person "
        "asks for something else, open another one.",
    ),
    "cannot-be-extended": Problem(409, Message("The time to answer cannot be extended")).explained(
        "Only data requests for access, portability or objection can be extended: once, before they are due, to three "
        "months from receipt. Nothing was changed.",
        "Answer the data request as soon as you can.",
    ),
    "order-frozen": Problem(409, Message("The facts of a cancelled order cannot change")).explained(
        "The order has a cancellation that is based on its facts. Nothing was changed.",
        "If the cancellation is a mistake, revoke it. Then correct the order.",
    ),
    "not-refundable": Problem(409, Message("The order cannot be cancelled under the policy")).explained(
        "The contractual window has ended, or the contact does not count, for example because its channel is not "
        "accepted; the problem shows the decision. An order and a contact sent with the request were recorded. "
        "Statutory rights were not assessed.",
        "Give the customer the reason. A supervisor can override the refusal: send the contact_id and an override.",
    ),
    "order-already-cancelled": Problem(409, Message("The order is already cancelled")).explained(
        "The order has a cancellation; the problem shows its reference. A contact sent with the request was recorded.",
        "Give the customer the reference. Nothing more is needed.",
    ),
    "policy-version-conflict": Problem(
        409, Message("The registered versions of the policy do not allow this")
    ).explained(
        "The version's number belongs to other content or to a withdrawn version; or the version has already taken "
        "effect; or decisions were made under the policy, so its past cannot change. Nothing was changed.",
        "Read the policy again. The detail gives the number of the next version, or what you can do instead.",
    ),
    "contact-state-conflict": Problem(409, Message("The state of the contact does not allow this")).explained(
        "The contact was superseded, resolved or matched, it does not ask for a cancellation, a cancellation is based "
        "on it, somebody else has taken it, or it already has another value for what you want to add. Nothing was "
        "changed.",
        "Read the contact again. The detail names the reason.",
    ),
    "cancellation-state-conflict": Problem(409, Message("The state of the cancellation does not allow this")).explained(
        "A revoked cancellation cannot be settled or confirmed. A cancellation whose refund is begun cannot be "
        "revoked, and only the holder can begin or settle its refund again. A settled cancellation cannot be revoked, "
        "or settled with other values. Nothing was changed.",
        "Read the cancellation again. The detail names its state.",
    ),
    "feed-rewound": Problem(409, Message("The feed has not given this place")).explained(
        "The journal has another event at the place in the request, or ends before it, because an older backup of the "
        "database was restored. This request changed nothing.",
        "Read on from the problem's next: it is a place from before the restore, so events that you have seen come "
        "again. Ask the operator which orders and cancellations you have to send again.",
    ),
    "length-required": Problem(411, Message("The body has no known length")).explained(
        "The request has a body but no Content-Length, or it has a Transfer-Encoding. The service accepts no body of "
        "unknown length, because it could not notice if the body was cut short.",
        "Send Content-Length and no Transfer-Encoding. With curl: --data-binary @file, and not -T - from a pipe.",
    ),
    "precondition-failed": Problem(412, Message("The order is not in the state that you have read")).explained(
        "The If-Match is not the ETag of the order's current state: for example, someone has changed the order since "
        "you read it. This request changed nothing.",
        "Read the order again, compare, and send the correction with the new ETag.",
    ),
    "body-too-large": Problem(413, Message("The body is too large")).explained(
        "The body is longer than this operation accepts.",
        "Send less at once: split a batch into several.",
    ),
    "unsupported-media-type": Problem(415, Message("The body is not declared as JSON")).explained(
        "The Content-Type is not application/json, or the body is compressed.",
        "Send Content-Type: application/json and an uncompressed body in UTF-8.",
    ),
    "validation-error": Problem(422, Message("Some values of the request are not valid")).explained(
        "The service can read the request, but some values are not valid. The list of errors names each place by a "
        "JSON pointer into the body (or by the name of the parameter), says what is expected, and has a stable code.",
        "Correct each place that is named, and send the request again.",
    ),
    "payment-data-refused": Problem(422, Message("A text contains payment data")).explained(
        "A text contains what looks like the number of a payment card or a bank account, a CVV or a PIN. The service "
        "never stores these, and it stored nothing of this request.",
        "Leave the number out: it is not needed to cancel. Write telephone numbers with + and their country code.",
    ),
    "effective-too-early": Problem(422, Message("The version would take effect too early")).explained(
        "A version cannot take effect before it is registered or before the vendor's page shows it.",
        "Choose a later effective_from, or send null: the version then takes effect as soon as possible.",
    ),
    "evidence-required": Problem(422, Message("A contact entered after the deadline needs a ticket")).explained(
        "The contact was received before the deadline but is entered after it, and the policy then requires a ticket. "
        "The contact was not recorded.",
        "Add the ticket_ref of the call or e-mail.",
    ),
    "idempotency-key-reused": Problem(422, Message("The key was used for another request")).explained(
        "This Idempotency-Key was already used for another request. Nothing was changed.",
        "Use a new key for a new request. To repeat a request, send exactly the same again.",
    ),
    "unknown-region": Problem(422, Message("The region is unknown")).explained(
        "The region is not exactly one of the codes in the holiday data. The service never treats an unknown region as "
        "a place without holidays.",
        "Use a country code (DE), or a country and a subdivision (DE-BY). The detail may suggest a code.",
    ),
    "calendar-not-covered": Problem(422, Message("The holiday data does not reach that far")).explained(
        "Some days to be counted are in years for which the region's holidays are not known. The service never counts "
        "such days as if there were no holidays.",
        "Check the year. The detail says which dates the region's data covers.",
    ),
    "no-policy-in-force": Problem(422, Message("No version of the policy was in force")).explained(
        "No version was in force at the time that decides which version applies: the first takes effect later, or "
        "every version was withdrawn.",
        "Check the dates. The detail says when the first version takes effect.",
    ),
    "precondition-required": Problem(428, Message("A correction needs the ETag of the order")).explained(
        "The correction does not say which state of the order it is based on, so it could undo someone else's "
        "correction.",
        "Read the order and send its ETag as If-Match.",
    ),
    "rate-limited": Problem(429, Message("Too many requests")).explained(
        "The client sent too many requests in a second, or this request waited 20 seconds for its turn, or the service "
        "is receiving too many bodies at once, or it is building the calendars of other regions. The time to build a "
        "calendar counts against the limit of the client that first named its region.",
        "Wait as many seconds as Retry-After says. One batch can contain many checks.",
    ),
    "internal-error": Problem(500, Message("The service failed")).explained(
        "Something went wrong that is not the request's fault, and was logged with the request id. It is not known "
        "whether the request changed anything.",
        "Try again later. If it persists, give the operator the request id, which is the problem's instance.",
    ),
    "storage-unavailable": Problem(503, Message("The database cannot be reached")).explained(
        "The database is busy, full or unreachable. The request changed nothing, or it is not known whether it did.",
        "Send the same request again after as many seconds as Retry-After says, with the same Idempotency-Key.",
    ),
    "clock-in-doubt": Problem(503, Message("The clock of this instance is in doubt")).explained(
        "The clock is behind the last event of the journal, or far ahead of the last sign of life.",
        "Tell the operator. They correct the clock, or confirm it; the detail says how.",
    ),
    "stopping": Problem(503, Message("This instance is about to stop")).explained(
        "The instance finishes the requests that it has, and then stops.",
        "Send requests to another instance, or to this one when it is ready again.",
    ),
}
