"""The measurements of one instance, for Prometheus. Labels are never personal."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from refunds.config import RELEASE
from refunds.domain.holidays_data import HOLIDAYS_VERSION, decreed_until
from refunds.domain.instants import TZDATA_VERSION
from refunds.domain.national_law import DECREES
from refunds.service import figures
from refunds.service.store import Store

prometheus.disable_created_metrics()  # they double the series, and tell nothing that the start of the process does not

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The measurements that this instance counts while it runs."""

    def __init__(self) -> None:
        """Create every measurement in a new registry: at zero, but for the last years whose decrees the data has."""
        registry = self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        prometheus.PlatformCollector(registry=registry)
        counter = partial(prometheus.Counter, registry=registry)
        gauge = partial(prometheus.Gauge, registry=registry)
        histogram = partial(prometheus.Histogram, buckets=_SHORT, registry=registry)
        requests = counter("refunds_http_requests", "HTTP requests answered.", ["method", "route", "status"])
        seconds = histogram(
            "refunds_http_request_duration_seconds",
            "How long the service worked on an HTTP request.",
            ["method", "route"],
        )
        self._requests, self._seconds = lru_cache(1024)(requests.labels), lru_cache(256)(seconds.labels)
        self.waits = histogram(
            "refunds_http_request_wait_seconds",
            "How long an HTTP request waited, from the arrival of its head until a thread began to work on it.",
        )
        self.sign_ins = counter("refunds_sign_ins", "Attempts at signing in.", ["outcome"])
        self.decisions = counter("refunds_decisions", "Decisions made, by reason.", ["reason"])
        self._writing = gauge("refunds_writes_waiting", "Writes that wait for their turn.")
        self._wait = histogram(
            "refunds_write_wait_seconds", "How long a write waited until its transaction began, or it gave up."
        )
        self.checkpoint_failures = counter("refunds_checkpoint_failures", "Checkpoints that could not be written.")
        self.dropped_lines = counter("refunds_log_lines_dropped", "Log lines that could not be written.")
        decreed = gauge(
            "refunds_calendar_decreed_until_year",
            "The last year whose decrees on working weekends and moved holidays the data has, in countries that decree "
            "them.",
            ["country"],
        )
        for country in DECREES:
            if (until := decreed_until(country)) is not None:
                decreed.labels(country).set(until)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request with the status of its response, and the seconds that the service worked on it."""
        self._requests(method, route, status).inc()
        self._seconds(method, route).observe(seconds)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a write as waiting during the block, and measure how long the block takes."""
        with self._writing.track_inprogress(), self._wait.time():
            yield


_READ: dict[str, tuple[str, ...]] = {
    "journal_position": ("The position of the last event in the journal.",),
    "checkpoint_position": ("The position of the last checkpoint.",),
    "checkpoint_timestamp_seconds": ("When the last checkpoint was written, by any instance.",),
    "open_requests": ("Requests and withdrawals that are open.",),
    "open_unmatched_contacts": ("Unmatched contacts that are open.",),
    "overdue_refunds": ("Cancellations that should have been refunded by now and are not settled.",),
    "overdue_data_requests": ("Data requests that should have been answered by now.",),
    "open_windows": (
        (
            "Open windows that got a later end, or kept theirs, at the last change of holiday data, time zone data or "
            "rules."
        ),
        "end",
    ),
    "provisional_regions": (
        "Regions of policies and open windows whose dates are provisional, or will be within 30 days.",
    ),
    "token_expiry_timestamp_seconds": (
        "When each token ends; without revoked ones and those that ended over 30 days ago.",
        "client",
        "token",
    ),
    "backup_last_success_timestamp_seconds": ("When flask backup last made a backup.",),
    "verify_last_success_timestamp_seconds": ("When flask audit verify last found everything sound.",),
    "retention_last_success_timestamp_seconds": ("When flask retention run last ran to its end.",),
    "pool_connections": ("Connections to PostgreSQL.", "state"),
    "pool_connections_max": ("The most connections to PostgreSQL.",),
    "pool_requests_waiting": ("Transactions that wait for a connection to PostgreSQL.",),
}
"""The help and the labels of the measurements that are read from the records."""


class Records(Collector):
    """The measurements from the records, read whenever Prometheus asks for them. Raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Yield the families of measurements, without values."""
        yield from (_build_info(), *_gauges().values())

    def collect(self) -> Iterator[Metric]:
        """Yield the families of measurements with their present values. Values that are not known are left out."""
        build, gauges = _build_info(), _gauges()
        for name, labels, value in figures.read(self._store):
            if value is not None:
                number = value.timestamp() if isinstance(value, datetime) else value
                gauges[name].add_metric(labels, number)
        releases = {
            "release": RELEASE,
            "python": platform.python_version(),
            "holidays": HOLIDAYS_VERSION,
            "tzdata": TZDATA_VERSION,
            "sqlite": self._store.open()[0].sqlite_version,
        }
        build.add_metric([], releases)
        yield from (build, *(family for family in gauges.values() if family.samples))


def _build_info() -> InfoMetricFamily:
    """Return the family of measurements `refunds_build` without a sample; the caller adds the releases."""
    return InfoMetricFamily(
        "refunds_build",
        "The releases of the service, of what it runs on and of its data; with PostgreSQL, sqlite is empty.",
    )


def _gauges() -> dict[str, GaugeMetricFamily]:
    """Return an empty family for each measurement that is read from the records, by its name in `_READ`."""
    return {name: GaugeMetricFamily(f"refunds_{name}", text, labels=labels) for name, (text, *labels) in _READ.items()}
