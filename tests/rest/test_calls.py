"""Whole calls in virtual time: pacing, retries, deadlines and cancellation together."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise

import httpx
import pytest

from connect_chat import (
    ConfigurationError,
    InternalServerException,
    NotConnectedError,
    ParticipantClient,
    Priority,
    Rate,
    ServiceUnreachableError,
    ThrottlingException,
    ValidationException,
)

from .virtual_time import run_virtual


class Service(httpx.AsyncBaseTransport):
    """Answers by a script (the last answer for ever), each call taking ``latency`` seconds."""

    def __init__(self, *answers: int | Exception | httpx.Response, latency: float = 0.0) -> None:
        self.answers = list(answers or (200,))
        self.latency = latency
        self.times: list[float] = []
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.times.append(asyncio.get_running_loop().time())
        self.requests.append(request)
        await asyncio.sleep(self.latency)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(answer, content=b'{"AttachmentSizeInBytes": 1}')


def client_of(service: Service, **options) -> ParticipantClient:
    return ParticipantClient(endpoint_url="http://example.com", http=service, **options)


@pytest.fixture
def greatest_jitter(monkeypatch):
    """Make every wait the longest that the backoff allows."""
    monkeypatch.setattr("random.random", lambda: 1.0)


def test_a_burst_goes_at_once_and_the_rest_at_the_rate():
    """30 messages under 10/s and 15 at once: 12 now, then one every 0.1 s.

    The rest of the burst is for calls that arrive 0.25 s closer together than they were sent.
    """

    async def main():
        service = Service()
        async with client_of(service) as client:
            await asyncio.gather(*(client.send_message("t", "hi") for _ in range(30)))
        return service.times

    expected = [0.0] * 12 + [0.05 + 0.1 * n for n in range(18)]
    assert run_virtual(main()) == pytest.approx(expected)


def test_a_mass_reconnection_uses_the_whole_quota():
    """200 connections under 6/s and 9 at once take (200 - 9) / 6 s, and 0.25 s for safety."""

    async def main():
        service = Service()
        async with client_of(service) as client:
            await asyncio.gather(*(client.create_participant_connection("t") for _ in range(200)))
        return service.times

    times = run_virtual(main())
    assert len(times) == 200
    assert times[-1] == pytest.approx((200 - 9) / 6 + 0.25)


def test_priorities_decide_who_waits():
    """Rotations that queued first go after the reconnections that came later."""

    async def main():
        service = Service()
        done = []
        async with client_of(
            service, quota={"CreateParticipantConnection": Rate(1, 1)}, deadline=None
        ) as client:

            async def connect(name, priority):
                await client.create_participant_connection("t", priority=priority)
                done.append(name)

            async with asyncio.TaskGroup() as group:
                for name, priority in (
                    ("first", Priority.ROTATE),
                    ("rotate 1", Priority.ROTATE),
                    ("rotate 2", Priority.ROTATE),
                    ("reconnect 1", Priority.RECONNECT),
                    ("reconnect 2", Priority.RECONNECT),
                ):
                    group.create_task(connect(name, priority))
        return done

    assert run_virtual(main()) == ["first", "reconnect 1", "reconnect 2", "rotate 1", "rotate 2"]


def test_quota_none_switches_pacing_off():
    async def main():
        service = Service()
        async with client_of(service, quota=None) as client:
            await asyncio.gather(*(client.send_message("t", "hi") for _ in range(100)))
        return service.times

    assert run_virtual(main()) == [0.0] * 100


def test_a_mapping_replaces_single_rates():
    """The named operation has its rate, the others keep the documented ones."""

    async def main():
        service = Service()
        async with client_of(service, quota={"SendMessage": Rate(1, 1)}) as client:
            await asyncio.gather(
                *(client.send_message("t", "hi") for _ in range(2)),
                *(client.send_event("t", TYPING) for _ in range(13)),
            )
        return sorted(service.times)

    assert run_virtual(main()) == pytest.approx([0.0] * 13 + [0.05, 1.0])


TYPING = "application/vnd.amazonaws.connect.event.typing"


def test_a_quota_for_what_is_no_operation_is_refused():
    with pytest.raises(ConfigurationError, match="SendMessages"):
        client_of(Service(), quota={"SendMessages": Rate(1, 1)})


def test_a_cancelled_call_leaves_the_queue_and_its_turn_to_the_next():
    """Of three waiting calls the second is cancelled: the third goes in its stead."""

    async def main():
        service = Service()
        async with client_of(service, quota={"SendMessage": Rate(1, 1)}) as client:
            calls = [asyncio.create_task(client.send_message("t", "hi")) for _ in range(4)]
            await asyncio.sleep(0.5)
            assert client.stats.waiting == 3
            calls[2].cancel()
            await asyncio.wait([calls[2]])
            assert calls[2].cancelled()
            assert client.stats.waiting == 2
            await asyncio.gather(calls[0], calls[1], calls[3])
        return service.times

    assert run_virtual(main()) == pytest.approx([0.0, 1.0, 2.0])


@pytest.mark.parametrize("turn_first", [True, False])
def test_a_call_cancelled_at_its_turn_gives_the_turn_back(turn_first):
    """Cancelled just after or just before its turn came, it costs the others nothing."""

    async def main():
        service = Service()
        async with client_of(service, quota={"SendMessage": Rate(1, 1)}) as client:
            calls = [asyncio.create_task(client.send_message("t", "hi")) for _ in range(3)]
            # Of two timers that are due together the older one fires first; both fire before any
            # task runs.
            if turn_first:
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_at(1.0, calls[1].cancel)
            await asyncio.gather(*calls, return_exceptions=True)
            assert calls[1].cancelled()
        return service.times

    assert run_virtual(main()) == pytest.approx([0.0, 1.0])


def test_every_attempt_takes_a_turn():
    """A retry waits for the quota like any other call."""

    async def main():
        service = Service(500, 500, 200)
        async with client_of(service, quota={"SendMessage": Rate(0.1, 1)}) as client:
            await client.send_message("t", "hi")
        return service.times

    assert run_virtual(main()) == pytest.approx([0.0, 10.0, 20.0])


@pytest.mark.usefixtures("greatest_jitter")
def test_backoff_grows_and_the_last_error_is_raised():
    """Three attempts, 0.1 s and 0.2 s apart at most; then the service's error."""

    async def main():
        service = Service(500)
        async with client_of(service) as client:
            with pytest.raises(InternalServerException):
                await client.send_message("t", "hi")
            assert client.stats.retries == {"SendMessage": 2}
            assert client.stats.attempts == {"SendMessage": 3}
        return service.times

    assert run_virtual(main()) == pytest.approx([0.0, 0.1, 0.3])


