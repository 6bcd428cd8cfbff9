"""Every setting, with its help; read from the environment, all that is wrong told at once."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from environs import Env, EnvValidationError, validate
from marshmallow import ValidationError

from refunds.errors import ConfigurationError, Message


def _setting(name: str, help_text: str, *, secret: bool = False) -> Any:
    """Return a field of `Settings` with its environment variable and help; a `secret` is left out of the repr."""
    return field(repr=not secret, metadata={"name": name, "help": help_text})


_LEVELS = ("debug", "info", "warning", "error")

RELEASE = "0.2.0"  # the release of the service, as in `pyproject.toml`


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this process is configured; each field knows its variable and what it is for."""

    port: int = _setting("PORT", "The port that the service listens on.")
    listen: str = _setting(
        "REFUNDS_LISTEN",
        "The IP address that the service listens on; `0.0.0.0` and `::` mean every address. Outside the loopback "
        "interface it needs `REFUNDS_BEHIND_TLS_PROXY`.",
    )
    behind_tls_proxy: bool = _setting(
        "REFUNDS_BEHIND_TLS_PROXY",
        "`true`: clients reach the service only through a proxy that ends TLS, and nobody else reaches its port; else "
        "`false`.",
    )
    policy: str = _setting("REFUNDS_POLICY", "The policy for HTTP requests and commands that name none.")
    env: str = _setting(
        "REFUNDS_ENV",
        "`development` or `production`. In production, the service creates no master key, token or user for you.",
    )
    database: str = _setting(
        "REFUNDS_DATABASE",
        "The database: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST:PORT/NAME`.",
        secret=True,
    )
    master_key_file: Path | None = _setting(
        "REFUNDS_MASTER_KEY_FILE",
        "The file of the master key, which others cannot read. While the key is being changed, the file has the old "
        "and the new one, one a line. Keep it and its copies apart from the database.",
    )
    ledger_dir: Path | None = _setting(
        "REFUNDS_LEDGER_DIR",
        "The directory of the checkpoints and erasures, which all instances share; keep it apart from the database.",
    )
    rate_limit: int = _setting(
        "REFUNDS_RATE_LIMIT",
        "How many HTTP requests per second each client may make; after a pause it may make this many at once. "
        "Each second that the service spends on building calendars for a client counts as this many of its requests. "
        "0: no limit.",
    )
    drain_seconds: int = _setting(
        "REFUNDS_DRAIN_SECONDS",
        "How many seconds the service says that it is not ready before it stops, so that a load balancer sends no more "
        "requests.",
    )
    trusted_hosts: list[str] = _setting(
        "REFUNDS_TRUSTED_HOSTS", "The host names under which the service can be reached, separated by commas."
    )

    public_url: str = _setting(
        "REFUNDS_PUBLIC_URL",
        "The address under which clients reach the service, such as `https://refunds.example`. With it, the types of "
        "problems are absolute addresses.",
    )
    log_level: str = _setting(
        "REFUNDS_LOG_LEVEL",
        "The level from which lines are logged: `debug`, `info`, `warning` or `error`. Successful probes are `debug`.",
    )

    @property
    def production(self) -> bool:
        """Whether this is production, where no key, directory or data is made up."""
        return self.env == "production"


def load_settings() -> Settings:
    """Return the settings in the environment; those left out have their defaults.

    The master key file and the ledger directory are None if they are left out in production; with PostgreSQL, the
    directory is None in development, too. Raise `ConfigurationError`, with a line for each setting of a wrong form,
    each that would let clients reach the service without TLS, and each other variable that begins with `REFUNDS_`,
    except those that Kubernetes sets. Only the public URL may be empty. Of the database's URL, only the kind is
    checked; whether files exist is not.
    """
    env = Env(eager=False)
    name = {f.name: f.metadata["name"] for f in fields(Settings)}
    some = validate.Length(min=1, error="must not be empty: unset it for the default")
    read: dict[str, Any] = {
        "port": env.str(name["port"], "8000", validate=_number(1, 65_535)),
        "policy": env.str(name["policy"], "virtual-numbers", validate=some),
        "env": env.str(name["env"], "development", validate=_one_of("development", "production")),
        "database": env.str(name["database"], f"sqlite:///{_DEFAULT}", validate=[some, _DATABASE]),
        "master_key_file": env.str(name["master_key_file"], None, validate=some),
        "ledger_dir": env.str(name["ledger_dir"], None, validate=some),
        "rate_limit": env.str(name["rate_limit"], "1000", validate=_number(0, 999_999)),
        "drain_seconds": env.str(name["drain_seconds"], None, validate=_number(0, 600)),
        "public_url": env.str(name["public_url"], "", validate=_ADDRESS),
        "trusted_hosts": env.list(name["trusted_hosts"], ["localhost", "127.0.0.1"], validate=[some, _require_hosts]),
        "listen": env.str(name["listen"], "127.0.0.1", validate=_require_ip_address),
        "behind_tls_proxy": env.str(name["behind_tls_proxy"], "false", validate=_one_of("true", "false")),
        "log_level": env.str(name["log_level"], "info", validate=_one_of(*_LEVELS)),
    }
    wrong = [*_without_tls(read), *_unknown(name.values())]
    try:
        env.seal()
    except EnvValidationError as error:
        errors: Any = error.error_messages
        wrong[:0] = [f"{variable}: {' '.join(messages)}" for variable, messages in errors.items()]
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    if read["env"] == "development":
        beside = _beside(read["database"])
        read["master_key_file"] = read["master_key_file"] or beside("master.key")
        if not read["database"].startswith("postgres"):  # several machines would each have an own one
            read["ledger_dir"] = read["ledger_dir"] or beside("ledger")
    for path in ("master_key_file", "ledger_dir"):
        read[path] = read[path] and Path(read[path])
    read["drain_seconds"] = read["drain_seconds"] or (5 if read["env"] == "production" else 0)
    read |= {name: int(read[name]) for name in ("port", "rate_limit", "drain_seconds")}
    return Settings(**read | {"behind_tls_proxy": read["behind_tls_proxy"] == "true"})


