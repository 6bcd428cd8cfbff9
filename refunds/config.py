"""Every setting, with its help; read from the environment, all that is wrong told at once."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from environs import Env, EnvValidationError, validate
from marshmallow import ValidationError

from refunds.errors import ConfigurationError


def _setting(name: str, help_text: str, *, secret: bool = False) -> Any:
    """A field of `Settings`, with the name of its environment variable and its help."""
    return field(repr=not secret, metadata={"name": name, "help": help_text})


RELEASE = "0.2.0"
"""The release of the service, as in `pyproject.toml`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this process is configured; each field knows its variable and what it is for."""

    port: int = _setting("PORT", "The port on the loopback interface that the service listens on.")
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
        "The file of the master key, which its owner alone can read; keep it and its copies apart from the database.",
    )
    ledger_dir: Path | None = _setting(
        "REFUNDS_LEDGER_DIR",
        "The directory of the checkpoints and erasures, which all instances share; keep it apart from the database.",
    )
    rate_limit: int = _setting(
        "REFUNDS_RATE_LIMIT",
        "How many HTTP requests per second each client may make; after a pause it may make this many at once. "
        "0: no limit.",
    )
    trusted_hosts: list[str] = _setting(
        "REFUNDS_TRUSTED_HOSTS", "The host names under which the service can be reached, separated by commas."
    )

    public_url: str = _setting(
        "REFUNDS_PUBLIC_URL",
        "The address under which clients reach the service, such as `https://refunds.example`. With it, the types of "
        "problems are absolute addresses.",
    )

    @property
    def production(self) -> bool:
        """Whether this is production, where no key, directory or data is made up."""
        return self.env == "production"


def load_settings() -> Settings:
    """The settings in the environment; those left out have their defaults.

    The master key file and the ledger directory are None if they are left out in production; with PostgreSQL, the
    directory is so in development too. Raises `ConfigurationError`, with a line for every setting that does not have
    its form, and for every other variable that begins with `REFUNDS_`; only the public URL may be empty. Neither the
    database's URL nor whether files exist is checked.
    """
    env = Env(eager=False)
    name = {f.name: f.metadata["name"] for f in fields(Settings)}
    some = validate.Length(min=1, error="must not be empty: unset it for the default")
    read: dict[str, Any] = {
        "port": env.str(name["port"], "8000", validate=_port),
        "policy": env.str(name["policy"], "virtual-numbers", validate=some),
        "env": env.str(name["env"], "development", validate=validate.OneOf(["development", "production"])),
        "database": env.str(name["database"], f"sqlite:///{_DEFAULT}", validate=some),
        "master_key_file": env.str(name["master_key_file"], None, validate=some),
        "ledger_dir": env.str(name["ledger_dir"], None, validate=some),
        "rate_limit": env.str(name["rate_limit"], "1000", validate=_rate),
        "public_url": env.str(name["public_url"], "", validate=_address),
        "trusted_hosts": env.list(name["trusted_hosts"], ["localhost", "127.0.0.1"], validate=some),
    }
    wrong = list(_unknown(name.values()))
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
    return Settings(**read | {"port": int(read["port"]), "rate_limit": int(read["rate_limit"])})


_OF_KUBERNETES = re.compile(
    r"REFUNDS_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?=|PORT=(tcp|udp|sctp)://)"
)
"""How `NAME=value` begins that Kubernetes puts into containers for a service whose name begins with `refunds`."""


def _unknown(known: Iterable[str]) -> Iterator[str]:
    """A line for each variable that begins with `REFUNDS_` and is no setting, with the setting that is probably meant.

    Their values are not quoted: they may be secrets.
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
    """Where the master key and the ledger of a database are in development: beside its file, and with its name.

    The default one, and a server's, keep the plain names in `instance`, as they always had them.
    """
    path = Path(database.partition(":///")[2]) if database.startswith("sqlite") else _DEFAULT
    return lambda name: path.with_name(name if path == _DEFAULT else f"{path.name}.{name}")


_DEFAULT = Path("instance/refunds.db")


def _port(text: str) -> None:
    """Raise `ValidationError` unless a text is a number from 1 to 65535."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65_535:  # noqa: PLR2004 - the last port there is
        raise ValidationError("must be a number from 1 to 65535")


def _address(text: str) -> None:
    """Raise `ValidationError` unless a text is empty, `http://HOST` or `https://HOST`.

    A port may follow the host, but no path, not even a final `/`.
    """
    if not re.fullmatch(r"(?:https?://[A-Za-z0-9.:\[\]-]+)?", text):
        raise ValidationError("must be an address without a path, such as https://refunds.example")


def _rate(text: str) -> None:
    """Raise `ValidationError` unless a text is a whole number of at most six digits."""
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise ValidationError("must be a number from 0 to 999999")