@pytest.mark.usefixtures("greatest_jitter")
def test_throttling_waits_longer_and_is_counted():
    async def main():
        service = Service(429, 429, 200)
        async with client_of(service) as client:
            await client.send_message("t", "hi")
            assert client.stats.throttles == {"SendMessage": 2}
            assert client.stats.calls == {"SendMessage": 1}
        return service.times

    assert run_virtual(main()) == pytest.approx([0.0, 1.0, 3.0])


def test_one_intent_one_client_token():
    """Every attempt repeats the token; the next call has another."""

    async def main():
        service = Service(500, httpx.ReadTimeout(""), 200)
        async with client_of(service) as client:
            await client.send_message("t", "hi")
            await client.send_message("t", "hi")
        return [request.read() for request in service.requests]

    *first, second = run_virtual(main())
    assert len(first) == 3
    assert len(set(first)) == 1
    assert second != first[0]


def test_the_callers_own_client_token_is_sent():
    async def main():
        service = Service(500, 200)
        async with client_of(service) as client:
            await client.send_message("t", "hi", client_token="mine")
        return [request.read() for request in service.requests]

    assert all(b'"ClientToken":"mine"' in body for body in run_virtual(main()))


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        (500, 1),
        (httpx.ReadTimeout(""), 1),
        (429, 2),
        (httpx.ConnectError("refused"), 2),
    ],
)
def test_without_a_client_token_only_what_did_not_happen_is_repeated(answer, attempts):
    """An empty token gives up idempotency; a lost answer may then mean a message that was sent."""

    async def main():
        service = Service(answer, 200)
        async with client_of(service) as client:
            with contextlib.suppress(InternalServerException, ServiceUnreachableError):
                await client.send_message("t", "hi", client_token="")
        return len(service.times)

    assert run_virtual(main()) == attempts


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.create_participant_connection("t"),
        lambda client: client.get_transcript("t"),
        lambda client: client.get_attachment("t", "a"),
        lambda client: client.describe_view("t", "v"),
        lambda client: client.get_authentication_url("t", session_id="s" * 36, redirect_uri="u"),
        lambda client: client.cancel_participant_authentication("t", session_id="s" * 36),
        lambda client: client.disconnect_participant("t"),
        lambda client: client.send_event("t", TYPING),
        lambda client: client.complete_attachment_upload("t", ["a"]),
        lambda client: client.start_attachment_upload(
            "t", attachment_name="n", attachment_size_in_bytes=1, content_type="text/csv"
        ),
    ],
)
def test_every_operation_survives_a_lost_answer(call):
    """They are all safe to repeat, and are repeated."""

    async def main():
        service = Service(httpx.ReadError(""), 200)
        async with client_of(service) as client:
            await call(client)
        return len(service.times)

    assert run_virtual(main()) == 2


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 302])
def test_a_refusal_is_not_repeated(status):
    async def main():
        service = Service(status)
        async with client_of(service) as client:
            with pytest.raises(Exception, match=f"HTTP {status}"):
                await client.send_message("t", "hi")
        return len(service.times)

    assert run_virtual(main()) == 1


