"""Compilers for generated clients: those of this machine, or else Debian's."""

import os
import shutil
from functools import cache

from tests import needs


@cache
def compiler(program, package):
    """The path of a compiler, which root can install from Debian's package; None if there is none to be had."""
    apt = shutil.which("apt-get")
    if shutil.which(program) is None and apt and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            needs._run([apt, *words])
    return shutil.which(program)
