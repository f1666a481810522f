"""One attempt to hand a message over: TLS verified, no redirects, everything bounded, a plain reason when it fails."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

import anyio
import anyio.to_thread
import httpx2
import orjson

from commission_mcp.domain.wizard.program_creation import MASTERS, program_creation
from commission_mcp.storage.outbox.destinations import Destination
from commission_mcp.storage.outbox.messages import Message

ATTEMPT_S = 30.0
_CONNECT_S = 5.0
_ANSWER_BYTES_MAX = 64 * 1024
_MASTERS_BYTES_MAX = 4 * 1024 * 1024
_CREATION_PATH = "/api/PlanCreationWebApi/"
_REFUSALS = frozenset({400, 413, 415, 422})  # the same message would be refused again


@dataclass(frozen=True, slots=True)
class Failed:
    """Why an attempt failed, in our own words; for good when repeating it cannot help."""

    reason: str
    for_good: bool = False


async def post(destination: Destination, message: Message, attempt_s: float = ATTEMPT_S) -> Failed | None:
    """Hand a message over; None when it arrived.

    Args:
        destination: To whom.
        message: What.
        attempt_s: How long it may take as a whole.
    """
    try:
        with anyio.fail_after(attempt_s):
            # Reading the system's authorities takes a tenth of a second.
            context = await anyio.to_thread.run_sync(trust, destination.authority)
            async with http_client(destination, context, attempt_s) as client:
                return await _post(client, destination, message)
    except (TimeoutError, httpx2.TimeoutException):
        return Failed("no answer in time")
    except httpx2.HTTPError as error:
        return Failed(f"no connection ({type(error).__name__})")
    except (httpx2.InvalidURL, ssl.SSLError, ValueError):
        return Failed("the address or the certificate authority cannot be used")


def trust(authority: str | None) -> ssl.SSLContext:
    """Whom a connection trusts: this authority, or the system's."""
    return ssl.create_default_context(cadata=authority)


def http_client(destination: Destination, context: ssl.SSLContext, attempt_s: float) -> httpx2.AsyncClient:
    """Talks to a destination: with its token, within its time, and never on to another address."""
    timeout = httpx2.Timeout(attempt_s, connect=_CONNECT_S)
    headers = {"User-Agent": "commission-mcp"}
    if destination.token is not None:
        headers["Authorization"] = f"Bearer {destination.token}"
    return httpx2.AsyncClient(verify=context, timeout=timeout, headers=headers, follow_redirects=False)


async def _post(client: httpx2.AsyncClient, destination: Destination, message: Message) -> Failed | None:
    url, body = await _request(client, destination, message)
    headers = {"Content-Type": "application/json", "Idempotency-Key": message.message_id}
    if destination.secret is not None:
        digest = hmac.new(destination.secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Commission-Signature"] = f"sha256={digest}"
    async with client.stream("POST", url, content=body, headers=headers) as answer:
        if not answer.is_success:
            return Failed(f"it answered {answer.status_code}", answer.status_code in _REFUSALS)
        text = await read_body(answer, _ANSWER_BYTES_MAX)
    return None if _is_answer(text) else Failed("it answered something that is not JSON")


async def _request(client: httpx2.AsyncClient, destination: Destination, message: Message) -> tuple[str, bytes]:
    if destination.format == "plan_creation_web_api":
        masters = {call: await _masters(client, destination, call) for call in MASTERS}
        definition = cast("Mapping[str, object]", message.payload["definition"])
        org_code = destination.org_code or str(message.payload["client_id"])
        body = program_creation(definition, org_code, masters)
        return f"{destination.url}{_CREATION_PATH}PostProgramCreation", orjson.dumps(body, default=_number)
    told = {
        **message.payload,
        "message_id": message.message_id,
        "created_at": f"{message.created_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    return destination.url, orjson.dumps(told)


async def _masters(client: httpx2.AsyncClient, destination: Destination, call: str) -> object:
    """A list of the backend; None where it has none, for then the labels alone have to do."""
    async with client.stream("GET", f"{destination.url}{_CREATION_PATH}{call}") as answer:
        text = await read_body(answer, _MASTERS_BYTES_MAX) if answer.is_success else None
    try:
        found: object = orjson.loads(text or b"null")
    except orjson.JSONDecodeError:
        return None
    return cast("Mapping[str, object]", found).get("data") if isinstance(found, Mapping) else found


async def read_body(answer: httpx2.Response, bytes_max: int) -> bytes | None:
    """The body; None when it is longer than anybody needs."""
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > bytes_max:
            return None
    return body


def _is_answer(body: bytes | None) -> bool:
    """Nothing or JSON: a login page behind status 200 is no receipt."""
    if body is None:
        return False
    try:
        orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return False
    return True


def _number(value: object) -> object:
    """Decimals as JSON numbers, by their own digits."""
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}".encode())
    raise TypeError
