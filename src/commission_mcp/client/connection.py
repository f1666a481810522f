"""One connection to a server, held in a task of its own: any task may use it, lose it, and see why it ended."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import anyio
import anyio.abc
import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import Implementation

from commission_mcp import __version__
from commission_mcp.client import failures
from commission_mcp.client.failures import CommissionError, ConnectionLostError, UnavailableError
from commission_mcp.client.settings import CLIENT_ID, PREFIX, ClientSettings, Token

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

_EVENT_BYTES_MAX = 64 * 1024**2  # an answer is one event, and carries its rows twice
_CONNECT_TIMEOUT_S = 10.0
_LOG_CHARS_SHOWN = 2_000
_CLOSED, _TIMED_OUT = -32000, -32001  # the protocol library's codes for its own failures
_INVALID = -32602  # a resource that does not exist, where the error says its address
_SESSION_ENDED = "Session terminated"  # its words for a session that the server has forgotten
_HIDDEN_STATUS = frozenset({"Server returned an error response", "Not Found"})  # its words in place of an HTTP status
_HTTP_REFUSALS = 400

_answers: ContextVar[list[httpx2.Response] | None] = ContextVar("commission_mcp_http_answers", default=None)


class Connection:
    """A connection that is being held open.

    Args:
        settings: Where to connect to.
        environment: The environment for a server that is started.
    """

    def __init__(self, settings: ClientSettings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._client: Client | None = None
        self._leaving = anyio.Event()
        self._calls: set[anyio.CancelScope] = set()
        self._failure: CommissionError | None = None
        self._log: IO[str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls can be sent."""
        return self._client is not None and self._failure is None

    async def hold(self, *, task_status: anyio.abc.TaskStatus[CommissionError | None]) -> None:
        """Connect, tell how that went, and stay connected until `leave` is called or the connection is lost."""
        told = False
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log, _watched() as answers:
            self._log = log
            try:
                async with _opened(self._settings, self._environment, log) as client:
                    answers.clear()
                    self._client = client
                    told = True
                    task_status.started(None)
                    await self._leaving.wait()
            except Exception as error:  # noqa: BLE001 - whatever a transport fails with, the connection is lost
                self._end(self._lost(error, answers))
            finally:
                self._client = self._log = None
                self._end(ConnectionLostError("the connection was closed"))
        if not told:
            task_status.started(self._failure)

    def leave(self) -> None:
        """End the connection."""
        self._leaving.set()

    async def send(self, call: Callable[[Client, Callable[..., Awaitable[None]]], Awaitable[T]]) -> T:
        """Make one call, and give up when nothing was heard for `timeout_s`; progress counts as being heard.

        Raises:
            CommissionError: it failed.
        """
        if self._client is None or self._failure is not None:
            raise self._failure or ConnectionLostError("the connection was closed")
        timeout_s = self._settings.timeout_s
        with anyio.CancelScope(deadline=anyio.current_time() + timeout_s) as scope, _watched() as answers:

            async def heard(*_: object) -> None:
                scope.deadline = anyio.current_time() + timeout_s

            self._calls.add(scope)
            try:
                return await call(self._client, heard)
            except MCPError as error:
                raise self._of_protocol(error, answers) from None
            finally:
                self._calls.discard(scope)
        if self._failure is not None:
            raise self._failure
        raise failures.CallTimeoutError(f"nothing was heard from the server for {timeout_s:g} s; the call was given up")

    def _end(self, failure: CommissionError) -> None:
        """Remember why, once, and wake every call that waits."""
        if self._failure is None:
            self._failure = failure
            for scope in tuple(self._calls):
                scope.cancel()

    def _of_protocol(self, error: MCPError, answers: list[httpx2.Response]) -> CommissionError:
        """What the protocol library says, in our words."""
        problems = failures.problems_in(error.message)
        refused = next((answer for answer in reversed(answers) if answer.status_code >= _HTTP_REFUSALS), None)
        if problems:
            return failures.refusal(problems, error.message)
        if error.code == _CLOSED or error.message == _SESSION_ENDED:
            self._end(self._closed())
            self.leave()
            return self._failure or self._closed()
        if refused is not None and error.message in _HIDDEN_STATUS:
            return failures.of_status(refused.status_code, _retry_after(refused))
        if error.code == _INVALID and "uri" in (error.data or ()):
            return failures.NotFoundError(error.message)
        if error.code == _TIMED_OUT:
            return failures.CallTimeoutError("the server did not answer in time")
        return failures.ServerError(error.message)

    def _lost(self, error: Exception, answers: list[httpx2.Response]) -> CommissionError:
        """Why a connection ended, from whatever the transport failed with."""
        cause = next(_leaves(error))
        if isinstance(cause, CommissionError):
            return cause
        if isinstance(cause, MCPError):
            return self._of_protocol(cause, answers)
        if self._settings.url is not None:
            place = _shown(self._settings.url)
            return UnavailableError(f"the server at {place} cannot be reached: {type(cause).__name__}")
        if self._settings.command is not None and isinstance(cause, OSError):
            return failures.SettingsError(f"{self._settings.command[0]!r} cannot be started: {cause.strerror}")
        return self._closed()

    def _closed(self) -> CommissionError:
        """The connection was closed by the other side: what a program that was started said last tells why."""
        said = ""
        if self._log is not None:
            self._log.seek(0)
            said = self._log.read()[-_LOG_CHARS_SHOWN:].strip()
        problems = failures.problems_in(said)
        text = "the connection to the server was lost" + (f"; it said last:\n{said}" if said else "")
        return failures.refusal(problems, text) if problems else ConnectionLostError(text)


