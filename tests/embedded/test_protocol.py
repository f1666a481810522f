from __future__ import annotations

import pytest

from commission_mcp.embedded.protocol import Request, State, decode_request, decode_state, encode_request, encode_state
from commission_mcp.errors import Code, Problem, Refused

REQUEST = Request(postgres=True, redis=False, grace_s=1.5, version="0.1.0")


def test_a_request_arrives_as_it_was_sent() -> None:
    assert decode_request(encode_request(REQUEST)) == REQUEST


def test_a_refusal_arrives_as_it_was_sent() -> None:
    sent = Refused(Problem(Code.SERVER_START, "It did not.", "Read the log.", "COMMISSION_DATA_DIRECTORY"))
    with pytest.raises(Refused) as received:
        decode_state(encode_state(State.REFUSED, sent))

    assert received.value.problems == sent.problems


def test_a_client_of_another_protocol_is_refused() -> None:
    with pytest.raises(Refused):
        decode_request(encode_request(REQUEST).replace(b'"protocol": 1', b'"protocol": 2'))


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"\xff\n", b'{"protocol": 1, "grace_s": "long"}', b'{"protocol": 1}']
)
def test_what_is_no_request_is_an_error(line: bytes) -> None:
    with pytest.raises((ValueError, Refused)):
        decode_request(line)


@pytest.mark.parametrize("line", [b"", b"[]", b'{"state": "asleep"}', b'{"state": "refused", "problems": [1]}'])
def test_what_is_no_answer_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason
        decode_state(line)
