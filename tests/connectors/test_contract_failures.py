"""What every adapter does when its system is down, silent, foreign or refuses: the right Kind, and no credentials."""

import asyncio
import time

import pytest

from connectors.contract import BackendError, Health, Kind, LogsRequest, TracesRequest
from tests.connectors.asking import Call, range_of
from tests.connectors.hostile import Script, echoing, hostile, saying, silence
from tests.connectors.subject import SECRET, WINDOW, Subject


def calls(subject: Subject) -> dict[str, Call]:
    """Return a call of each method that sends a request."""
    found: dict[str, Call] = {"services": lambda adapter: adapter.services(WINDOW, 10)}
    if subject.metrics is not None:
        request = range_of(subject.metrics)
        found["query_range"] = lambda adapter: adapter.query_range(request)
        found["metric_names"] = lambda adapter: adapter.metric_names("", 10)
        found["label_names"] = lambda adapter: adapter.label_names("", WINDOW, 10)
        found["label_values"] = lambda adapter: adapter.label_values("service", "", WINDOW, 10)
    if subject.logs is not None:
        found["search"] = lambda adapter: adapter.search(LogsRequest(WINDOW, text="word"))
    if subject.traces is not None:
        service = subject.traces.service
        found["trace"] = lambda adapter: adapter.trace("1" * 32, WINDOW)
        found["find"] = lambda adapter: adapter.find(TracesRequest(WINDOW, service=service))
        found["operations"] = lambda adapter: adapter.operations(service, WINDOW, 10)
    return found


def errors_of(subject: Subject, script: Script) -> dict[str, BackendError]:
    """Return the error of each call to a server that does as the script says."""

    async def run() -> dict[str, BackendError]:
        found = {}
        async with hostile(script) as server:
            adapter = subject.opened(server.url, timeout_seconds=20)
            try:
                for name, call in calls(subject).items():
                    with pytest.raises(BackendError) as caught:
                        await call(adapter)
                    found[name] = caught.value
                report = await adapter.health()
                assert report.health in {Health.UNHEALTHY, Health.DEGRADED}
                assert report.reason
                assert SECRET not in repr(report)
            finally:
                await adapter.close()
            assert any(SECRET.encode() in head for head in server.heads) or not subject.is_http
        return found

    errors = asyncio.run(run())
    for error in errors.values():
        assert SECRET not in f"{error} {error!r} {error.detail} {error.__cause__!r} {error.__context__!r}"
    return errors


def kinds_of(subject: Subject, script: Script) -> set[Kind]:
    """Return the kinds of these errors."""
    return {error.kind for error in errors_of(subject, script).values()}


@pytest.fixture
def http_subject(subject: Subject) -> Subject:
    """Return a subject that is asked over plain HTTP."""
    if not subject.is_http:
        pytest.skip("not asked over HTTP of its own")
    return subject


def test_an_adapter_does_not_show_its_credentials(subject: Subject) -> None:
    """Neither do its parts, as far as a log would show them."""

    async def run() -> None:
        adapter = subject.opened("http://127.0.0.1:9")
        assert SECRET not in repr(adapter)
        assert SECRET not in repr([getattr(adapter, name, None) for name in dir(adapter)])
        await adapter.close()

    asyncio.run(run())


def test_a_system_that_is_down_is_unreachable(subject: Subject) -> None:
    """The error names the remedy; health is a report, not an error."""

    async def run() -> None:
        async with hostile(silence) as server:
            url = server.url
        adapter = subject.opened(url, timeout_seconds=20)
        try:
            for call in calls(subject).values():
                with pytest.raises(BackendError) as caught:
                    await call(adapter)
                assert caught.value.kind == Kind.UNREACHABLE
            report = await adapter.health()
            assert report.health == Health.UNHEALTHY
            assert report.reason
        finally:
            await adapter.close()

    asyncio.run(run())


def test_refused_credentials_are_unauthorized(http_subject: Subject) -> None:
    """Even where the system sends them back in its error, they are not shown."""
    assert kinds_of(http_subject, echoing("401 Unauthorized")) == {Kind.UNAUTHORIZED}
    assert kinds_of(http_subject, echoing("403 Forbidden")) == {Kind.UNAUTHORIZED}


def test_an_error_of_the_system_is_failed(http_subject: Subject) -> None:
    """Whatever its body is."""
    assert kinds_of(http_subject, echoing("500 Internal Server Error")) == {Kind.FAILED}
    assert kinds_of(http_subject, saying("502 Bad Gateway", b"<html>", kind="text/html")) == {Kind.FAILED}


def test_a_page_instead_of_an_answer_is_malformed(http_subject: Subject) -> None:
    """A proxy's login page has status 200."""
    page = b"<!doctype html><title>Sign in</title>"
    assert kinds_of(http_subject, saying("200 OK", page, kind="text/html")) == {Kind.MALFORMED}


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"3", b'"text"', b"[]", b"[[1]]", b"{}", b'{"data":', b'{"status":"success","data":7}'],
)
def test_another_shape_of_answer_is_malformed_or_empty(http_subject: Subject, body: bytes) -> None:
    """Values of other types than documented never raise anything but BackendError."""

    async def run() -> None:
        async with hostile(saying("200 OK", body)) as server:
            adapter = http_subject.opened(server.url, timeout_seconds=20)
            try:
                for call in (*calls(http_subject).values(), lambda one: one.health()):
                    try:
                        await call(adapter)
                    except BackendError as error:
                        assert error.kind in {Kind.MALFORMED, Kind.NOT_FOUND, Kind.FAILED}  # noqa: PT017
            finally:
                await adapter.close()

    asyncio.run(run())


def test_too_many_questions_say_when_to_ask_again(http_subject: Subject) -> None:
    """The system's Retry-After is passed on."""
    errors = errors_of(http_subject, saying("429 Too Many Requests", b"{}", "Retry-After: 7"))
    assert {(error.kind, error.retry_after_seconds) for error in errors.values()} == {
        (Kind.RATE_LIMITED, 7.0)
    }


def test_a_system_that_does_not_answer_is_waited_for_no_longer_than_said(http_subject: Subject) -> None:
    """The time limit is the connection's, for each request."""

    async def run() -> None:
        async with hostile(silence) as server:
            adapter = http_subject.opened(server.url, timeout_seconds=0.3)
            try:
                for call in calls(http_subject).values():
                    started = time.monotonic()
                    with pytest.raises(BackendError) as caught:
                        await call(adapter)
                    assert caught.value.kind == Kind.TIMEOUT
                    assert time.monotonic() - started < 30
                assert (await adapter.health()).health == Health.UNHEALTHY
            finally:
                await adapter.close()

    asyncio.run(run())


def test_a_cancelled_question_closes_its_connection(http_subject: Subject) -> None:
    """So that the system can stop its work."""
    if not http_subject.closes_when_cancelled:
        pytest.skip("its library asks in threads, which cannot be interrupted")

    async def run() -> None:
        for call in calls(http_subject).values():
            async with hostile(silence) as server:
                adapter = http_subject.opened(server.url)
                try:
                    asking = asyncio.ensure_future(call(adapter))
                    await asyncio.wait_for(server.has_request.wait(), 180)
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
                    assert asking.cancelled()
                    await asyncio.wait_for(server.is_left.wait(), 180)
                finally:
                    await adapter.close()

    asyncio.run(run())