def test_retry_after_is_waited_for():
    """In seconds or as an HTTP date, by the service's clock."""

    async def main():
        service = Service(
            httpx.Response(429, headers={"Retry-After": "7"}),
            httpx.Response(
                503,
                headers={
                    "Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT",
                    "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
                },
            ),
            200,
        )
        async with client_of(service) as client:
            await client.send_message("t", "hi")
        return service.times

    assert run_virtual(main()) == pytest.approx([0.0, 7.0, 37.0])


def test_retry_after_beyond_the_deadline_fails_at_once():
    """Nobody waits for what cannot come in time."""

    async def main():
        service = Service(httpx.Response(429, headers={"Retry-After": "61"}))
        async with client_of(service) as client:
            with pytest.raises(ThrottlingException) as caught:
                await client.send_message("t", "hi")
            assert caught.value.retry_after == 61
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0.0


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "-5", ""])
def test_a_strange_retry_after_is_ignored(value):
    async def main():
        service = Service(httpx.Response(429, headers={"Retry-After": value}), 200)
        async with client_of(service) as client:
            await client.send_message("t", "hi")
        return service.times

    assert run_virtual(main())[1] <= 1.0


def test_the_deadline_bounds_an_attempt():
    """A service that trickles for ever is given up, and the error says why."""

    async def main():
        async with client_of(Service(latency=1e6), deadline=5.0) as client:
            with pytest.raises(ServiceUnreachableError, match="deadline of 5 s"):
                await client.send_message("t", "hi")
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 5.0


def test_the_deadline_bounds_the_wait_for_a_turn():
    """Who waited in vain leaves the queue and is told that it was not sent."""

    async def main():
        service = Service()
        async with client_of(service, deadline=5.0, quota={"SendMessage": Rate(0.1, 1)}) as client:
            await client.send_message("t", "hi")
            with pytest.raises(ServiceUnreachableError, match="not sent"):
                await client.send_message("t", "hi")
            assert client.stats.waiting == 0
        return len(service.times), asyncio.get_running_loop().time()

    assert run_virtual(main()) == (1, 5.0)


