from __future__ import annotations

import asyncio
from asyncio.subprocess import Process

import pytest

from commission_mcp.embedded.upkeep import Upkeep
from commission_mcp.errors import Code, Problem, Refused

PROMPT = (0.0, 0.0, 0.0)


class Shell:
    """A server that is a shell command."""

    name = "shell"

    def __init__(self, *commands: str) -> None:
        self._commands = list(commands)  # one a start; the last for all that follow
        self.starts = 0

    async def start(self) -> Process:
        """Run the next command."""
        self.starts += 1
        command = self._commands.pop(0) if len(self._commands) > 1 else self._commands[0]
        if command == "refuse":
            raise Refused(Problem(Code.SERVER_START, "not today"))
        return await asyncio.create_subprocess_exec("/bin/sh", "-c", command)

    async def stop(self, started: Process) -> None:
        """Kill it."""
        if started.returncode is None:
            started.kill()
        await started.wait()


def test_a_server_is_started_once_however_many_demand_it() -> None:
    async def use() -> int:
        server = Shell("exec sleep 60")
        upkeep = Upkeep(server, _unexpected)
        await asyncio.gather(*(upkeep.demand() for _ in range(5)))
        await upkeep.stop()
        return server.starts

    assert asyncio.run(use()) == 1


def test_a_server_that_always_dies_is_given_up_with_a_reason() -> None:
    async def use() -> tuple[int, Refused]:
        server, given_up = Shell("exit 3"), asyncio.get_running_loop().create_future()
        upkeep = Upkeep(server, given_up.set_result, PROMPT)
        await upkeep.demand()
        reason = await given_up
        await upkeep.stop()
        return server.starts, reason

    starts, reason = asyncio.run(use())
    assert starts == 1 + len(PROMPT)
    assert [problem.code for problem in reason.problems] == [Code.SERVER_START]


def test_a_server_that_cannot_be_started_again_is_given_up_with_its_own_reason() -> None:
    async def use() -> tuple[int, Refused]:
        server, given_up = Shell("exit 3", "refuse"), asyncio.get_running_loop().create_future()
        upkeep = Upkeep(server, given_up.set_result, PROMPT)
        await upkeep.demand()
        reason = await given_up
        await upkeep.stop()
        return server.starts, reason

    starts, reason = asyncio.run(use())
    assert starts == 1 + len(PROMPT)
    assert "not today" in str(reason)


def test_a_failed_first_start_is_told_at_once_and_tried_again_by_the_next_demand() -> None:
    async def use() -> int:
        server = Shell("refuse", "exec sleep 60")
        upkeep = Upkeep(server, _unexpected, PROMPT)
        with pytest.raises(Refused):
            await upkeep.demand()
        await upkeep.demand()
        await upkeep.stop()
        return server.starts

    assert asyncio.run(use()) == 2


def test_a_given_up_server_is_tried_again_by_the_next_demand() -> None:
    async def use() -> int:
        server, given_up = Shell("exit 3", "refuse", "exec sleep 60"), asyncio.get_running_loop().create_future()
        upkeep = Upkeep(server, given_up.set_result, (0.0,))
        await upkeep.demand()
        await given_up
        await upkeep.demand()
        await upkeep.stop()
        return server.starts

    assert asyncio.run(use()) == 3


def _unexpected(refused: Refused) -> None:
    pytest.fail(f"given up: {refused}")
