"""Every way an exchange can end has one class, and what is unknown is never "safe to repeat"."""

import httpx
import pytest

from halo.exchange import failure_of
from halo.outcomes import (
    FAILURES,
    STATUSES,
    SUCCESS_BODIES,
    BodyState,
    Failure,
    Outcome,
    classify_answer,
    classify_failure,
)

METHODS = ("GET", "POST", "DELETE")
DECIDED = {
    400: Outcome.REJECTED,
    401: Outcome.UNAUTHORISED,
    403: Outcome.DENIED,
    404: Outcome.REJECTED,
    413: Outcome.REJECTED,
    415: Outcome.REJECTED,
    429: Outcome.THROTTLED,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("body", BodyState)
def test_every_status_outside_2xx_has_the_class_of_the_table_whatever_its_body(
    method: str, body: BodyState
) -> None:
    for status in [*range(100, 200), *range(300, 1000)]:
        assert classify_answer(method, status, body) is DECIDED.get(status, Outcome.AMBIGUOUS), status


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 206, 226, 299])
@pytest.mark.parametrize(
    ("method", "body", "outcome"),
    [
        ("GET", BodyState.JSON, Outcome.APPLIED),
        ("GET", BodyState.EMPTY, Outcome.AMBIGUOUS),
        ("GET", BodyState.BROKEN, Outcome.AMBIGUOUS),
        ("POST", BodyState.JSON, Outcome.APPLIED),
        ("POST", BodyState.EMPTY, Outcome.AMBIGUOUS),
        ("POST", BodyState.BROKEN, Outcome.AMBIGUOUS),
        ("DELETE", BodyState.JSON, Outcome.APPLIED),
        ("DELETE", BodyState.EMPTY, Outcome.APPLIED),
        ("DELETE", BodyState.BROKEN, Outcome.AMBIGUOUS),
    ],
)
def test_success_counts_only_with_a_body_that_says_so(
    status: int, method: str, body: BodyState, outcome: Outcome
) -> None:
    assert classify_answer(method, status, body) is outcome


def test_the_table_names_nothing_else() -> None:
    assert dict(STATUSES) == DECIDED
    assert set(FAILURES) == set(Failure)
    assert {method for method, _ in SUCCESS_BODIES} == set(METHODS)


@pytest.mark.parametrize("failure", Failure)
def test_only_a_failure_to_get_a_connection_means_not_sent(failure: Failure) -> None:
    before_sending = {Failure.CONNECT_ERROR, Failure.CONNECT_TIMEOUT, Failure.POOL_TIMEOUT}
    assert classify_failure(failure) is (Outcome.NOT_SENT if failure in before_sending else Outcome.AMBIGUOUS)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (httpx.ConnectError("x"), Failure.CONNECT_ERROR),
        (httpx.ConnectTimeout("x"), Failure.CONNECT_TIMEOUT),
        (httpx.PoolTimeout("x"), Failure.POOL_TIMEOUT),
        (httpx.WriteTimeout("x"), Failure.WRITE_TIMEOUT),
        (httpx.ReadTimeout("x"), Failure.READ_TIMEOUT),
        (httpx.WriteError("x"), Failure.WRITE_ERROR),
        (httpx.ReadError("x"), Failure.READ_ERROR),
        (httpx.RemoteProtocolError("x"), Failure.PROTOCOL_ERROR),
        (httpx.LocalProtocolError("x"), Failure.PROTOCOL_ERROR),
        (TimeoutError(), Failure.DEADLINE),
        (httpx.ProxyError("x"), Failure.OTHER),
        (httpx.CloseError("x"), Failure.OTHER),
        (httpx.UnsupportedProtocol("x"), Failure.OTHER),
        (httpx.DecodingError("x"), Failure.OTHER),
        (httpx.TooManyRedirects("x"), Failure.OTHER),
        (ConnectionResetError(), Failure.OTHER),
    ],
)
def test_each_exception_of_the_network_has_its_failure(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure


def test_no_request_error_of_httpx_is_forgotten() -> None:
    def leaves(kind: type[Exception]) -> set[type[Exception]]:
        return {leaf for sub in kind.__subclasses__() for leaf in leaves(sub)} or {kind}

    not_sent = {
        kind.__name__
        for kind in leaves(httpx.RequestError)
        if kind.__module__.startswith("httpx") and classify_failure(failure_of(kind("x"))) is Outcome.NOT_SENT
    }
    assert not_sent == {"ConnectError", "ConnectTimeout", "PoolTimeout"}