def test_a_turn_that_comes_too_late_to_be_of_use():
    """The call leaves the queue, says so, and its listener knows that it waits no longer."""

    async def main():
        service, waits = Service(), []
        async with client_of(service, quota={"GetTranscript": Rate(0.1, 1)}) as client:
            await client.get_transcript("t")
            patient = client.without_deadline(turn_by=9.0, on_wait=waits.append)
            with pytest.raises(ServiceUnreachableError, match=r"not sent.*of use"):
                await patient.get_transcript("t")
            assert client.stats.waiting == 0
        return len(service.times), waits, asyncio.get_running_loop().time()

    assert run_virtual(main()) == (1, [True, False], 9.0)


def test_a_turn_in_time_is_no_bound_for_the_call():
    async def main():
        async with client_of(Service(latency=100.0)) as client:
            patient = client.without_deadline(turn_by=9.0)
            await patient.get_transcript("t")

    run_virtual(main())


def test_cancelled_just_after_its_turn_was_missed():
    """Nothing was granted, so nothing is given back."""

    async def main():
        service = Service()
        async with client_of(service, quota={"GetTranscript": Rate(0.1, 1)}) as client:
            await client.get_transcript("t")
            call = asyncio.create_task(client.without_deadline(turn_by=9.0).get_transcript("t"))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_at(9.0, call.cancel)
            await asyncio.wait([call])
            assert call.cancelled()
            await client.get_transcript("t")
        return service.times

    assert run_virtual(main()) == pytest.approx([0.0, 10.0])


def test_a_noisy_chat_does_not_starve_the_others():
    """Between the messages of a chat that sends 50 at once, another's three go out."""

    async def main():
        service = Service()
        async with client_of(service, quota={"SendMessage": Rate(1, 1)}, deadline=None) as client:
            noisy = [asyncio.create_task(client.send_message("noisy", "hi")) for _ in range(50)]
            await asyncio.sleep(0.5)
            await asyncio.gather(*(client.send_message("quiet", "hi") for _ in range(3)))
            now = asyncio.get_running_loop().time()
            for call in noisy:
                call.cancel()
        return now

    assert run_virtual(main()) == pytest.approx(6.0)


def test_throttling_slows_the_whole_client_down(caplog):
    """After a refusal calls go out at 0.7 of the rate, whoever makes them; said once in the log."""

    async def main():
        service = Service(429, 429, 200)
        async with client_of(service, quota={"SendMessage": Rate(1, 4)}, deadline=None) as client:
            await asyncio.gather(*(client.send_message(str(n), "hi") for n in range(10)))
        return service.times

    with caplog.at_level("WARNING"):
        times = run_virtual(main())
    assert len(times) == 12
    later = times[3:]
    assert all(after - before > 1.05 for before, after in pairwise(later[:5]))
    assert [record.getMessage() for record in caplog.records] == [
        "SendMessage is throttled by the service: slowing down to 70 % of its rate for a while"
    ]


class Shared:
    """A limiter as one of several machines would have it, which tells what it is asked."""

    def __init__(self):
        self.asked = []
        self.throttles = []
        self.waiting = {"SendMessage": {Priority.SEND: 3}}

    async def turn(self, operation, *, priority, key, deadline):
        self.asked.append((operation, priority, key, deadline))
        await asyncio.sleep(1.0)
        if deadline is not None and deadline < 1.0:
            raise TimeoutError

    def throttled(self, operation, sent_at):
        self.throttles.append((operation, sent_at))


def test_another_limiter_decides():
    """It is asked for every attempt, told of throttling, and says how many wait."""

    async def main():
        service, shared = Service(429, 200), Shared()
        async with client_of(service, limiter=shared, deadline=50.0) as client:
            await client.send_message("a-secret", "hi")
            await client.without_deadline().get_transcript("a-secret")
            assert client.stats.waiting == 3
            assert client.stats.queues == {"SendMessage": {Priority.SEND: 3}}
            with pytest.raises(ServiceUnreachableError, match="not sent"):
                await client.without_deadline(turn_by=0.5).get_transcript("t")
        return service.times, shared

    times, shared = run_virtual(main())
    assert times[0] == 1.0
    assert shared.throttles == [("SendMessage", 1.0)]
    first, again, read, _ = shared.asked
    assert first == again
    assert (first[0], first[1], first[3]) == ("SendMessage", Priority.SEND, 50.0)
    assert (read[0], read[1], read[3]) == ("GetTranscript", Priority.HISTORY, None)
    assert first[2] == read[2] != "a-secret"


