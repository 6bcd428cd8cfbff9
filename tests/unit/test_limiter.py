"""The limit of requests: a client gets its rate in the long run, however many more it sends."""

import pytest

from refunds.security import limiter as module
from refunds.security.limiter import Limiter


@pytest.mark.parametrize("times", [1.0, 1.1, 2.0, 10.0])
def test_a_client_that_sends_more_than_its_rate_is_still_admitted_at_its_rate(monkeypatch, times):
    clock = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    limiter, admitted = Limiter(10), 0
    for number in range(int(60 * 10 * times)):
        clock[0] = number / (10 * times)
        admitted += limiter.take("client") >= 0
    burst = 10
    assert 60 * 10 - 1 <= admitted <= 60 * 10 + burst


def test_a_client_waits_as_long_as_the_work_took_that_it_is_charged(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    limiter = Limiter(10)
    assert limiter.take("client") == 9
    limiter.charge("client", 3.0)
    assert limiter.take("client") == -22
    clock[0] = 2.2
    assert limiter.take("client") >= -0.001
    assert limiter.take("client") < 0
    assert limiter.take("another") == 9
