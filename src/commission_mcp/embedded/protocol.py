"""What a client and the supervisor say to each other: one JSON object a line, and never a secret.

The client asks once and stays connected for as long as it needs the servers. The supervisor answers `starting` at
once and every second, so that silence means that it is frozen, and then `ready` or `refused`. Later it says `refused`
again if a server that the client needs does not stay up.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import cast

from commission_mcp.errors import Code, Problem, Refused

PROTOCOL = 1
BUSY_STATUS = 75
"""How a supervisor ends that found another one: EX_TEMPFAIL."""

BEAT_S = 1.0


class State(StrEnum):
    """How far the supervisor is with a request."""

    STARTING = "starting"
    READY = "ready"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client needs.

    Attributes:
        postgres: Whether it needs PostgreSQL.
        redis: Whether it needs the two Valkeys.
        grace_s: How long the servers stay up after it left, if it was the last.
        version: The client's program version, for the log.
        protocol: The protocol that the client speaks.
    """

    postgres: bool
    redis: bool
    grace_s: float
    version: str
    protocol: int = PROTOCOL


def encode_request(request: Request) -> bytes:
    """A request as a line."""
    return _line(asdict(request))


def decode_request(line: bytes) -> Request:
    """A request from a line.

    Raises:
        ValueError: if it is none.
        Refused: with `E_SERVER_START` if the client speaks another protocol.
    """
    found = _object(line)
    if found.get("protocol") != PROTOCOL:
        raise Refused(
            Problem(
                Code.SERVER_START,
                "A program of another version has this data directory open.",
                "End every commission-mcp that uses the directory, wait ten seconds, and start again.",
            )
        )
    grace_s = found.get("grace_s")
    if not isinstance(grace_s, int | float):
        raise ValueError("grace_s is not a number")  # noqa: TRY004 - wrong input, not a programmer's type error
    return Request(
        postgres=found.get("postgres") is True,
        redis=found.get("redis") is True,
        grace_s=float(grace_s),
        version=str(found.get("version")),
    )


def encode_state(state: State, refused: Refused | None = None) -> bytes:
    """An answer as a line."""
    problems = [] if refused is None else [asdict(problem) for problem in refused.problems]
    return _line({"state": state, "problems": problems})


def decode_state(line: bytes) -> State:
    """An answer from a line.

    Raises:
        ValueError: if it is none.
        Refused: if that is the answer.
    """
    found = _object(line)
    state = State(str(found.get("state")))
    if state is State.REFUSED:
        raise Refused(*_problems(found.get("problems")))
    return state


def _problems(found: object) -> list[Problem]:
    if not isinstance(found, list) or not found:
        raise ValueError("a refusal without problems")
    return [_problem(item) for item in cast("list[object]", found)]


def _problem(found: object) -> Problem:
    if not isinstance(found, dict):
        raise ValueError("a problem is an object")  # noqa: TRY004 - wrong input, not a programmer's type error
    text = {key: str(value) for key, value in cast("dict[str, object]", found).items()}
    return Problem(Code(text.get("code", "")), text.get("message", ""), text.get("fix", ""), text.get("path", ""))


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _object(line: bytes) -> dict[str, object]:
    found: object = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - wrong input, not a programmer's type error
    return cast("dict[str, object]", found)