@contextmanager
def _watched() -> Generator[list[httpx2.Response]]:
    """Collect the HTTP answers of what is sent in this block: the protocol library hides their status."""
    answers: list[httpx2.Response] = []
    token = _answers.set(answers)
    try:
        yield answers
    finally:
        _answers.reset(token)


@asynccontextmanager
async def _opened(settings: ClientSettings, environment: Mapping[str, str], log: IO[str]) -> AsyncGenerator[Client]:
    known: dict[str, Any] = {"client_info": Implementation(name="commission-mcp-client", version=__version__)}
    if settings.server is not None:
        async with Client(settings.server, **known) as client:
            yield client
    elif settings.url is not None:
        async with (
            _http_client(settings.token) as http_client,
            Client(
                streamable_http_client(
                    _address(settings.url, settings.client_id),
                    http_client=http_client,
                    max_sse_event_size=_EVENT_BYTES_MAX,
                ),
                **known,
            ) as client,
        ):
            yield client
    else:
        async with Client(stdio_client(_program(settings, environment), errlog=log), **known) as client:  # pyright: ignore[reportArgumentType] - any text file serves as the log
            yield client


def _address(url: str, client_id: str | None) -> str:
    """The URL, naming the client where a token grants several."""
    if client_id is None:
        return url
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "client_id"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("client_id", client_id)])))


def _http_client(token: Token | None) -> httpx2.AsyncClient:
    async def authorize(request: httpx2.Request) -> None:
        value = token() if callable(token) else token
        if value:
            request.headers["Authorization"] = f"Bearer {value}"

    async def note(response: httpx2.Response) -> None:
        answers = _answers.get()
        if answers is not None:
            answers.append(response)

    # How long to wait for an answer is decided by each call.
    timeout = httpx2.Timeout(_CONNECT_TIMEOUT_S, read=None)
    return httpx2.AsyncClient(timeout=timeout, event_hooks={"request": [authorize], "response": [note]})


def _program(settings: ClientSettings, environment: Mapping[str, str]) -> StdioServerParameters:
    """The server to start: with this process's environment, without what is the client's alone."""
    command, *arguments = settings.command or ("",)
    variables = {name: value for name, value in environment.items() if not name.startswith(PREFIX)}
    if settings.client_id is not None:
        variables[CLIENT_ID] = settings.client_id
    return StdioServerParameters(command=command, args=arguments, env=variables)


def _retry_after(response: httpx2.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _leaves(error: BaseException) -> Generator[Exception]:
    """The failures in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(inner)
    elif isinstance(error, Exception):
        yield error


def _shown(url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
