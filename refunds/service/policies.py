"""The policies that judge: the packaged one and the operator's, read at start."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from refunds import holiday_source
from refunds.errors import ConfigurationError, Flaw, InvalidInput, NotFound, UnknownRegion
from refunds.policy import Policy, PolicyVersion, policy_of, read_policy


class Policies(Mapping[str, Policy]):
    """Policies by id; `default` is the id of the one that judges where none is named."""

    def __init__(self, policies: Iterable[Policy], default: str) -> None:
        self._by_id = {policy.policy_id: policy for policy in sorted(policies, key=lambda policy: policy.policy_id)}
        self.default = self[default].policy_id

    def __getitem__(self, policy_id: str) -> Policy:
        """The policy of this id; raises `NotFound`, naming those there are."""
        try:
            return self._by_id[policy_id]
        except KeyError:
            raise NotFound(f"there is no such policy; known: {', '.join(self._by_id)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)


def load_policies(directory: Path | None, default: str) -> Policies:
    """The packaged policies, and those of a directory, whose files replace packaged ones of the same version.

    Raises `ConfigurationError`, naming every file and term that does not fit, and the mend.
    """
    if directory is not None and not directory.is_dir():
        raise ConfigurationError(f"REFUNDS_POLICIES: {directory} is no directory")
    versions = _read_directory(files("refunds") / "policies")
    if directory is not None:
        versions |= _read_directory(directory)
    by_policy = defaultdict(list)
    for version in versions.values():
        by_policy[version.policy_id].append(version)
    try:
        return Policies(map(policy_of, by_policy.values()), default)
    except InvalidInput as error:
        raise ConfigurationError(f"REFUNDS_POLICIES: {error}") from None
    except NotFound as error:
        raise ConfigurationError(f"REFUNDS_POLICY: {error}") from None


def read_policy_file(file: Traversable) -> PolicyVersion:
    """The version that a policy file holds, its region known; raises `InvalidInput`."""
    try:
        version = read_policy(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise InvalidInput([Flaw("", "is not UTF-8 text")]) from None
    try:
        holiday_source.known(version.terms.region)
    except UnknownRegion as error:
        raise error.under("/region") from None
    return version


def _read_directory(directory: Traversable) -> dict[tuple[str, int], PolicyVersion]:
    versions: dict[tuple[str, int], PolicyVersion] = {}
    problems: list[str] = []
    for file in sorted(directory.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".toml") or not file.is_file():
            continue
        try:
            version = read_policy_file(file)
        except InvalidInput as error:
            problems += [f"{file}: {flaw.pointer.strip('/') or 'file'}: {flaw.detail}" for flaw in error.flaws]
            continue
        key = (version.policy_id, version.version)
        if key in versions:
            problems.append(f"{file}: version: another file holds version {key[1]} of {key[0]} too")
        versions[key] = version
    if problems:
        raise ConfigurationError("\n".join(problems))
    return versions
