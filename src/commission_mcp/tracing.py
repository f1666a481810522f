"""Spans of OpenTelemetry for what a call spends its time on; where nobody records them, they cost next to nothing.

A span says which step it was, how long it took, and how it ended. It never holds what was asked or answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from opentelemetry import trace

from commission_mcp.errors import Refused

SCOPE = "commission-mcp"
ERROR_TYPE = "error.type"

T = TypeVar("T")
P = ParamSpec("P")

_tracer = trace.get_tracer(SCOPE)


def step(name: str) -> AbstractContextManager[trace.Span]:
    """Time a block as a part of the call that is being served."""
    if not trace.get_current_span().is_recording():
        return nullcontext(trace.INVALID_SPAN)
    return _recorded(name)


def traced(name: str) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Time an async function as a part of the call that is being served."""

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(function)
        async def timed(*args: P.args, **kwargs: P.kwargs) -> T:
            with step(name):
                return await function(*args, **kwargs)

        return timed

    return decorate


def describe_call(attributes: dict[str, Any]) -> None:
    """Say of the call that is being served how it ended."""
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes(attributes)


@contextmanager
def _recorded(name: str) -> Generator[trace.Span]:
    with _tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
        try:
            yield span
        except BaseException as error:
            # The code of a refusal, or the kind of whatever else: never its text.
            span.set_attribute(
                ERROR_TYPE, str(error.problems[0].code) if isinstance(error, Refused) else type(error).__name__
            )
            raise
