"""The same conversations and the same cache on a cluster, behind sentinels, and over TLS."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis
from redis.exceptions import RedisError

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.embedded.binaries import valkey_server
from commission_mcp.errors import Refused
from commission_mcp.storage import Credentials
from commission_mcp.storage.query_cache.records import Kept
from commission_mcp.storage.query_cache.store import SCRIPTS, AnswerStore
from commission_mcp.storage.redis_connections import RedisServer, open_redis
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.redis_servers import redis_state
from commission_mcp.storage.sessions import Message, SessionLimits, Sessions, open_sessions

pytestmark = pytest.mark.anyio

CREDENTIALS = Credentials("a master secret of a test installation")
PASSWORD = "a-password-of-the-test"  # noqa: S105 - of servers that these tests start
ANN, BEN = (Caller("client-a", "local", name, frozenset({Role.ANALYST})) for name in ("ann", "ben"))
LIMITS = RedisLimits(connect_timeout_ms=2_000, answer_timeout_ms=2_000, call_timeout_ms=10_000)


def free_port(*, also: int = 0) -> int:
    """A port that nobody listens on; `also` is added for a second one that has to be free too."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with suppress(OSError, OverflowError):
                other.bind(("127.0.0.1", port + also if also else 0))
                return port


@contextmanager
def served(program: Path | str, *options: str) -> Generator[subprocess.Popen[bytes]]:
    """A server that runs until the block ends."""
    with tempfile.TemporaryDirectory(prefix="cm-redis-") as folder:
        process = subprocess.Popen([program, *options, "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def until(ask: Callable[[], Awaitable[bool]], within_s: float = 60) -> None:
    """Wait for something to become true."""
    with anyio.fail_after(within_s):
        while True:
            with suppress(RedisError, OSError, Refused):
                if await ask():
                    return
            await anyio.sleep(0.02)


async def command(port: int, *parts: str | int, password: str | None = PASSWORD) -> Any:  # noqa: ANN401 - what a server answers
    """Send a command to one server itself."""
    async with Redis(port=port, password=password) as client:
        return await client.execute_command(*parts)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - redis-py leaves it untyped


def common(port: int) -> list[str]:
    login = ["--requirepass", PASSWORD, "--masterauth", PASSWORD]
    return ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning", *login]


@asynccontextmanager
async def cluster() -> AsyncGenerator[list[int]]:
    """Three primaries that share all slots."""
    ports = [free_port(also=10_000) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for port in ports:
            stack.enter_context(served(valkey_server(), *common(port), "--cluster-enabled", "yes"))
        shares = ((0, 5460), (5461, 10922), (10923, 16383))
        for port, share in zip(ports, shares, strict=True):
            await until(lambda port=port: command(port, "PING"))
            await command(port, "CLUSTER", "ADDSLOTSRANGE", *share)
        for port in ports[1:]:
            await command(ports[0], "CLUSTER", "MEET", "127.0.0.1", port)

        async def is_whole(port: int) -> bool:
            return b"cluster_state:ok" in str(await command(port, "CLUSTER", "INFO")).encode()

        for port in ports:
            await until(lambda port=port: is_whole(port))
        yield ports


def hosts(ports: Sequence[int]) -> str:
    return ",".join(f"127.0.0.1:{port}" for port in ports)


@asynccontextmanager
async def opened(url: str, limits: RedisLimits = LIMITS) -> AsyncGenerator[Sessions]:
    async with open_sessions(url, CREDENTIALS, limits, SessionLimits(), keys=[bytes(32)]) as sessions:
        yield sessions


@asynccontextmanager
async def opened_store(url: str) -> AsyncGenerator[tuple[RedisServer, AnswerStore]]:
    async with open_redis(url, SCRIPTS, LIMITS) as server:
        yield server, AnswerStore(server)


async def converse(sessions: Sessions, times: int = 12) -> None:
    """Sessions of two users, each with its own messages, found, listed and cleared."""
    kept = {ANN: [f"ann-{number}" for number in range(times)], BEN: [f"ben-{number}" for number in range(times)]}
    for caller, names in kept.items():
        for name in names:
            await sessions.append(caller, Message("user", f"said in {name}"), name)
            await sessions.append(caller, Message("assistant", f"answered in {name}"), name)
    for caller, names in kept.items():
        listed = await sessions.sessions(caller, sessions_max=times + 1)
        assert [session.session_id for session in listed.sessions] == names[::-1]
        for name in names:
            page = await sessions.read(caller, name, messages_max=10)
            assert page is not None
            assert [turn.message.content for turn in page.turns] == [f"said in {name}", f"answered in {name}"]
        await sessions.clear(caller, names[0])
        assert len((await sessions.sessions(caller, sessions_max=times + 1)).sessions) == times - 1


async def keep(server: RedisServer, store: AnswerStore, times: int = 40) -> None:
    """Answers of two clients; those of one are removed, and no other."""
    for client_id in ("client-a", "client-ab"):
        for number in range(times):
            name = f"cm:1:q:{{{client_id}}}:{number}"
            assert await store.fetch(name, "token", turn_ms=1000) == (True, None)
            await store.end_turn(name, "token", Kept(name, b"answer", 60_000))
            assert await store.fetch(name, "token", turn_ms=1000) == (False, b"answer")
    assert await server.remove("cm:1:q:{client-a}:") == times
    assert await server.remove("cm:1:q:{client-a}:") == 0
    assert await server.remove("cm:1:q:") == times


async def test_a_cluster_of_three_serves_conversations_and_cache() -> None:
    async with cluster() as ports:
        url = f"redis+cluster://:{PASSWORD}@{hosts(ports)}"
        async with opened(url) as sessions, opened_store(url) as (server, store):
            await converse(sessions)
            await keep(server, store)
        state = await redis_state(url)

    assert state.version.startswith("Valkey")
    assert state.policy == "noeviction"
    assert state.memory_bytes > 3 * 2**20 // 2


async def test_a_cluster_is_found_through_any_of_its_servers() -> None:
    async with cluster() as ports, opened(f"redis+cluster://:{PASSWORD}@{hosts([free_port(), ports[2]])}") as sessions:
        await converse(sessions, times=3)


async def test_a_cluster_that_is_down_is_a_refusal() -> None:
    async with opened(f"redis+cluster://:{PASSWORD}@{hosts([free_port(), free_port()])}") as sessions:
        with pytest.raises(Refused) as refused:
            await sessions.append(ANN, Message("user", "hello"))
    assert [problem.code for problem in refused.value.problems] == ["E_REDIS_UNREACHABLE"]


async def test_a_moved_slot_is_followed() -> None:
    async with cluster() as ports, opened(f"redis+cluster://:{PASSWORD}@{hosts(ports)}") as sessions:
        await sessions.append(ANN, Message("user", "before"), "moving")
        await sessions.clear(ANN, "moving")
        slot = await command(ports[0], "CLUSTER", "KEYSLOT", "cm:1:{client-a:moving}:m")
        ids = {port: await command(port, "CLUSTER", "MYID") for port in ports}
        (owner,) = [index for index, end in enumerate((5460, 10922, 16383)) if slot <= end][:1]
        new = ports[(owner + 1) % 3]
        for port in (new, *(port for port in ports if port != new)):
            await command(port, "CLUSTER", "SETSLOT", slot, "NODE", ids[new])

        await sessions.append(ANN, Message("user", "after"), "moving")
        page = await sessions.read(ANN, "moving", messages_max=10)
    assert page is not None
    assert [turn.message.content for turn in page.turns] == ["after"]


async def test_after_a_failover_the_sentinels_name_the_new_primary() -> None:
    primary, replica, sentinel = (free_port() for _ in range(3))
    async with AsyncExitStack() as stack:
        first = stack.enter_context(served(valkey_server(), *common(primary)))
        stack.enter_context(served(valkey_server(), *common(replica), "--replicaof", "127.0.0.1", str(primary)))
        await until(lambda: command(primary, "PING"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cm-sentinel-")))
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {sentinel}\nbind 127.0.0.1\nrequirepass {PASSWORD}-sentinel\n"
            f"sentinel monitor history 127.0.0.1 {primary} 1\nsentinel auth-pass history {PASSWORD}\n"
            "sentinel down-after-milliseconds history 300\nsentinel failover-timeout history 3000\n"
        )
        stack.enter_context(served(valkey_server(), str(config), "--sentinel"))

        async def ask_sentinel(*parts: str) -> str:
            return str(await command(sentinel, *parts, password=f"{PASSWORD}-sentinel"))

        async def knows_the_replica() -> bool:
            return str(replica) in await ask_sentinel("SENTINEL", "REPLICAS", "history")

        async def is_linked() -> bool:
            return "master_link_status:up" in str(await command(replica, "INFO", "replication")).replace("': '", ":")

        await until(knows_the_replica)
        await until(is_linked)
        named = hosts([free_port(), sentinel])
        url = f"redis+sentinel://:{PASSWORD}@{named}/history?sentinel_password={PASSWORD}-sentinel"
        async with opened(url) as sessions, opened_store(url) as (server, store):
            await converse(sessions, times=2)
            await keep(server, store, times=3)
            await command(primary, "WAIT", 1, 5000)
            first.kill()

            async def serves_again() -> bool:
                return bool((await sessions.append(ANN, Message("user", "after"), "ann-1")).session_id)

            await until(serves_again)
            page = await sessions.read(ANN, "ann-1", messages_max=10)
            assert page is not None
            contents = [turn.message.content for turn in page.turns]
            assert contents[:2] == ["said in ann-1", "answered in ann-1"]
            assert set(contents[2:]) == {"after"}
        assert (await redis_state(url)).version.startswith("Valkey")


@pytest.fixture(scope="module")
def certificates() -> Generator[Path]:
    """An authority, and certificates of a server and of a client that it signed."""
    with tempfile.TemporaryDirectory(prefix="cm-tls-") as name:
        folder, now = Path(name), datetime.now(UTC)
        keys = {who: ec.generate_private_key(ec.SECP256R1()) for who in ("ca", "server", "client", "stranger")}
        names = {who: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)]) for who in keys}
        for who, key in keys.items():
            issuer = who if who in {"ca", "stranger"} else "ca"
            builder = (
                x509.CertificateBuilder()
                .subject_name(names[who])
                .issuer_name(names[issuer])
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - timedelta(days=1))
                .not_valid_after(now + timedelta(days=1))
                .add_extension(x509.BasicConstraints(ca=issuer == who, path_length=None), critical=True)
                .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            )
            certificate = builder.sign(keys[issuer], hashes.SHA256())
            (folder / f"{who}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
            private = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            (folder / f"{who}.key").write_bytes(private)
        yield folder


@asynccontextmanager
async def tls_server(redis: Path, folder: Path) -> AsyncGenerator[int]:
    """Debian's redis-server, as its documentation and the older dashboard's start it for TLS."""
    port = free_port()
    files = ["--tls-cert-file", "server.crt", "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.crt"]
    paths = [str(folder / part) if part.endswith((".crt", ".key")) else part for part in files]
    options = [
        "--tls-port",
        str(port),
        "--port",
        "0",
        *paths,
        "--user",
        "cm",
        "on",
        f">{PASSWORD}",
        "~cm:*",
        "&*",
        "+@all",
    ]
    with served(redis, *options, "--save", "", "--loglevel", "warning") as process:

        async def listens() -> bool:
            assert process.poll() is None
            stream = await anyio.connect_tcp("127.0.0.1", port)
            await stream.aclose()
            return True

        await until(listens)
        yield port


def tls_url(port: int, folder: Path, ca: str = "ca", client: str = "client") -> str:
    files = f"ssl_ca_certs={folder}/{ca}.crt&ssl_certfile={folder}/{client}.crt&ssl_keyfile={folder}/{client}.key"
    return f"rediss://cm:{PASSWORD}@127.0.0.1:{port}/0?{files}"


async def test_tls_with_certificates_on_both_sides_and_a_user_of_its_own(
    debian_redis: Path, certificates: Path
) -> None:
    async with tls_server(debian_redis, certificates) as port:
        url = tls_url(port, certificates)
        async with opened(url) as sessions, opened_store(url) as (server, store):
            await converse(sessions)
            await keep(server, store)
        assert (await redis_state(url)).version.startswith("Redis 7")


@pytest.mark.parametrize(("ca", "client"), [("stranger", "client"), ("ca", "stranger")])
async def test_a_certificate_of_another_authority_is_refused_on_either_side(
    debian_redis: Path, certificates: Path, ca: str, client: str
) -> None:
    async with (
        tls_server(debian_redis, certificates) as port,
        opened(tls_url(port, certificates, ca, client)) as sessions,
    ):
        with pytest.raises(Refused) as refused:
            await sessions.append(ANN, Message("user", "hello"))
    assert [problem.code for problem in refused.value.problems] == ["E_REDIS_UNREACHABLE"]


async def test_without_an_authority_a_self_signed_server_is_not_believed(
    debian_redis: Path, certificates: Path
) -> None:
    async with (
        tls_server(debian_redis, certificates) as port,
        opened(f"rediss://cm:{PASSWORD}@127.0.0.1:{port}") as sessions,
    ):
        with pytest.raises(Refused) as refused:
            await sessions.append(ANN, Message("user", "hello"))
    assert [problem.code for problem in refused.value.problems] == ["E_REDIS_UNREACHABLE"]
