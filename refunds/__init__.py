"""The refund and cancellation policy service: the map of the package.

The way of a request: the endpoint reads it, opens one unit of work and calls one view, which calls one use case; the
use case asks repositories, lets the domain judge and records what happened; the presentation shows it.

    errors           the error tree, with stable codes; no HTTP
    config           every setting with its help; from the environment
    security/        encryption, the master key, tokens, passwords
    domain/          instants, business days, holiday data, contact points, payment data, terms, clauses, policies,
                     outcomes, eligibility (`decide()`), judging, records, standings, unmatched contacts, references,
                     resolutions, withdrawals, journal, permissions; no I/O, no web, no schema library
    schemas/         how anything from outside becomes a value: strict fields; orders and policies, and their files
    storage/         engines and transactions, migrations, how records become rows, one repository per record, the
                     unit of work, the audit, copies
    service/         the use cases, one file per subject; the store, which creates units of work
    presentation/    the reader's language, serializers (plain data), tables (CSV), texts/, documents/ (what is kept or
                     printed), translations/ (the catalogue)
    web/             create_app(), the endpoint, the API document, problems, intake, auth; schemas/ and api/ (one file
                     per subject), console/ (screens, by the same names), templates/, static/
    cli/             flask commands, one file per subject
    policies/        the packaged default policy (TOML)

Who may import whom, each only from the lines below it (`tests/repo/test_house.py` holds it):

    web | cli
    presentation
    service
    storage
    schemas
    domain
    security | config
    errors
"""
