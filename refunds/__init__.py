"""The refund and cancellation policy service: the map of the package.

    errors           the error tree, with stable codes; no HTTP
    instants         RFC 3339 in and out; where a local date begins and ends              pure
    business_days    BusinessCalendar: the table, window(), explain()                     pure
    contact_points   channels; telephone numbers and e-mail addresses; payment data in texts pure
    fields           strict marshmallow fields: how anything from outside becomes a value pure
    terms            the terms of a policy, each with its default, its help and its field pure
    policy           policy versions, which one is in force; policy files                 pure
    eligibility      decide(): facts + version + calendar -> Decision                     pure
    secrecy          the master key and the keys it wraps, encrypted fields, keyed digests, tokens, passwords
    access           scopes, the roles that bundle them, principals                        pure
    records          orders, contacts, cancellations, clients, users: frozen values        pure
    journal          event types, the hash chain, digests of records                       pure
    holiday_source   the only importer of `holidays`; builds and keeps BusinessCalendars
    config           every setting with its help; from the environment
    wording/         decisions and policies in words, words for the customer, times as they are typed; German, English
    storage/         engines and transactions; migrations; how records become rows; queries, one file a record; copies
    service/         the use cases, one file a subject; work: one under way; books: the transactions they work in
    documents/       what is kept or printed: evidence, simulations, confirmations, deadlines; data and pages
    web/             create_app(); api/ (one file a subject: schemas beside their views), auth, idempotency, cursors,
                     intake, problems, openapi, asked, shown, telemetry, pages; console/ (screens, one file a subject),
                     sessions, translations/; templates/ and static/ of both
    cli/             flask commands, one file a subject
    policies/        the packaged default policy (TOML)

Who may import whom, each only from the lines below it (`tests/repo/test_house.py` holds it):

    web | cli
    documents
    service | wording
    storage | holiday_source | config
    journal | records
    eligibility
    policy
    terms
    fields
    business_days | contact_points
    instants | secrecy | access
    errors
"""
