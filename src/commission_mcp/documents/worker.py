"""Run as a program of its own: reads documents under limits, one after another, until its input ends.

A hostile file can abort, hang or fill the process that parses it. So parsing happens here, without secrets in the
environment, with bounded memory and CPU time, and the result goes back through a pipe. Requests and answers are frames:
eight bytes of length, then the bytes. A request is two frames, the name and the content; an answer is one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import BinaryIO, cast

import orjson

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.pictures import Ocr, find_ocr
from commission_mcp.documents.refusals import damaged, empty, too_large
from commission_mcp.documents.wire import encoded
from commission_mcp.errors import Refused

DOCUMENT = b"D"
REFUSAL = b"R"
LENGTH_BYTES = 8


def read_frame(source: BinaryIO) -> bytes | None:
    """One frame, or nothing at the end of input."""
    head = source.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    body = source.read(length)
    return body if len(body) == length else None


def framed(body: bytes) -> bytes:
    """Bytes as a frame."""
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def answer(name: str, content: bytes, limits: ReadingLimits, ocr: Ocr | None) -> bytes:
    """The document, or why it was refused."""
    try:
        return DOCUMENT + encoded(parse(name, content, limits, ocr))
    except Refused as refusal:
        problem = refusal.problems[0]
    except MemoryError:
        problem = too_large(f"Reading it takes more than {limits.memory_bytes_max >> 20} MiB of memory.").problems[0]
    except RecursionError:
        problem = damaged("The file is nested deeper than any document.").problems[0]
    except EOFError:
        problem = empty().problems[0]
    except Exception:  # noqa: BLE001 - whatever a library raises over a damaged file; its words are no help to a person
        problem = damaged("The file is damaged: it cannot be read to its end.").problems[0]
    return REFUSAL + orjson.dumps([problem.code, problem.message, problem.fix])


def bound(limits: ReadingLimits) -> None:
    """Bound what this process may use, and end it with its parent."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes_max, limits.memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only there

        set_parent_death_signal, kill = 1, 9
        ctypes.CDLL(None).prctl(set_parent_death_signal, kill)


def allow_cpu(seconds: int) -> None:
    """Allow this much CPU time from now on; the kernel ends the process after that."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def own_output() -> BinaryIO:
    """The pipe to the parent, out of reach of libraries that print."""
    pipe = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    return pipe


def main(arguments: list[str]) -> int:
    """Serve until the input ends."""
    limits = ReadingLimits(**cast("dict[str, int]", orjson.loads(arguments[0])))  # pyright: ignore[reportArgumentType] - languages are text
    bound(limits)
    output = own_output()
    ocr = find_ocr(limits.languages)
    with suppress(BrokenPipeError, KeyboardInterrupt):
        while (name := read_frame(sys.stdin.buffer)) is not None:
            content = read_frame(sys.stdin.buffer)
            if content is None:
                break
            allow_cpu(limits.seconds_max)
            output.write(framed(answer(name.decode(), content, limits, ocr)))
            output.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
