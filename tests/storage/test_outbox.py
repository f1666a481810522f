"""News of plans on its way: a backend that is down, slow, wrong or deaf loses nothing and gets everything once."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import (
    LOCAL_ISSUER,
    Database,
    DatabaseLimits,
    ReplicaAddresses,
    open_database,
    operations,
)
from commission_mcp.storage.outbox import (
    BackendLists,
    Deliverer,
    Fallback,
    enqueue,
    load_destinations,
    outbox_state,
    retry,
    set_destinations,
    undelivered,
)
from commission_mcp.storage.outbox.messages import claim, note_delivered, note_failed

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

ALICE = Caller("client-a", LOCAL_ISSUER, "local", frozenset({Role.PLAN_AUTHOR}))
DEFINITION: dict[str, Any] = {
    "plan_name": "Delivered",
    "calculation_schedule": "Monthly",
    "payment_schedule": "Monthly",
    "assignee_type": "Territory",
    "object_type": "Invoices",
    "valid_from": "2026-01-01",
    "valid_to": None,
    "currency": "USD",
    "rules": [
        {
            "plan_type": "Revenue Target",
            "category_type": "Tiered",
            "range_type": "Amount",
            "value_type": "Percentage",
            "base_value": "Gross Revenue",
            "tiers": [
                {"from": "0", "to": "100000", "commission": "5"},
                {"from": "100000", "to": None, "commission": "7.5"},
            ],
        }
    ],
    "assignments": [{"territory": "north", "priority": 100}],
}


@dataclass
class Receiver:
    """A real HTTP server that answers as it is told, and keeps what it got."""

    answer: Callable[[BaseHTTPRequestHandler], None]
    url: str = ""
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list[Any])
    accepted: list[str] = field(default_factory=list[str])
    lists: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict[str, Any])

    def posts(self) -> list[Any]:
        """The bodies that were posted."""
        return [body for path, _, body in self.received if body is not None and path]


def says(status: int, body: bytes = b"{}", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def sleeps(release: threading.Event) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(_: BaseHTTPRequestHandler) -> None:
        release.wait(20)

    return answer


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Generator[Receiver]:
    receiver = Receiver(says(200))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.received.append((self.path, dict(self.headers), body))
            receiver.answer(self)

        def do_GET(self) -> None:
            receiver.received.append((self.path, dict(self.headers), None))
            call = self.path.rpartition("/")[2]
            if call in receiver.lists:
                receiver.lists[call](self)
                return
            rows = [{"ScheduleId": 7, "Name": "Monthly"}]
            says(200, json.dumps(rows if self.path.endswith("GetCommissionSchedule") else []).encode())(self)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base class's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as found:
        yield found


@pytest.fixture
async def database(postgres_18: Installation) -> AsyncIterator[Database]:
    async with operations(postgres_18.address) as connection:
        await connection.execute("DELETE FROM cm.outbox")
    async with open_database(
        postgres_18.address, postgres_18.credentials, DatabaseLimits(), ReplicaAddresses()
    ) as opened:
        yield opened


@dataclass
class Post:
    """The outbox of `client-a`, and a deliverer that runs when the test says so."""

    installation: Installation
    database: Database

    async def to(self, entry: dict[str, object]) -> None:
        """Set where messages go."""
        async with operations(self.installation.address) as connection:
            await set_destinations(connection, "client-a", entry)

    async def queue(self, event: str = "plan.submitted", plan_id: str = "plan-1") -> None:
        """Queue a message."""
        news = {"plan_id": plan_id, "version": 1, "definition": DEFINITION}
        async with self.database.writing(ALICE) as writing:
            await enqueue(writing, event, news, (await load_destinations(writing, Fallback())).targets)

    async def deliver(self, attempt_s: float = 10) -> None:
        """Deliver what is due."""
        await Deliverer(lambda: self.database, Fallback(), 1, attempt_s).deliver_due(self.database)

    async def make_due(self) -> None:
        """As if the wait were over."""
        async with operations(self.installation.address) as connection:
            await connection.execute("UPDATE cm.outbox SET next_attempt_at = now(), leased_until = NULL")

    async def state(self) -> tuple[int, int, str | None]:
        """How many wait, how many were given up, and why."""
        async with self.database.writing(ALICE, read_only=True) as reading:
            state = await outbox_state(reading)
        return state.waiting, state.given_up, state.last_failure


@pytest.fixture
async def post(postgres_18: Installation, database: Database, receiver: Receiver) -> AsyncIterator[Post]:
    found = Post(postgres_18, database)
    await found.to({"url": receiver.url, "token": "t-1"})
    yield found
    await found.to({})


async def test_a_message_arrives_once_with_its_token_and_key(post: Post, receiver: Receiver) -> None:
    await post.queue()
    await post.deliver()
    await post.deliver()

    ((path, headers, body),) = receiver.received
    assert (path, headers["Authorization"]) == ("/", "Bearer t-1")
    assert (body["event"], body["client_id"], body["definition"]) == ("plan.submitted", "client-a", DEFINITION)
    assert headers["Idempotency-Key"] == body["message_id"]
    assert await post.state() == (0, 0, None)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (says(401), "it answered 401"),
        (says(500), "it answered 500"),
        (says(503), "it answered 503"),
        (says(302, Location="http://127.0.0.1:1/"), "it answered 302"),
        (says(200, b"<html>log in</html>"), "it answered something that is not JSON"),
        (says(200, b" " * 100_000), "it answered something that is not JSON"),
        (hangs_up, "no connection (RemoteProtocolError)"),
    ],
)
async def test_a_receiver_that_fails_gets_the_message_when_it_is_well(
    post: Post, receiver: Receiver, answer: Callable[[BaseHTTPRequestHandler], None], failure: str
) -> None:
    receiver.answer = answer
    await post.queue()
    await post.deliver()
    assert await post.state() == (1, 0, failure)
    await post.deliver()
    assert len(receiver.received) == 1  # the next attempt waits
    receiver.answer = says(200)
    await post.make_due()
    await post.deliver()

    assert await post.state() == (0, 0, None)
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.received}) == 1
    assert len(receiver.received) == 2


async def test_a_receiver_that_is_down_gets_everything_in_order_when_it_is_up(post: Post, receiver: Receiver) -> None:
    await post.to({"url": "http://127.0.0.1:1"})
    await post.queue("plan.submitted")
    await post.queue("plan.decided")
    await post.deliver()
    assert await post.state() == (2, 0, "no connection (ConnectError)")
    await post.to({"url": receiver.url})
    await post.make_due()
    await post.deliver()

    assert [body["event"] for body in receiver.posts()] == ["plan.submitted", "plan.decided"]
    assert await post.state() == (0, 0, None)


async def test_a_receiver_that_is_slow_is_not_waited_for(post: Post, receiver: Receiver) -> None:
    release = threading.Event()
    receiver.answer = sleeps(release)
    await post.queue()
    await post.deliver(attempt_s=0.2)
    assert await post.state() == (1, 0, "no answer in time")
    release.set()


async def test_what_is_refused_for_its_content_is_given_up_kept_and_can_be_tried_again(
    post: Post, receiver: Receiver, connect: Connect, postgres_18: Installation
) -> None:
    receiver.answer = says(422)
    await post.queue()
    await post.deliver()
    assert await post.state() == (0, 1, "it answered 422")
    async with connect(postgres_18) as client:
        health: dict[str, Any] = (await client.call_tool("health", {})).structured_content or {}
    assert [part["code"] for part in health["degraded"] if part["part"] == "outbox"] == ["E_BACKEND"]
    receiver.answer = says(200)
    async with operations(postgres_18.address) as connection:
        assert [one.given_up for one in await undelivered(connection, "client-a")] == [True]
        assert await retry(connection, None) == 1
    await post.deliver()

    assert await post.state() == (0, 0, None)


async def test_the_news_of_one_plan_does_not_wait_for_anothers(post: Post, receiver: Receiver) -> None:
    receiver.answer = says(500)
    await post.queue(plan_id="plan-1")
    await post.deliver()
    receiver.answer = says(200)
    await post.queue("plan.decided", plan_id="plan-1")
    await post.queue(plan_id="plan-2")
    await post.deliver()

    assert [(body["plan_id"], body["event"]) for body in receiver.posts()] == [
        ("plan-1", "plan.submitted"),
        ("plan-2", "plan.submitted"),
    ]


async def test_several_processes_deliver_a_message_once(post: Post, receiver: Receiver) -> None:
    for number in range(6):
        await post.queue(plan_id=f"plan-{number}")
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(post.deliver)

    assert len(receiver.received) == 6
    assert await post.state() == (0, 0, None)


@contextmanager
def delivering(data_directory: Path) -> Generator[subprocess.Popen[bytes]]:
    """A process of its own that delivers."""
    program = Path(__file__).with_name("delivering_program.py")
    with subprocess.Popen([sys.executable, program, data_directory], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            yield process
        finally:
            process.kill()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.01)


async def test_two_processes_deliver_a_clients_plans_in_order_and_one_at_a_time(
    post: Post, receiver: Receiver, data_directory: Path
) -> None:
    at_once: list[int] = []
    busy = threading.Semaphore(1)

    def slow(handler: BaseHTTPRequestHandler) -> None:
        at_once.append(busy.acquire(blocking=False))
        says_after = threading.Event()
        says_after.wait(0.05)  # so long a backend thinks
        busy.release()
        says(200)(handler)

    receiver.answer = slow
    with delivering(data_directory), delivering(data_directory):
        for number in range(12):
            await post.queue(plan_id=f"plan-{number}")
        await until(lambda: len(receiver.received) >= 12)
        with anyio.fail_after(60):
            while (await post.state())[0]:
                await anyio.sleep(0.01)

    assert [body["plan_id"] for body in receiver.posts()] == [f"plan-{number}" for number in range(12)]
    assert all(at_once)


async def test_a_process_that_is_killed_while_it_delivers_loses_nothing_and_doubles_nothing(
    post: Post, receiver: Receiver, data_directory: Path
) -> None:
    release = threading.Event()
    kept: dict[str, Any] = {}  # as a backend does that keeps the keys

    def keeps(handler: BaseHTTPRequestHandler) -> None:
        key = handler.headers["Idempotency-Key"]
        first = key not in kept
        kept.setdefault(key, receiver.posts()[-1]["plan_id"])
        if first and len(kept) == 1:
            release.wait(30)  # it has taken the message, and its answer reaches nobody
        says(200)(handler)

    receiver.answer = keeps
    await post.queue(plan_id="plan-1")
    await post.queue(plan_id="plan-2")
    with delivering(data_directory) as first:
        await until(lambda: bool(kept))
        first.kill()
        first.wait()
    with delivering(data_directory):
        waiting = await post.state()
        in_the_lease = list(kept.values())
        await post.make_due()  # as if the lease had ended
        release.set()
        await until(lambda: len(kept) == 2)
        with anyio.fail_after(60):
            while (await post.state())[0]:
                await anyio.sleep(0.01)

    assert (waiting[0], in_the_lease) == (2, ["plan-1"])  # nobody overtakes what may be on its way
    assert list(kept.values()) == ["plan-1", "plan-2"]
    assert [body["plan_id"] for body in receiver.posts()] == ["plan-1", "plan-1", "plan-2"]


async def test_an_attempt_that_was_thought_dead_does_not_disturb_the_next(post: Post, receiver: Receiver) -> None:
    await post.queue()
    async with post.database.delivering("client-a") as writing:
        frozen = await claim(writing)
    await post.make_due()
    async with post.database.delivering("client-a") as writing:
        following = await claim(writing)
    assert frozen is not None
    assert following is not None
    async with post.database.delivering("client-a") as writing:
        await note_failed(writing, frozen, "no answer in time", for_good=False)
        again = await claim(writing)
        await note_delivered(writing, following)
        await note_failed(writing, following, "no answer in time", for_good=True)

    assert again is None
    assert await post.state() == (0, 0, None)
    assert receiver.received == []


async def test_a_message_whose_deliverer_died_is_due_again_after_the_lease(post: Post, receiver: Receiver) -> None:
    release = threading.Event()
    receiver.answer = sleeps(release)
    await post.queue()
    with anyio.move_on_after(0.3):
        await post.deliver()
    release.set()
    receiver.answer = says(200)
    await post.deliver()
    assert await post.state() == (1, 0, None)
    await post.make_due()
    await post.deliver()

    assert await post.state() == (0, 0, None)
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.received}) == 1


async def test_the_older_dashboards_backend_gets_a_plan_in_its_own_form(post: Post, receiver: Receiver) -> None:
    await post.to({"url": receiver.url, "format": "plan_creation_web_api", "org_code": "ORG1"})
    await post.queue("plan.submitted")
    await post.queue("plan.decided")
    await post.deliver()

    (body,) = receiver.posts()
    assert [path for path, _, body in receiver.received if body is not None] == [
        "/api/PlanCreationWebApi/PostProgramCreation"
    ]
    assert (body["ProgramName"], body["OrgCode"], body["CalculationScheduleId"]) == ("Delivered", "ORG1", 7)
    (condition,) = body["PlanConditionsDto"]
    assert (condition["Sequence"], condition["PlanBase"], condition["BaseValue"]) == (100, "Revenue", "Gross")
    assert condition["JsonData"][0]["tiers"] == [
        {"from_value": 0, "to_value": 100000, "commission": 5},
        {"from_value": 100000, "to_value": None, "commission": 7.5},
    ]
    assert condition["JsonData"][0]["PlanValueRangesDto"]["Territory"] == "north"


async def test_a_webhook_is_told_of_both_and_signed(post: Post, receiver: Receiver) -> None:
    await post.to({"webhook": {"url": f"{receiver.url}/hook", "secret": "s"}})
    await post.queue("plan.submitted")
    await post.queue("plan.decided")
    await post.deliver()

    assert [(path, body["event"]) for path, _, body in receiver.received] == [
        ("/hook", "plan.submitted"),
        ("/hook", "plan.decided"),
    ]
    assert all(headers["X-Commission-Signature"].startswith("sha256=") for _, headers, _ in receiver.received)


async def test_tls_is_verified_against_the_clients_own_authority(post: Post, tmp_path: Path) -> None:
    certificate, authority = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(context) as receiver:
        await post.to({"url": receiver.url})
        await post.queue()
        await post.deliver()
        assert await post.state() == (1, 0, "no connection (ConnectError)")
        await post.to({"url": receiver.url, "ca": authority})
        await post.make_due()
        await post.deliver()

        assert len(receiver.received) == 1


async def test_a_client_without_any_destination_queues_nothing(post: Post) -> None:
    await post.to({})
    await post.queue()

    assert await post.state() == (0, 0, None)


async def test_a_queued_message_without_a_destination_waits(post: Post, receiver: Receiver) -> None:
    await post.queue()
    await post.to({})
    await post.deliver()
    assert await post.state() == (1, 0, "no address is configured any more")
    await post.to({"url": receiver.url})
    await post.make_due()
    await post.deliver()

    assert await post.state() == (0, 0, None)


async def test_a_running_server_delivers_what_is_submitted_and_decided(
    post: Post, receiver: Receiver, connect: Connect, postgres_18: Installation
) -> None:
    fields = {
        "plan_name": "Delivered by itself",
        "calculation_schedule": "Monthly",
        "assignee_type": "Territory",
        "valid_from": "2036-01-01",
        "valid_to": None,
        **DEFINITION["rules"][0],
        "assignments": [{"territory": "north"}],
    }
    receiver.answer = says(503)
    async with connect(postgres_18, roles="plan_author", outbox_poll_ms=10) as client:
        answer: dict[str, Any] = {"next": {"arguments": {"action": "start", "fields": fields}}}
        for _ in ("start", "review", "submit"):
            answer = (await client.call_tool("plan_wizard", answer["next"]["arguments"])).structured_content or {}
        assert answer["plan"]["status"] == "submitted"  # whatever the backend does
        with anyio.fail_after(20):
            while not receiver.received:
                await anyio.sleep(0.01)
        receiver.answer = says(200)
        with anyio.fail_after(20):
            while (await post.state())[0]:
                await anyio.sleep(0.01)

    assert [body["sha256"] for body in receiver.posts()] == [answer["plan"]["sha256"]] * len(receiver.received)
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.received}) == 1


def listed(*rows: object) -> Callable[[BaseHTTPRequestHandler], None]:
    return says(200, json.dumps({"data": rows}).encode())


@dataclass
class Author:
    """Drafts a plan of client-a, whose backend is the receiver."""

    client: Client
    receiver: Receiver

    async def drafts(self, **fields: object) -> dict[str, Any]:
        """Draft a plan with these fields, and forget it; the answer."""
        asked = {"action": "start", "fields": {**PLAN_FIELDS, **fields}}
        answer: dict[str, Any] = (await self.client.call_tool("plan_wizard", asked)).structured_content or {}
        await self.client.call_tool("plan_wizard", {"action": "cancel", "draft_id": answer["draft_id"]})
        return answer

    def reads(self) -> int:
        """How often the backend was asked for its units."""
        return sum(path.endswith("/GetUomList") for path, _, _ in self.receiver.received)


PLAN_FIELDS: dict[str, Any] = {
    "plan_name": "Known to the backend",
    "calculation_schedule": "Monthly",
    "payment_schedule": "Monthly",
    "assignee_type": "Territory",
    "assignee_name": "Field Sales",
    "valid_from": "2036-01-01",
    "valid_to": None,
    **DEFINITION["rules"][0],
    "plan_params": ["Territory"],
    "assignments": [{"territory": "north"}],
    "uom": "Pallet",
}
LISTS: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "GetCommissionSchedule": listed({"ScheduleId": 7, "ScheduleName": "Monthly"}),
    "GetAssigneeNameList": listed({"id": 1, "assigneeName": "Field Sales"}, {"id": 2, "assigneeName": "Inside Sales"}),
    "GetPlanParams": listed("Territory", "Product"),
    "GetUomList": listed({"UomId": 3, "Uom": "PAL", "UomName": "Pallet"}),
    "GetCurrencyList": listed({"CurrencyCode": "USD", "CurrencyName": "US Dollar"}),
    "GetPlanTypeMasterList": says(404),
}


@pytest.fixture
async def author(post: Post, receiver: Receiver, connect: Connect, postgres_18: Installation) -> AsyncIterator[Author]:
    receiver.lists = dict(LISTS)
    await post.to({"url": receiver.url, "format": "plan_creation_web_api", "token": "t-1"})
    async with connect(postgres_18, roles="plan_author") as client:
        yield Author(client, receiver)


def warned(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["code"], row["path"]) for row in answer["warnings"] if row["code"].startswith("W_BACKEND")]


async def test_the_wizard_knows_what_the_backend_has(author: Author) -> None:
    whole = await author.drafts()
    strange = await author.drafts(assignee_name="Feild Sales", payment_schedule="Yearly", uom="EA")
    choices = json.loads(getattr((await author.client.read_resource("plan://wizard/choices")).contents[0], "text", ""))

    assert (whole["problems"], warned(whole)) == ([], [])
    assert warned(strange) == [
        ("W_BACKEND_UNKNOWN", "payment_schedule"),
        ("W_BACKEND_UNKNOWN", "assignee_name"),
        ("W_BACKEND_UNKNOWN", "uom"),
    ]
    assert "Field Sales" in next(row["fix"] for row in strange["warnings"] if row["path"] == "assignee_name")
    assert choices["backend"]["assignees"] == ["Field Sales", "Inside Sales"]
    assert (choices["uom"], "plan_types" in choices["backend"]) == (["Each", "Pallet"], False)
    assert author.reads() == 1  # kept
    assert author.receiver.received[0][1]["Authorization"] == "Bearer t-1"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(says(401), id="401"),
        pytest.param(says(500), id="500"),
        pytest.param(says(200, b"<html>log in</html>"), id="garbage"),
        pytest.param(says(200, b'"a text"'), id="no list"),
        pytest.param(says(200, b" " * 2_000_000), id="endless"),
        pytest.param(hangs_up, id="hangs up"),
        pytest.param(says(302, Location="http://127.0.0.1:1/"), id="elsewhere"),
    ],
)
async def test_without_the_backends_lists_the_wizard_goes_on_and_says_so(
    author: Author, answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    author.receiver.lists["GetUomList"] = answer
    first = await author.drafts()
    second = await author.drafts(uom="Each")

    assert (first["problems"], warned(first)) == ([], [("W_BACKEND_LISTS", "")])
    assert (second["problems"], warned(second)) == ([], [("W_BACKEND_LISTS", "")])
    assert author.reads() == 1  # it is left alone for a while


async def test_lists_of_before_are_used_while_the_backend_is_away(post: Post, receiver: Receiver) -> None:
    receiver.lists = dict(LISTS)
    await post.to({"url": receiver.url, "format": "plan_creation_web_api"})
    lists = BackendLists(Fallback(), fresh_s=0, retry_s=0, answer_s=0.5)
    first = await lists.of(post.database, ALICE)
    release = threading.Event()
    receiver.lists["GetPlanParams"] = sleeps(release)
    slow = await lists.of(post.database, ALICE)
    release.set()
    receiver.lists["GetPlanParams"] = listed("Plant")
    back = await lists.of(post.database, ALICE)
    await post.to({"url": receiver.url})
    none = await lists.of(post.database, ALICE)

    assert first is not None
    assert slow is not None
    assert back is not None
    assert (slow.lists, slow.failure) == (first.lists, "no answer in time")
    assert (back.lists["plan_params"].shown, back.failure) == (("Plant",), None)
    assert none is None  # a native receiver has no lists


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"url": "ftp://x"}, Code.SETTING),
        ({"url": 5}, Code.FIELD_TYPE),
        ({"format": "xml"}, Code.UNKNOWN),
        ({"adress": "https://x"}, Code.FIELD_UNKNOWN),
        ({"webhook": {"secret": "s"}}, Code.FIELD_MISSING),
        ([], Code.FIELD_TYPE),
    ],
)
async def test_a_destination_that_makes_no_sense_is_refused(post: Post, entry: Any, code: Code) -> None:  # noqa: ANN401 - hostile
    with pytest.raises(Refused) as refused:
        await post.to(entry)
    assert [problem.code for problem in refused.value.problems] == [code]


def _certificate(folder: Path) -> tuple[Path, str]:
    """A certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test backend")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "server.pem"
    file.write_bytes(private + pem)
    return file, pem.decode()
