"""The production server: one process that listens at an address, hands requests to its front, and stops in order."""

import fcntl
import gc
import os
import resource
import signal
import socket
import stat
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketSpec  # type: ignore[attr-defined] # it has it
from granian.server import MTServer

from refunds.cli.front import IN_TIME, Application, Front

CONNECTIONS = 2048  # connections at once; further ones wait until one of them ends
LONGEST_HEAD = 2**16  # bytes of a head
STOPPING = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 30  # seconds that a request under way gets to finish when the service stops
_SLICE = 0.0001  # seconds that a thread computes before another may: requests give way at every statement anyway
_LOOKS, _LOOKING = 5, 0.1  # how often nothing must be under way to stop, and seconds between: by then, all is sent


class Server(MTServer):
    """The server of one application at an address: one process, whose threads answer requests.

    It calls `stop` when it is to stop, and goes on serving meanwhile.

    granian's other server forks a worker and keeps an idle parent with a second copy of the application. This one is
    meant for a Python without the global interpreter lock (GIL), but its worker is the same on any Python.
    """

    def __init__(self, application: Application, address: str, port: int, stop: Callable[[], None]) -> None:
        super().__init__(
            "refunds",
            address=address,
            port=port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=IN_TIME * 1000, max_buffer_size=LONGEST_HEAD),
            websockets=False,
            workers=1,
            backpressure=CONNECTIONS,
            log_level=LogLevels.error,
            log_dictconfig={"handlers": {}, "loggers": {}},  # it would print on standard output
            workers_kill_timeout=PATIENCE,
        )
        self.main_loop_interrupt = _Failure()
        self._front = Front(application)
        self._prepare_to_stop = stop

    def run(self) -> None:
        """Serve until SIGTERM or Ctrl-C, then finish the requests under way; both signals must be blocked.

        The limit of open files is raised. The caller must end the process by `os._exit`.
        """
        sys.setswitchinterval(_SLICE)
        gc.freeze()  # what is loaded by now stays: to search it for garbage would stop all threads for 90 ms
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = CONNECTIONS + 256  # and the files of the database, the log and the libraries
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
        )
        self.serve(target_loader=lambda: self._front, wrap_loader=False)

    def _init_shared_socket(self) -> None:
        """Open the listening socket; if the system can, it ends connections of clients that read nothing in time."""
        shared = SocketSpec(self.bind_addr, self.bind_port, self.backlog).build()
        self._shd = shared  # type: ignore[assignment] # None is what it is before
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            with socket.socket(fileno=os.dup(shared.get_fd())) as listening:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, IN_TIME * 1000)

    def _serve_loop(self, *_: object) -> None:
        """Wait for the first SIGTERM or SIGINT, tell the front that the server stops, and call `stop` of `__init__`.

        make and systemd both send two; the second stays pending until the process ends. This takes the place of
        granian's own handler, which waits forever if the thread that it interrupts holds the lock of its event.
        """
        signal.sigwait(STOPPING)
        self._front.stopping = True
        self._prepare_to_stop()

    def _stop_workers(self) -> None:
        """Stop the worker once every request that arrived whole is answered and the response sent, or time is up."""
        (worker,) = self.wrks
        worker.terminate()  # type: ignore[no-untyped-call]
        looks, end = 0, perf_counter() + PATIENCE
        while worker.inner.is_alive() and looks < _LOOKS and perf_counter() < end:
            worker.inner.join(_LOOKING)
            looks = 0 if self._front.under_way or _unsent() else looks + 1

    def signal_handler_reload(self, *_: object) -> None:
        """Ignore SIGHUP: there is nothing to reload."""

    def _check_gil(self) -> None:
        """Do nothing: a Python with the GIL is accepted, too, as only running Python code holds it."""


def _unsent() -> bool:
    """Tell whether a socket of this process still has bytes to send."""
    waiting = bytearray(4)
    for path in Path("/dev/fd").iterdir():
        with suppress(OSError):  # it is closed by now
            if stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                fcntl.ioctl(int(path.name), termios.TIOCOUTQ, waiting)
                if any(waiting):
                    return True
    return False


class _Failure(threading.Event):
    """The event that granian sets if its worker ends by itself: the service stops as on a signal and exits with 1."""

    def set(self) -> None:
        """Set the event, and stop the service by a SIGTERM to this process."""
        super().set()
        os.kill(os.getpid(), signal.SIGTERM)