def test_a_limiter_and_a_quota_exclude_each_other():
    with pytest.raises(ConfigurationError, match="one or the other"):
        client_of(Service(), limiter=Shared(), quota=None)


def test_the_deadline_after_a_failure_raises_the_failure():
    """What went wrong is more telling than that time ran out meanwhile."""

    async def main():
        service = Service(500)
        async with client_of(service, deadline=5.0, quota={"SendMessage": Rate(0.1, 1)}) as client:
            with pytest.raises(InternalServerException):
                await client.send_message("t", "hi")

    run_virtual(main())


def test_no_deadline():
    async def main():
        async with client_of(Service(latency=1e6), deadline=None) as client:
            await client.send_message("t", "hi")

    run_virtual(main())


def test_a_timeout_of_the_callers_is_not_taken_for_ours():
    """``asyncio.timeout`` around a call works as around anything else."""

    async def main():
        async with client_of(Service(latency=1e6)) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await client.send_message("t", "hi")

    run_virtual(main())


def test_a_timeout_of_the_callers_transport_is_not_taken_for_ours():
    """An error that is none of httpx's is the transport's own affair, and passes unchanged."""

    async def main():
        async with client_of(Service(TimeoutError("mine"))) as client:
            with pytest.raises(TimeoutError, match="mine"):
                await client.send_message("t", "hi")

    run_virtual(main())


def test_cancellation_during_backoff_is_immediate():
    async def main():
        service = Service(httpx.Response(429, headers={"Retry-After": "50"}))
        async with client_of(service) as client:
            call = asyncio.create_task(client.send_message("t", "hi"))
            await asyncio.sleep(1.0)
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1.0


def test_a_closed_client_says_so():
    """At once for a new call, and to a call that was still waiting for its turn."""

    async def main():
        service = Service()
        client = client_of(service, quota={"SendMessage": Rate(1, 1)})
        async with client:
            await client.send_message("t", "hi")
            waiting = asyncio.create_task(client.send_message("t", "hi"))
            await asyncio.sleep(0)
        await client.aclose()
        for call in (waiting, client.send_message("t", "hi")):
            with pytest.raises(NotConnectedError, match="closed"):
                await call
        return len(service.times)

    assert run_virtual(main()) == 1


def test_a_sick_service_is_not_hammered():
    """When the retry budget is spent, each call is one attempt."""

    async def main():
        service = Service(500)
        async with client_of(service, quota=None) as client:
            for _ in range(100):
                with pytest.raises(InternalServerException):
                    await client.get_transcript("t")
        return len(service.times)

    assert run_virtual(main()) == 100 + 100


def test_success_pays_its_retry_back():
    """A service that fails now and then can be retried for ever."""

    async def main():
        service = Service(*[500, 200] * 150)
        async with client_of(service, quota=None) as client:
            for _ in range(150):
                await client.get_transcript("t")

    run_virtual(main())


def test_a_failure_without_words_is_named():
    async def main():
        async with client_of(Service(httpx.ReadError(""))) as client:
            with pytest.raises(ServiceUnreachableError, match=r"got no answer: ReadError$"):
                await client.send_message("t", "hi")

    run_virtual(main())


def test_a_4xx_validation_error_keeps_what_the_service_said():
    async def main():
        answer = httpx.Response(400, json={"message": "wrong"}, headers={"x-amzn-RequestId": "r-1"})
        async with client_of(Service(answer)) as client:
            with pytest.raises(ValidationException) as caught:
                await client.get_transcript("t")
        return caught.value

    error = run_virtual(main())
    assert (error.message, error.request_id, error.operation) == ("wrong", "r-1", "GetTranscript")


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"deadline": 0}, {"max_attempts": 0}, {"deadline": -1}]
)
def test_options_without_sense_are_refused(options):
    with pytest.raises(ConfigurationError):
        client_of(Service(), **options)
