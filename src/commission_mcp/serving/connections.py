"""A connection over which HTTP/1.1 is spoken: how long it may take to ask and to listen, and how it ends.

Uvicorn waits for a request, and for a reader, for ever, and closes a connection without a request as soon as the server
stops, though one may be on its way. Here all are bounded.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
STALL_S = 60.0
_READ_BYTES = 16 * 1024
DRAINING = "commission_mcp.draining"
"""Under this key of the lifespan's state stands, once the server stops, for how many seconds a connection without a
request stays open."""


class Connection(H11Protocol):
    """Uvicorn's HTTP/1.1 with deadlines for whoever asks and for whoever should read an answer.

    The request line and headers have to come in time, from the first byte or the connection. Once the server stops,
    each answer says `connection: close`, and whoever has not asked yet may do so for a moment.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments, passed on
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._stalling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for a request; also when it was accepted just before the server stopped."""
        # What is read at once is parsed at once, while nobody else is served: of 256 KB in the smallest chunks that is
        # more than a second. It also bounds the head of a request that comes in one piece.
        transport.max_size = _READ_BYTES  # pyright: ignore[reportAttributeAccessIssue] - asyncio's own, of no interface
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            transport.abort()
            return
        self._await_head()
        if self._linger_s is not None:
            self.shutdown()

    def data_received(self, data: bytes) -> None:
        """Go on waiting, or stop once a request has begun."""
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()
        elif self._deadline is None and not self.transport.is_closing():
            self._await_head()

    def handle_events(self) -> None:
        """Begin to answer what has arrived; while the server stops, it is this connection's last answer."""
        super().handle_events()
        if self._is_answering() and self._has_two_lengths():
            self.send_400_response("Invalid HTTP request received.")
        if self._linger_s is not None and self._is_answering():
            self._close_after_answer()

    def on_response_complete(self) -> None:
        """Wait for the rest of a request that began to arrive during the answer."""
        super().on_response_complete()
        if (
            self._has_begun()
            and self._deadline is None
            and not self._is_answering()
            and not self.transport.is_closing()
        ):
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, also in the middle of a body, and let whoever reads that body know."""
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that asks nothing, though it has not read its last answer."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Too much waits to be read: it may do so for a time."""
        super().pause_writing()
        self._stalling = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It is read."""
        super().resume_writing()
        self._stop_stalling()

    def shutdown(self) -> None:
        """The server stops: answer the request that is here or comes within a moment, then close.

        May be called again.
        """
        if self._is_answering():
            self._close_after_answer()
        elif self._lingering is None:
            self._lingering = self.loop.call_later(self._linger_s or 0.0, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._stop_waiting()
        self._stop_stalling()
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    @property
    def _linger_s(self) -> float | None:
        return self.app_state.get(DRAINING)

    def _is_answering(self) -> bool:
        # uvicorn leaves the attribute None until the first request, whatever its annotation says.
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - see above

    def _has_begun(self) -> bool:
        """Whether bytes of a request are here that do not make a whole head yet."""
        begun, _ = self.conn.trailing_data
        return bool(begun)

    def _should_upgrade(self) -> bool:
        return False  # to nothing; the base would write two warnings for each who asks

    def _has_two_lengths(self) -> bool:
        """Whether a request says its length in two ways, of which a proxy may have believed the other one."""
        names = {name for name, _ in self.headers}
        return {b"content-length", b"transfer-encoding"} <= names and not self.cycle.disconnected

    def _close_after_answer(self) -> None:
        self.cycle.keep_alive = False
        if not self.cycle.response_started and CLOSE_HEADER not in self.cycle.default_headers:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def _close_if_idle(self) -> None:
        """Close, unless a request is here; one whose head is still arriving has its own deadline."""
        if not self._is_answering() and not self._has_begun():
            super().timeout_keep_alive_handler()

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_stalling(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self._is_answering():
            self.transport.abort()
