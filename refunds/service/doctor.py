"""The doctor: every check that an operator would do by hand, each with what to do about what it finds.

It only reads, also beside a service that runs. A check that cannot be made, as without a database, stops no other.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from refunds.domain.contact_points import Channel
from refunds.domain.holidays_data import HOLIDAYS_VERSION, covered_years, provisional_from
from refunds.domain.instants import TZDATA_VERSION, format_instant, local_date, zone
from refunds.domain.regions import known_region_or_country
from refunds.errors import Message, RefundsError
from refunds.service import calendars, clock, doctor_files, upkeep, watch
from refunds.service.examination import Finding, Found, Patient, failed, ok, warning
from refunds.storage import Transaction, lineage, schema
from refunds.storage.postgres import CONNECTIONS
from refunds.storage.sqlite import wal_is_sound

SOON = timedelta(days=30)  # how long before a token ends, or dates become provisional, that is found
LONG = timedelta(days=400)  # that calendar data may stay the same: a year brings new decrees and rules of time zones

MANY_TOKENS = 50

_UNDO = Message("undo what was changed by hand, or restore a backup")


def examine(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """Run every check, and yield each finding with the name of its check.

    If one error stops several checks, the first reports it, and the last finding names the others as not checked.
    """
    told: set[str] = set()
    left_out = []
    for name, check in CHECKS.items():
        try:
            yield from ((name, found) for found in check(patient))
        except (RefundsError, OSError) as error:
            new = [line for line in str(error).splitlines() if line not in told]
            told.update(new)
            if new:
                yield name, failed("\n".join(new))
            else:
                left_out.append(name)
    if left_out:
        yield "others", warning(Message("not checked, because of what failed: %(checks)s", checks=", ".join(left_out)))


def _settings(patient: Patient) -> Found:
    """Yield the finding of the mode, address and port, and those that something in these settings is wrong."""
    settings = patient.settings
    where = {"env": settings.env, "listen": settings.listen, "port": settings.port}
    yield ok(Message("%(env)s, on %(listen)s, port %(port)s", **where))
    if not settings.production:
        yield warning(
            Message("in development, a start on an empty database makes an installation and shows its secrets"),
            Message("set REFUNDS_ENV=production"),
        )
    host, names = urlsplit(settings.public_url).hostname, settings.trusted_hosts
    if host and not any(host == name or (name[0] == "." and f".{host}".endswith(name)) for name in names):
        yield failed(
            Message("%(host)s, the host of REFUNDS_PUBLIC_URL, is refused", host=host),
            Message("add it to REFUNDS_TRUSTED_HOSTS"),
        )
    if settings.behind_tls_proxy and not set(names) - {"localhost", "127.0.0.1"}:
        yield warning(
            Message("no host name is trusted by which others could reach the service through its proxy"),
            Message("set REFUNDS_TRUSTED_HOSTS to the name that clients use"),
        )


def _database(patient: Patient) -> Found:
    """Yield the finding that the database is fit; raise `ConfigurationError` if not, `DamagedDatabase` if damaged."""
    with patient.tables() as tx:
        patient.engine.require_whole(tx)
        yield ok(Message("%(name)s is there, whole and of this version", name=patient.engine.name))


def _journal(patient: Patient) -> Found:
    """Yield whether the journal is the one of the checkpoints: a failed finding if not."""
    written = list(patient.store.checkpoints)  # read before the journal, which only grows
    with patient.records() as uow:
        head = uow.events.head()
        differs = lineage.difference(uow.tx, head, written)
    text = Message("it is not that of the checkpoints: %(how)s", how=differs)
    fix = Message("name the right database; if an older state was restored on purpose: flask audit accept")
    fits = Message("up to position %(position)s, it is that of the checkpoints", position=head.position)
    yield failed(text, fix) if differs else ok(fits)


def _erasures(patient: Patient) -> Found:
    """Yield whether ledger and records agree on who was erased; warn if something erased may still be in the files."""
    ledger = patient.store.erasures
    with patient.records() as uow:
        undone, lacking = uow.erasures.differences()
    if differing := sorted(one.customer_id for one in (*undone, *lacking)):
        text = Message("%(file)s and the records differ about %(ids)s", file=ledger.file, ids=", ".join(differing))
        yield failed(text, Message("start the service again: it erases those whom one of them has as erased"))
        return
    text = Message("what was erased last may still be in the files of the database: it was read meanwhile")
    fix = Message("it goes after the next write, or at the next start; end what reads for long")
    fits = Message("%(file)s and the records agree on who was erased", file=ledger.file)
    is_scrubbed = upkeep.read_note(ledger.file.parent, "scrub").get("position", 0) == ledger.size
    yield ok(fits) if is_scrubbed else warning(text, fix)


def _schema(patient: Patient) -> Found:
    """Yield what of the schema is missing, different from a new database's, or not the service's; ok if nothing."""
    with patient.tables() as tx:
        differing = schema.differences(tx, on_server=patient.file is None)
    if not differing:
        yield ok(Message("the same as in a new database"))
    for one in differing:
        named = {"kind": one.kind, "name": one.name, "wanted": one.wanted, "found": one.found}
        if one.wanted is None:
            yield warning(Message("%(kind)s %(name)s is not one of the service", **named), _UNDO)
        elif one.found is None:
            yield failed(Message("%(kind)s %(name)s is missing: %(wanted)s", **named), _UNDO)
        else:
            yield failed(Message("%(kind)s %(name)s is %(found)s in place of %(wanted)s", **named), _UNDO)


def _engine(patient: Patient) -> Found:
    """Yield the finding of the database's engine and version: a warning for an SQLite that can damage its log."""
    version = patient.engine.sqlite_version
    if not version:
        with patient.tables() as tx:
            row = tx.one("SELECT current_setting('server_version') AS version") or {}
        yield ok(Message("PostgreSQL %(version)s", version=row["version"]))
    else:
        yield sqlite_found(version)


