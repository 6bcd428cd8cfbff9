"""Every setting, with its help; read from the environment, all that is wrong told at once."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from environs import Env, EnvValidationError, validate

from refunds.errors import ConfigurationError


def _setting(name: str, help_text: str) -> Any:
    return field(metadata={"name": name, "help": help_text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this process is configured; each field knows its variable and what it is for."""

    port: int = _setting("PORT", "The port on the loopback interface that the service listens on.")
    policy: str = _setting("REFUNDS_POLICY", "The policy that judges where a request names none.")
    policies: Path | None = _setting(
        "REFUNDS_POLICIES", "A directory of policy files (`*.toml`), one a version, besides the packaged ones."
    )
    trusted_hosts: list[str] = _setting(
        "REFUNDS_TRUSTED_HOSTS", "The host names under which the service answers, separated by commas."
    )


def load_settings() -> Settings:
    """The settings that the environment holds; raises `ConfigurationError` naming every one that does not fit."""
    env = Env(eager=False)
    name = {f.name: f.metadata["name"] for f in fields(Settings)}
    port_number = validate.Range(1, 65_535, error="must be from 1 to 65535")
    read: dict[str, Any] = {
        "port": env.int(name["port"], 8000, validate=port_number),
        "policy": env.str(name["policy"], "virtual-numbers", validate=validate.Length(min=1)),
        "policies": env.path(name["policies"], None),
        "trusted_hosts": env.list(name["trusted_hosts"], ["localhost", "127.0.0.1"]),
    }
    try:
        env.seal()
    except EnvValidationError as error:
        flaws: Any = error.error_messages
        lines = [f"{variable}: {' '.join(messages)}" for variable, messages in flaws.items()]
        raise ConfigurationError("\n".join(lines)) from None
    return Settings(**read)
