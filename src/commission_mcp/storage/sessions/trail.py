"""The trail: what was asked of the tools, kept in the conversation although nobody wrote it down.

Hosts do not send their turns, and a model does not always remember to. An entry holds the question, the sources and the
ids of an answer, never the answer: what a caller may see can change, and a conversation may be read by an auditor.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import orjson

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Refused
from commission_mcp.storage.sessions.message import SOURCE_CHARS_MAX, SOURCES_MAX, Message
from commission_mcp.storage.sessions.store import Sessions

# What answers name things by; whoever goes on with a conversation asks for them again.
_NAMES = ("plan_id", "draft_id", "version", "run_id", "period", "plan_phase", "revision", "row_count", "mode")
# They keep or read the conversation itself, or say nothing of what it is about.
_LEAVE_NO_TRAIL = frozenset({"chat_history", "cache_clear", "health", "audit_log"})
_VALUE_CHARS_MAX = 1_000
_CONTENT_CHARS_MAX = 4_000
_WAITING_MAX = 1_000
_GATHERING_S = 0.3  # how long an entry waits for others

_log = logging.getLogger("commission_mcp.trail")


class Trail:
    """Leaves an entry for each call in the caller's latest session, behind the answer.

    Args:
        sessions: The conversations, once they are open.
        usual_ttl_s: How long a conversation of this caller is kept, where its client says so.
        hidden: Puts other characters in the place of personal data.
    """

    def __init__(
        self,
        sessions: Callable[[], Awaitable[Sessions]],
        usual_ttl_s: Callable[[Caller], Awaitable[int | None]],
        hidden: Callable[[str], str],
    ) -> None:
        self._sessions = sessions
        self._usual_ttl_s = usual_ttl_s
        self._hidden = hidden
        self._sending, self._receiving = anyio.create_memory_object_stream[tuple[Caller, Message]](_WAITING_MAX)
        self._hurried, self._ended = anyio.Event(), anyio.Event()
        self._finishing = False
        self._noted = self._dealt_with = 0
        self._kept = anyio.Event()

    def note(self, caller: Caller, tool: str, arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Leave an entry for a call that was answered; returns at once.

        Args:
            caller: Who called, as the tool admitted it.
            tool: Which tool.
            arguments: What was asked.
            answer: The structured content of the answer.
        """
        if tool in _LEAVE_NO_TRAIL:
            return
        message = Message("tool", _question(tool, arguments), _sources(answer), _context(tool, answer))
        try:
            self._sending.send_nowait((caller, message))
            self._noted += 1
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            _log.warning("an entry of the trail was dropped", extra={"tool": tool})

    async def run(self) -> None:
        """Keep the entries until cancelled or finished."""
        try:
            async with self._sending, self._receiving:
                async for first in self._receiving:
                    gathered = await self._gather(first)
                    for caller, messages in gathered.items():
                        await self._keep(caller, messages)
                    self._dealt_with += sum(map(len, gathered.values()))
                    self._kept.set()
                    self._kept = anyio.Event()
        finally:
            self._ended.set()

    async def finish(self, within_s: float) -> None:
        """Take no more entries, and keep those that wait within this time, whatever is being cancelled around us."""
        self._sending.close()
        self._finishing = True
        self._hurried.set()
        with anyio.move_on_after(within_s, shield=True):
            await self._ended.wait()

    async def settled(self, within_s: float) -> None:
        """Wait until the entries so far are kept, but not longer than this.

        Otherwise a conversation would be read without its last entry, and one that begins now or was just cleared
        would get entries of calls before it.
        """
        noted = self._noted
        with anyio.move_on_after(within_s):
            while self._dealt_with < noted:
                self._hurried.set()
                await self._kept.wait()

    async def _gather(self, first: tuple[Caller, Message]) -> dict[Caller, list[Message]]:
        """An entry and those that come shortly after it, by caller.

        Kept one by one, entries would make Redis wait for its disk as often as there are calls, while the database
        wants the same disk for the calls that follow.
        """
        with anyio.move_on_after(_GATHERING_S):
            await self._hurried.wait()
        if not self._finishing:
            self._hurried = anyio.Event()
        gathered = {first[0]: [first[1]]}
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            for _ in range(_WAITING_MAX):
                caller, message = self._receiving.receive_nowait()
                gathered.setdefault(caller, []).append(message)
        return gathered

    async def _keep(self, caller: Caller, messages: Sequence[Message]) -> None:
        # Here and not in `note`: whoever called does not wait for it.
        fit = [replace(message, content=self._hidden(message.content)) for message in messages]
        try:
            ttl_s = await self._usual_ttl_s(caller)
            await (await self._sessions()).continue_latest(caller, fit, usual_ttl_s=ttl_s)
        except Refused as refused:
            # The calls were answered; that they left no trail is no reason to fail anything.
            _log.warning("entries of the trail were not kept", extra={"code": refused.problems[0].code})


def _question(tool: str, arguments: Mapping[str, Any]) -> str:
    shown = {name: _short(value) for name, value in arguments.items() if value is not None}
    return f"{tool} {orjson.dumps(shown, default=str).decode()}"[:_CONTENT_CHARS_MAX]


def _short(value: object) -> object:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return value if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}..."


def _sources(answer: Mapping[str, Any]) -> tuple[str, ...]:
    sources = answer.get("sources")
    listed: list[object] = list(sources) if isinstance(sources, list | tuple) else []  # pyright: ignore[reportUnknownArgumentType] - checked below
    return tuple(source for source in listed if isinstance(source, str) and len(source) <= SOURCE_CHARS_MAX)[
        :SOURCES_MAX
    ]


def _context(tool: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: answer[name] for name in _NAMES if isinstance(answer.get(name), str | int)}
    return {"tool": tool, **{name: value for name, value in names.items() if len(str(value)) <= _VALUE_CHARS_MAX // 5}}