def sqlite_found(version: str) -> Finding:
    """Return the finding on a version of SQLite: a warning if it can damage a write-ahead log."""
    if wal_is_sound(tuple(map(int, version.split(".")))):
        return ok(Message("SQLite %(version)s, with a write-ahead log", version=version))
    return warning(
        Message("SQLite %(version)s can damage a write-ahead log: a rollback journal is used", version=version),
        Message("install pysqlite3, or a Python with SQLite 3.51.3 or newer: readers wait less"),
    )


def _clock(patient: Patient) -> Found:
    """Yield one finding on the clock: failed if it does not fit the journal, else with the present instant."""
    with patient.records():
        doubt = clock.doubt(patient.store)
    fits = Message("%(now)s, which fits the journal", now=format_instant(patient.now))
    yield failed(doubt.detail) if doubt else ok(fits)


def _calendars(patient: Patient) -> Found:
    """Yield the finding of the data's releases and the regions in use, and a finding for each of these that is bad."""
    with patient.records() as uow:
        regions, last = sorted(calendars.regions_in_use(uow)), watch.last_change(uow)
    data = {"holidays": HOLIDAYS_VERSION, "tzdata": TZDATA_VERSION, "regions": ", ".join(regions)}
    yield ok(Message("holidays %(holidays)s, tzdata %(tzdata)s; regions in use: %(regions)s", **data))
    today, update = patient.now.date(), Message("update holidays and tzdata: see flask calendar compare")
    for region in regions:
        if known_region_or_country(region) is None:
            yield failed(Message("the holiday data does not have %(region)s", region=region), update)
            continue
        until, since = covered_years(region)[-1], provisional_from(region)
        if until <= today.year + 1:
            yield failed(Message("%(region)s is covered until %(year)s", region=region, year=until), update)
        if since and since <= today + SOON:
            yield warning(Message("%(region)s is provisional from %(date)s", region=region, date=since), update)
    changed = last and last.at
    if (changed and patient.now - changed > LONG) or int(TZDATA_VERSION[:4]) < today.year - 1:
        since_then = changed.date() if changed else TZDATA_VERSION[:4]
        yield warning(Message("the data has been the same since %(date)s", date=since_then), update)


def _tokens(patient: Patient) -> Found:
    """Yield how many tokens are valid, and warnings: if too many are, of any that ends soon, of clients without one."""
    with patient.records() as uow:
        every, tz = list(uow.tokens.with_clients()), zone(uow.default_terms.time_zone)
    valid = [(client, one) for client, one in every if one.revoked_at is None and one.expires_at > patient.now]
    yield ok(Message("%(number)s are valid", number=len(valid)))
    for client, token in valid:
        if token.expires_at <= patient.now + SOON:
            named = {
                "token": token.token_id,
                "client": client.name,
                "role": client.role,
                "on": local_date(token.expires_at, tz),
            }
            yield warning(
                Message("%(token)s of %(client)s ends on %(on)s", **named),
                Message("flask tokens create --role %(role)s --client '%(client)s', and revoke the old one", **named),
            )
    every.sort(key=lambda found: found[1].expires_at)
    for client, token in {one[0].client_id: one for one in every if one[1].revoked_at is None}.values():
        if token.expires_at <= patient.now:
            named = {"client": client.name, "role": client.role, "on": local_date(token.expires_at, tz)}
            text = Message("every token of %(client)s has ended, the last on %(on)s", **named)
            fix = Message("flask tokens create --role %(role)s --client '%(client)s', or revoke it", **named)
            yield warning(text, fix)
    if len(valid) > MANY_TOKENS:
        text = Message("more than %(most)s are valid: nobody can know where all of them are", most=MANY_TOKENS)
        yield warning(text, Message("revoke those that nobody needs: flask tokens list"))


