"""Makes `.venv` hold what a file of pinned requirements names: `python3 tools/install.py requirements.txt`.

It runs before anything is installed, on the standard library alone. A `.venv` that is broken or half made is replaced;
a failure is one line that says what to do.
"""

import fcntl
import hashlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
HERE = Path(__file__).resolve().parent
ENTRY = HERE.parent / "app.py"
VENV = HERE.parent / ".venv"
PYTHON = VENV / "bin" / "python"
COMMAND = VENV / "bin" / "refunds"
"""The command of the service, which is not installed as a package."""

UV = HERE / ".uv"
"""Where uv is brought to: outside the environment, as what serves does not need it."""

SPOKEN = ("root", "en", "de")
"""The languages of the service. Babel brings a thousand, which would be a fifth of the environment."""

NETWORK = "can the package registry be reached?"


class FailedError(Exception):
    """The environment cannot be made; the text says what to do."""


def main(requirements):
    """Install what a file of requirements names, unless it is installed. If another process does so, wait for it.

    Raises `FailedError` if this Python is too old, and as `install`.
    """
    if sys.version_info < OLDEST:
        found = "{}.{}".format(*sys.version_info)
        raise FailedError(f"Python {found} is too old: name 3.11 or newer, as in: make PYTHON=python3.11 serve")
    with requirements.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # one make at a time in this directory
        wanted = hashlib.sha256(file.read() + Path(__file__).read_bytes()).hexdigest()
        stamp = VENV / f"{requirements.stem}.installed"
        if runs() and stamp.exists() and COMMAND.exists():
            known, *packages = stamp.read_text().split("\n")
            if known == wanted and set(packages) <= set(installed()):
                return
        print(f"Installing {requirements.name} into .venv", flush=True)
        install(requirements)
        stamp.write_text("\n".join([wanted, *installed()]))


def runs():
    """Whether the environment was finished once, and its Python runs and is new enough."""
    asked = [PYTHON, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"]
    try:
        ended = subprocess.run(asked, check=False, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return ended.returncode == 0 and any(VENV.glob("*.installed"))


def installed():
    """The names of the installed packages, with their versions."""
    records = VENV.glob("lib/python*/site-packages/*.dist-info/RECORD")
    return sorted(record.parent.name for record in records)


def install(requirements):
    """Install into the environment or, if that is not possible, into a new one, which replaces it.

    Raises `FailedError` if neither is possible, and keeps the old one.
    """
    if runs():
        try:
            return fill(requirements)
        except FailedError:
            pass
    old = VENV.with_name(".venv.old")
    shutil.rmtree(old, ignore_errors=True)
    if VENV.exists():
        VENV.rename(old)
    try:
        fill(requirements)
    except FailedError:
        shutil.rmtree(VENV, ignore_errors=True)
        if old.exists():
            old.rename(VENV)
        raise
    return shutil.rmtree(old, ignore_errors=True)


def fill(requirements):
    """Make the environment if there is none, and install into it, by uv or else by pip; write the service's command.

    Removes the data of languages that the service does not speak. Raises `FailedError` if a command fails; what was
    done until then stays.
    """
    uv = found_uv(sys.executable)
    if not PYTHON.exists():
        if uv:
            run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, VENV], "is the disk full?")
        else:
            run([sys.executable, "-m", "venv", VENV], "Debian and Ubuntu: apt install python3-venv")
            uv = found_uv(PYTHON)
    pinned = ["--quiet", "--require-hashes", "--no-deps", "-r", requirements]
    if uv:
        run([uv, "pip", "install", "--python", PYTHON, "--compile-bytecode", *pinned], NETWORK)
    else:
        run([PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--retries=2", *pinned], NETWORK)
    for data in VENV.glob("lib/python*/site-packages/babel/locale-data/*.dat"):
        if data.stem.split("_")[0] not in SPOKEN:
            data.unlink()
    write_command()


def write_command():
    """Write the command of the service, which can be called from any directory."""
    COMMAND.write_text(f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} {shlex.quote(str(ENTRY))} "$@"\n')
    COMMAND.chmod(0o755)


def found_uv(python):
    """The path of uv: that of this machine, or else one that the pip of this Python installs into `tools/.uv`.

    None if it cannot.
    """
    brought = UV / "bin" / "uv"
    if not (shutil.which("uv") or brought.exists()):
        pip = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries=1",
            "--require-hashes",
        ]
        subprocess.run([*pip, "--target", UV, "-r", HERE / "requirements-uv.txt"], check=False, capture_output=True)
    return shutil.which("uv") or (brought if brought.exists() else None)


def run(command, hint):
    """Run a command without showing what it prints.

    If it fails, raises `FailedError` with the last line that it printed, and the hint.
    """
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip().splitlines() or ["it says nothing"]
        raise FailedError(f"{Path(command[0]).name} cannot install: {said[-1].strip()} ({hint})")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]).resolve())
    except FailedError as failure:
        sys.exit(f"make: {failure}")
