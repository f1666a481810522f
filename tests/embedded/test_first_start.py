from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Open, Outside

    Eventually = Callable[[Callable[[], object]], None]

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="changes who it runs as: needs root")


def test_eight_first_starts_at_once_all_succeed(fresh: Path, open_client: Open) -> None:
    clients = [open_client(fresh) for _ in range(8)]

    assert all(client.answer == clients[0].answer for client in clients)
    assert [client.sql("SELECT 1") for client in clients] == [1] * 8

    for client in clients:
        client.leave()


@pytest.mark.parametrize("seed", range(4))
def test_a_first_start_that_is_killed_at_any_moment_is_made_up_for(
    fresh: Path, open_client: Open, outside: type[Outside], seed: int
) -> None:
    moment_s = random.Random(seed).uniform(0.1, 0.9)  # noqa: S311 - the same moments in every run
    client = open_client(fresh)
    threading.Event().wait(moment_s)
    for process, command in outside(fresh).processes().items():
        if "embedded.supervisor" in command:
            os.kill(process, signal.SIGKILL)
    client.kill()

    again = open_client(fresh)
    assert again.sql("SELECT current_database()") == "commission"
    assert again.pings("history")
    assert not (fresh / "postgres.new").exists()
    again.leave()


@pytest.mark.parametrize(
    "moment", ["postgres.new", "postgres.new/data/pg_hba.conf", "postgres", "postgres/postmaster.pid"]
)
def test_a_first_start_killed_at_a_known_moment_is_made_up_for(
    fresh: Path, open_client: Open, outside: type[Outside], eventually: Eventually, moment: str
) -> None:
    client = open_client(fresh, redis=False)
    eventually((fresh / moment).exists)
    os.kill(outside(fresh).supervisor, signal.SIGKILL)
    client.kill()

    again = open_client(fresh, redis=False)
    assert again.sql("SELECT current_database()") == "commission"
    again.leave()


def test_a_client_killed_during_the_first_start_leaves_nothing_running(
    fresh: Path, open_client: Open, outside: type[Outside], eventually: Eventually
) -> None:
    client = open_client(fresh, redis=False)
    eventually((fresh / "postgres.new").exists)
    client.kill()

    outside(fresh).wait_until_empty()


@pytest.fixture
def home_of_nobody() -> Generator[Path]:
    """A folder of the user nobody, who cannot pass pytest's own."""
    home = Path(tempfile.mkdtemp(prefix="cm-nobody-"))
    os.chown(home, NOBODY, NOBODY)
    yield home
    shutil.rmtree(home)


@AS_ROOT
def test_an_ordinary_user_needs_no_privilege(home_of_nobody: Path, open_client: Open, outside: type[Outside]) -> None:
    client = open_client(home_of_nobody / "data", through=_interpreter_for_nobody(), user=NOBODY)

    assert client.sql("SELECT current_user") == "cm_bootstrap"
    assert client.pings("history")
    assert {Path(f"/proc/{process}").stat().st_uid for process in outside(home_of_nobody).processes()} == {NOBODY}

    client.leave()
    outside(home_of_nobody).wait_until_empty()


@AS_ROOT
def test_an_ordinary_user_loses_nothing_when_the_supervisor_is_killed(
    home_of_nobody: Path, open_client: Open, outside: type[Outside]
) -> None:
    directory = home_of_nobody / "data"
    client = open_client(directory, through=_interpreter_for_nobody(), user=NOBODY)
    client.sql("CREATE TABLE kept AS SELECT 1 AS n")
    client.process.send_signal(signal.SIGSTOP)
    os.kill(outside(directory).supervisor, signal.SIGKILL)
    outside(directory).wait_until_empty()
    client.kill()

    again = open_client(directory, through=_interpreter_for_nobody(), user=NOBODY)
    assert again.sql("SELECT n FROM kept") == 1
    again.leave()
    outside(directory).wait_until_empty()


@AS_ROOT
def test_root_without_user_namespaces_runs_postgresql_as_nobody(
    fresh: Path, open_client: Open, outside: type[Outside], without_namespaces: list[str]
) -> None:
    """As in a Docker container. The same directory opens again where namespaces are allowed."""
    client = open_client(fresh, through=[*without_namespaces, sys.executable])
    client.sql("CREATE TABLE kept AS SELECT 1 AS n")
    postmaster = outside(fresh).postmaster
    assert Path(f"/proc/{postmaster}").stat().st_uid == NOBODY

    client.process.send_signal(signal.SIGSTOP)
    os.kill(outside(fresh).supervisor, signal.SIGKILL)
    outside(fresh).wait_until_empty()
    client.kill()

    again = open_client(fresh)
    assert again.sql("SELECT n FROM kept") == 1
    assert (fresh / "postgres" / "base").stat().st_uid == 0
    again.leave()


@AS_ROOT
def test_a_disk_that_is_too_small_is_refused(fresh: Path, open_client: Open) -> None:
    fresh.mkdir()
    mount = f'mount -t tmpfs -o size=20m tmpfs {fresh} && exec "$@"'
    client = open_client(fresh, through=["/usr/bin/unshare", "--mount", "/bin/sh", "-c", mount, "sh", sys.executable])

    assert client.codes == ["E_DATA_DIRECTORY"]


@pytest.fixture
def without_namespaces(eventually: Eventually) -> Generator[list[str]]:
    """The beginning of a command that runs as root where no user namespace may be made."""
    holder = subprocess.Popen(["/usr/bin/unshare", "--user", "/usr/bin/sleep", "infinity"])
    own = Path("/proc/self/ns/user").readlink()
    eventually(lambda: Path(f"/proc/{holder.pid}/ns/user").readlink() != own)
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{holder.pid}/{kind}").write_text("0 0 65536")
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    yield ["/usr/bin/nsenter", "--user", f"--target={holder.pid}", "--", "/bin/sh", "-c", forbid, "sh"]
    holder.kill()
    holder.wait()


def _interpreter_for_nobody() -> list[str]:
    """A Python of this version that the user nobody may run: the one of the tests may be in somebody's home."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        tried = ["/bin/sh", "-c", 'exec "$1" -c ""', "sh", candidate]
        found = subprocess.run(tried, check=False, user=NOBODY, capture_output=True)
        if found.returncode == 0:
            return [candidate]
    pytest.skip(f"the user nobody has no Python {version}")