def _without_tls(read: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each setting that would let clients in without TLS; `read` has None for a malformed setting."""
    if read["behind_tls_proxy"] == "false" and read["listen"] and not ip_address(read["listen"]).is_loopback:
        yield (
            "REFUNDS_LISTEN: others could reach the service without TLS: put a TLS proxy in front of it and set "
            "REFUNDS_BEHIND_TLS_PROXY=true, or listen on 127.0.0.1"
        )
    if read["behind_tls_proxy"] == "true" and (read["public_url"] or "").startswith("http:"):
        yield "REFUNDS_PUBLIC_URL: must begin with https:// with REFUNDS_BEHIND_TLS_PROXY=true"


_OF_KUBERNETES = re.compile(
    r"REFUNDS_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?=|PORT=(tcp|udp|sctp)://)"
)
"""How `NAME=value` begins that Kubernetes puts into containers for a service whose name begins with `refunds`."""


def _unknown(known: Iterable[str]) -> Iterator[str]:
    """Yield an error text for each environment variable that begins with `REFUNDS_` and is no setting in `known`.

    It names the setting that is likely meant, or else all. Variables that Kubernetes sets for a service are left out.
    """
    endings = {name.removeprefix("REFUNDS_"): name for name in known}
    for name in sorted(os.environ):
        ending = name.removeprefix("REFUNDS_")
        if ending == name or ending in endings.keys() - {"PORT"} or _OF_KUBERNETES.match(f"{name}={os.environ[name]}"):
            continue
        meant = get_close_matches(ending.upper(), endings, n=1)
        hint = f"did you mean {endings[meant[0]]}?" if meant else f"the settings are {', '.join(endings.values())}"
        yield f"{name}: is no setting: {hint}"


def _beside(database: str) -> Callable[[str], Path]:
    """Return a function that makes, of the plain name of the key file or the ledger, its default path in development.

    Beside the file `x.db`, it is `x.db.` and that name; for the default file or a server, that name in `instance`.
    """
    path = Path(database.partition(":///")[2]) if database.startswith("sqlite") else _DEFAULT
    return lambda name: path.with_name(name if path == _DEFAULT else f"{path.name}.{name}")


_DEFAULT = Path("instance/refunds.db")


def _one_of(*words: str) -> validate.OneOf:
    """Return a check that raises `ValidationError` unless a text is one of these words."""
    return validate.OneOf(words, error="must be one of: {choices}")


def _require_ip_address(text: str) -> None:
    """Raise `ValidationError` unless a text is an IP address without a port."""
    try:
        ip_address(text)
    except ValueError:
        raise ValidationError("must be an IP address without a port, such as 127.0.0.1, 0.0.0.0 or ::1") from None


def _require_hosts(names: list[str]) -> None:
    """Raise `ValidationError` unless all are host names or IPv4 addresses; a leading dot stands for all below it."""
    if not all(re.fullmatch(r"\.?[\w-]+(\.[\w-]+)*", name) for name in names):
        raise ValidationError("must be host names without scheme and port, such as refunds.example,10.0.0.1")


def _number(least: int, most: int) -> Callable[[str], None]:
    """Return a check that raises `ValidationError` unless a text is a number within bounds, without leading zeros."""

    def check(text: str) -> None:
        if not re.fullmatch(r"0|[1-9][0-9]{0,5}", text) or not least <= int(text) <= most:
            raise ValidationError(f"must be a number from {least} to {most}")

    return check


_DATABASE = validate.Regexp(
    r"\Z|sqlite:///[^?#]+\Z|postgres(ql)?://",
    error="must be sqlite:///PATH, such as sqlite:///instance/refunds.db, or postgresql://USER:PASSWORD@HOST:PORT/NAME",
)
_ADDRESS = validate.Regexp(
    r"(https?://[A-Za-z0-9.:\[\]-]+)?\Z", error="must be an address without a path, such as https://refunds.example"
)


def require_key_file(settings: Settings) -> Path:
    """Return the path of the master key file; raise `ConfigurationError` if no path is set."""
    if settings.master_key_file is None:
        raise ConfigurationError(Message("REFUNDS_MASTER_KEY_FILE: is required in production"))
    return settings.master_key_file


def require_ledger(settings: Settings) -> Path:
    """Return the path of the ledger directory; raise `ConfigurationError` if no path is set."""
    if settings.ledger_dir is None:
        raise ConfigurationError(Message("REFUNDS_LEDGER_DIR: is required in production, and with PostgreSQL"))
    return settings.ledger_dir
