"""While a server is away nothing fails: calls wait for it, and are tried again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from yanshou.engines.endpoint.gate import AwayError, BusyError, Gate, Patience, StoppedError
from yanshou.errors import GenerationError, RunError

QUICK = Patience(silent_s=0.05, away_s=0.1, busy_s=0.0, probe_s=0.01, longest_pause_s=0.02, rounds=2)
AWAY = AwayError("refused", GenerationError("the connection broke"))


class Server:
    """Is away for the given number of calls and probes."""

    def __init__(self, away: int) -> None:
        self.away, self.probes = away, 0
        self.stopped = False

    async def call(self) -> str:
        if self.away:
            self.away -= 1
            raise AWAY
        return "answer"

    async def probe(self) -> object:
        self.probes += 1
        return await self.call()

    def ask(self, call: Callable[[Gate], Awaitable[object]]) -> object:
        async def run() -> object:
            return await call(Gate("http://server/v1", QUICK, self.probe, lambda: self.stopped))

        return asyncio.run(run())


def test_a_call_is_tried_again_when_the_server_is_back() -> None:
    server = Server(away=3)
    assert server.ask(lambda gate: gate.patiently(server.call)) == "answer"
    assert server.probes == 3  # one call and two probes found it away


def test_of_many_calls_one_probes_and_the_others_wait() -> None:
    server = Server(away=5)

    async def five(gate: Gate) -> object:
        return await asyncio.gather(*(gate.patiently(server.call) for _ in range(5)))

    assert server.ask(five) == ["answer"] * 5
    assert server.probes == 1


def test_a_server_that_stays_away_ends_the_run() -> None:
    server = Server(away=1_000)
    with pytest.raises(RunError, match=r"^http://server/v1: no answer for 0.1 s \(refused\)\. Start the server"):
        server.ask(lambda gate: gate.patiently(server.call))


def test_a_call_that_alone_finds_the_server_away_fails_alone() -> None:
    async def broken() -> str:
        raise AWAY

    server = Server(away=0)
    with pytest.raises(GenerationError, match="the connection broke"):
        server.ask(lambda gate: gate.patiently(broken))
    assert server.probes == QUICK.rounds


def test_a_server_that_is_too_busy_for_all_ends_the_run() -> None:
    async def busy() -> str:
        raise BusyError("too many requests")

    with pytest.raises(RunError, match="has answered 429 to every request for 0 s: too many requests"):
        Server(away=0).ask(lambda gate: gate.patiently(busy))


def test_a_silent_call_goes_on_while_the_server_answers_probes() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.12)
        return "answer"

    server = Server(away=0)
    assert server.ask(lambda gate: gate.unless_silent(slow())) == "answer"
    assert server.probes


def test_a_stop_ends_the_wait() -> None:
    server = Server(away=1_000)
    server.stopped = True
    with pytest.raises(StoppedError):
        server.ask(lambda gate: gate.patiently(server.call))
    assert server.probes == 0


def test_a_stop_reaches_all_that_wait_and_leaves_the_gate_open() -> None:
    server = Server(away=1_000)

    async def five(gate: Gate) -> list[object]:
        asyncio.get_running_loop().call_later(0.03, setattr, server, "stopped", True)
        calls = (gate.patiently(server.call) for _ in range(5))
        found: list[object] = await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.wait_for(gate.passed(), 1)
        return found

    found = server.ask(five)
    assert isinstance(found, list)
    assert [type(one) for one in found] == [StoppedError] * 5
