"""The body of a request: read within bounds of size and time, or passed over so that its refusal arrives."""

from __future__ import annotations

from contextlib import suppress

import anyio
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from commission_mcp.serving import refusals
from commission_mcp.serving.refusals import HttpRefusal, refusal

_LINGER_S = 1.0


class Incoming:
    """A body that has not been read yet.

    Args:
        headers: The headers of the request.
        receive: Where it comes from.
        bytes_max: How long it may be.
    """

    def __init__(self, headers: Headers, receive: Receive, bytes_max: int) -> None:
        length = headers.get("content-length", "")
        self._announced = int(length) if length.isdecimal() else None
        self._receive = receive
        self._bytes_max = bytes_max
        self._ended = self._announced is None and "transfer-encoding" not in headers

    async def read(self, within_s: float) -> bytes:
        """The whole body.

        Raises:
            HttpRefusal: when it is too long, takes too long, or breaks off.
        """
        if (self._announced or 0) > self._bytes_max:
            raise self._too_long()
        body = bytearray()
        try:
            with anyio.fail_after(within_s):
                while not self._ended:
                    body += await self._next()
                    if len(body) > self._bytes_max:
                        raise self._too_long()
        except TimeoutError:
            late = refusal(refusals.TOO_SLOW, "The request took too long to arrive.", "Send it again.")
            late.headers = {"Connection": "close"}
            raise late from None
        return bytes(body)

    async def pass_over(self) -> None:
        """Receive what is on its way for a moment, and drop it.

        A connection that is closed while it still holds bytes is reset, and the answer with it.
        """
        dropped = 0
        with anyio.move_on_after(_LINGER_S), suppress(HttpRefusal):
            while not self._ended and dropped <= self._bytes_max:
                dropped += len(await self._next())

    def replaying(self, body: bytes) -> Receive:
        """Receive the body that was read, then what follows it."""
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await self._receive()

        return replay

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self._ended = True
            raise refusal(refusals.BAD_REQUEST, "The connection ended within the request.", "Send it again.")
        self._ended = not message.get("more_body", False)
        return message.get("body", b"")

    def _too_long(self) -> HttpRefusal:
        refused = refusal(
            refusals.TOO_LARGE, f"The request is longer than {self._bytes_max} bytes.", "Send less at a time."
        )
        refused.headers = {"Connection": "close"}
        return refused