def _contact_points(patient: Patient) -> Found:
    """Warn of channels that a policy in force accepts without official numbers or addresses; ok if there are none."""
    with patient.records() as uow:
        versions = [policy.current(patient.now) for policy in uow.policies.values()]
    missing = [(one, channel) for one in versions for channel in (Channel.PHONE, Channel.EMAIL)]
    missing = [(one, of) for one, of in missing if one.terms.channel(of).accepted and not one.terms.channel(of).points]
    if not missing:
        yield ok(Message("every channel that a policy accepts has its official numbers or addresses"))
    for version, channel in missing:
        named = {"policy": version.policy_id, "version": version.version, "channel": channel}
        yield warning(
            Message("%(policy)s, version %(version)s: %(channel)s is accepted, whatever number or address", **named),
            Message("publish a version with the official ones in %(channel)s.points", **named),
        )


def _data_requests(patient: Patient) -> Found:
    """Warn of overdue data requests, with their number and the one that is due for longest; ok if there is none."""
    with patient.records() as uow:
        first, overdue = uow.data_requests.paginate(limit=1, overdue=True), uow.data_requests.count_of(overdue=True)
    if not first:
        yield ok(Message("none is overdue"))
    for one in first:
        named = {"number": overdue, "id": one.request_id, "due": format_instant(one.due_at)}
        text = Message("%(number)s are overdue, the longest %(id)s, since %(due)s", **named)
        yield warning(text, Message("have them answered: flask privacy requests --overdue"))


def _server_log(tx: Transaction) -> Found:
    """Yield each setting by which a PostgreSQL writes values of records into its log; ok if there is none."""
    if not (leaking := schema.parameters_to_zero(schema.log_parameters(tx))):
        yield ok(Message("the server writes no values of records into its log"))
    for name in leaking:
        yield failed(
            Message("the server writes values of records into its log: %(name)s is not 0", name=name),
            Message("set %(name)s = 0 in postgresql.conf, and have the server read it", name=name),
        )


def room_for_instances(allowed: int, used_by_others: int) -> Found:
    """Yield for how many instances a PostgreSQL has connections left: a warning if for one, failed if for none."""
    free = allowed - used_by_others
    room = {"allowed": allowed, "others": used_by_others, "instances": free // CONNECTIONS, "each": CONNECTIONS}
    text = Message("of %(allowed)s connections, others use %(others)s: room for %(instances)s instances", **room)
    if free >= 2 * CONNECTIONS:
        yield ok(text)
    else:
        fix = Message("raise max_connections: each instance uses up to %(each)s", **room)
        yield (warning if free >= CONNECTIONS else failed)(text, fix)


def _samples(tx: Transaction) -> Found:
    """Warn of the encrypted columns of which a PostgreSQL keeps samples, or may; ok if there is none."""
    found = schema.sampled_columns(tx)
    text = Message("the server keeps samples of what is encrypted, or may: %(columns)s", columns=", ".join(found))
    fix = Message("ALTER TABLE … ALTER COLUMN … TYPE bytea, ALTER COLUMN … SET STATISTICS 0, for each")
    yield warning(text, fix) if found else ok(Message("the server keeps no sample of what is encrypted"))


def _on_server(check: Callable[[Transaction], Found]) -> Callable[[Patient], Found]:
    """Return a check of an installation that makes `check` on a PostgreSQL database, and finds nothing with SQLite."""

    def checked(patient: Patient) -> Found:
        if patient.file is None:
            with patient.tables() as tx:
                yield from check(tx)

    return checked


CHECKS: dict[str, Callable[[Patient], Found]] = {
    "settings": _settings,
    "database": _database,
    "engine": _engine,
    "schema": _schema,
    "ledger": doctor_files.ledger,
    "key": doctor_files.key,
    "permissions": doctor_files.permissions,
    "journal": _journal,
    "erasures": _erasures,
    "disk": doctor_files.disk,
    "clock": _clock,
    "calendars": _calendars,
    "tokens": _tokens,
    "contact-points": _contact_points,
    "data-requests": _data_requests,
    "upkeep": doctor_files.backups,
    "server-log": _on_server(_server_log),
    "connections": _on_server(lambda tx: room_for_instances(*schema.connection_room(tx))),
    "samples": _on_server(_samples),
}
"""Every check by its name; the last three are for PostgreSQL alone."""
