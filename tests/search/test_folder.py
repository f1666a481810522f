from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from commission_mcp.search.folder import Folder, NotADocument

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shared(tmp_path: Path) -> Folder:
    """Documents for all, with those of two clients in a folder below."""
    root = tmp_path / "documents"
    for name in (
        "policy.txt",
        "rates/emea.txt",
        "client-specific/client-a/own.txt",
        "client-specific/client-b/own.txt",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "outside.txt").write_text("outside")
    return Folder(root, without=root / "client-specific")


def names(folder: Folder) -> list[str]:
    return [file.name for file in folder.files()]


def test_documents_are_listed_and_read_by_their_paths(shared: Folder) -> None:
    assert names(shared) == ["policy.txt", "rates/emea.txt"]
    content, state = shared.read("rates/emea.txt", 100)
    assert (content, state) == (b"rates/emea.txt", shared.files()[1].state)


def test_a_missing_folder_is_empty(tmp_path: Path) -> None:
    assert Folder(tmp_path / "none").files() == []


@pytest.mark.parametrize(
    "name",
    [
        "client-specific/client-a/own.txt",
        "rates/../client-specific/client-a/own.txt",
        "../outside.txt",
        "..",
        ".",
        "",
        "/etc/passwd",
        "rates//emea.txt",
        "rates/./emea.txt",
        "rates",
        "policy.txt/",
        "policy.txt\0",
        "policy.txt/x",
        "nothing.txt",
        "\udcff.txt",
        "x" * 300,
        "/".join("a" * 100),
    ],
)
def test_what_is_no_document_of_the_folder_is_not_there(shared: Folder, name: str) -> None:
    with pytest.raises(NotADocument):
        shared.read(name, 100)
    with pytest.raises(NotADocument):
        shared.delete(name)


@pytest.mark.parametrize(
    "name", ["client-specific/client-a/new.txt", "../new.txt", "rates/../../new.txt", "rates", ".new"]
)
def test_nothing_is_written_outside(shared: Folder, name: str) -> None:
    with pytest.raises(NotADocument):
        shared.write(name, b"new")


def test_the_clients_folder_is_left_out_by_whatever_path_it_is_known(tmp_path: Path, shared: Folder) -> None:
    (tmp_path / "link").symlink_to(shared.root)
    for folder in (
        Folder(tmp_path / "link", without=shared.root / "client-specific", linked=True),
        Folder(shared.root, without=tmp_path / "link" / "client-specific"),
    ):
        assert names(folder) == ["policy.txt", "rates/emea.txt"]
        with pytest.raises(NotADocument):
            folder.read("client-specific/client-a/own.txt", 100)


def test_links_are_not_followed(tmp_path: Path, shared: Folder) -> None:
    (shared.root / "file-link.txt").symlink_to(tmp_path / "outside.txt")
    (shared.root / "folder-link").symlink_to(shared.root / "client-specific")

    assert names(shared) == ["policy.txt", "rates/emea.txt"]
    for name in ("file-link.txt", "folder-link/client-a/own.txt"):
        with pytest.raises(NotADocument):
            shared.read(name, 100)
        with pytest.raises(NotADocument):
            shared.delete(name)
        with pytest.raises(NotADocument):
            shared.write(name, b"new")
    assert (tmp_path / "outside.txt").read_text() == "outside"


def test_a_clients_folder_that_is_a_link_is_not_there(tmp_path: Path, shared: Folder) -> None:
    (tmp_path / "client-c").symlink_to(shared.root / "client-specific" / "client-b")

    assert Folder(tmp_path / "client-c").files() == []
    with pytest.raises(NotADocument):
        Folder(tmp_path / "client-c").read("own.txt", 100)


def test_special_hidden_and_temporary_files_are_no_documents(shared: Folder) -> None:
    os.mkfifo(shared.root / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(shared.root / "s.txt"))
    for name in (".hidden.txt", "~$open.docx", "half.pdf.part", "old.txt~", "x.tmp"):
        (shared.root / name).write_text("x")

    assert names(shared) == ["policy.txt", "rates/emea.txt"]
    for name in ("pipe.txt", "s.txt", ".hidden.txt", "~$open.docx"):
        with pytest.raises(NotADocument):
            shared.read(name, 100)


def test_a_written_document_replaces_the_old_one_whole(shared: Folder) -> None:
    shared.write("rates/emea.txt", b"new")
    shared.write("more/deep/new.txt", b"newer")

    assert names(shared) == ["more/deep/new.txt", "policy.txt", "rates/emea.txt"]
    assert shared.read("rates/emea.txt", 100)[0] == b"new"


def test_a_deleted_document_is_gone(shared: Folder) -> None:
    shared.delete("rates/emea.txt")

    assert names(shared) == ["policy.txt"]


def test_a_name_that_is_no_utf_8_is_listed_and_cannot_be_opened(shared: Folder) -> None:
    with open(os.fsencode(shared.root) + b"/bad-\xff.txt", "wb") as file:  # noqa: PTH123 - bytes
        file.write(b"x")

    assert "bad-\\xff.txt" in names(shared)
    with pytest.raises(NotADocument):
        shared.read("bad-\\xff.txt", 100)
