"""How often something may be done."""

from threading import Lock
from time import monotonic


class Limiter:
    """Counts the requests of each actor: at most `rate` at once, and `rate` per second in the long run."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def take(self, actor: str) -> float:
        """Count a request of this actor; return how many more they may make at once, below 0 if this one is too many.

        A request that is too many costs nothing.
        """
        now = monotonic()
        with self._lock:
            left, since = self._buckets.get(actor, (float(self.rate), now))
            left = min(left + (now - since) * self.rate, self.rate) - 1
            self._buckets[actor] = left if left >= 0 else left + 1, now  # a rejected request costs nothing
        return left

    def charge(self, actor: str, seconds: float) -> None:
        """Charge an actor for work that took so many seconds: as many requests as they could have made in this time."""
        with self._lock:
            left, since = self._buckets.get(actor, (float(self.rate), monotonic()))
            self._buckets[actor] = left - seconds * self.rate, since
