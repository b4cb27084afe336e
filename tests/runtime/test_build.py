"""Kernels are built once, kept in the cache, and never loaded unless they are what was built."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from attndsl.diagnostics import AttnBackendError, AttnFileError
from attndsl.runtime import build, compiler
from attndsl.runtime.build import load_kernel
from tests.runtime.attention_cases import needs_compiler

pytestmark = needs_compiler

SOURCE = 'extern "C" int answer(const void*) { return 42; }\n'


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTNDSL_DUMP_DIR", raising=False)
    return tmp_path / "cache"


def count_builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    built: list[Path] = []
    original = compiler.Compiler.compile

    def counting(self: compiler.Compiler, source: Path, library: Path) -> None:
        built.append(library)
        original(self, source, library)

    monkeypatch.setattr(compiler.Compiler, "compile", counting)
    return built


def libraries(cache: Path) -> list[Path]:
    return list(cache.rglob("kernel.so"))


def test_a_kernel_is_built_once(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    built = count_builds(monkeypatch)
    assert load_kernel(SOURCE, "a", "answer")(0) == 42
    assert load_kernel(SOURCE, "a", "answer")(0) == 42
    assert len(built) == 1
    assert (libraries(cache)[0].parent / "kernel.cpp").read_text() == SOURCE


def test_other_sources_flags_and_versions_are_other_kernels(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    load_kernel(SOURCE, "a", "answer")
    load_kernel(SOURCE.replace("42", "43"), "a", "answer")
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-g"))
    load_kernel(SOURCE, "a", "answer")
    monkeypatch.setattr(build, "__version__", "other")
    load_kernel(SOURCE, "a", "answer")
    assert len(libraries(cache)) == 4


def test_comments_do_not_make_another_kernel(cache: Path) -> None:
    load_kernel("// of 4096 tokens\n" + SOURCE, "a", "answer")
    load_kernel("// of 512 tokens\n" + SOURCE, "b", "answer")
    assert len(libraries(cache)) == 1


@pytest.mark.parametrize("damage", ["truncated", "foreign", "no hash", "empty hash"])
def test_a_damaged_entry_is_built_anew(monkeypatch: pytest.MonkeyPatch, cache: Path, damage: str) -> None:
    load_kernel(SOURCE, "a", "answer")
    (library,) = libraries(cache)
    digest = library.with_suffix(".sha256")
    good = library.read_bytes()
    library.unlink()  # the running process has it mapped
    library.write_bytes({"truncated": good[: len(good) // 2], "foreign": b"something else"}.get(damage, good))
    if damage == "no hash":
        digest.unlink()
    if damage == "empty hash":
        digest.write_bytes(b"")
    built = count_builds(monkeypatch)
    assert load_kernel(SOURCE, "a", "answer")(0) == 42
    assert len(built) == 1
    assert digest.read_text() == build._digest(library)


def _load_and_call(_: int) -> int:
    return load_kernel(SOURCE, "a", "answer")(0)


def test_many_processes_may_start_at_once(cache: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(_load_and_call, range(8)) == [42] * 8
    assert len(libraries(cache)) == 1
    assert not list(cache.rglob("tmp*"))


def test_sources_can_be_dumped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATTNDSL_DUMP_DIR", str(tmp_path / "dump"))
    load_kernel(SOURCE, "pattern_w3", "answer")
    assert (tmp_path / "dump" / "pattern_w3.cpp").read_text() == SOURCE


def test_no_compiler_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(AttnBackendError, match="no-such-compiler") as caught:
        load_kernel(SOURCE, "a", "answer")
    assert caught.value.code == "A0702"
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AttnBackendError, match="no C\\+\\+ compiler"):
        load_kernel(SOURCE, "a", "answer")


def test_a_compiler_that_fails_is_quoted() -> None:
    with pytest.raises(AttnBackendError, match="nonsense") as caught:
        load_kernel("nonsense", "a", "answer")
    assert caught.value.code == "A0703"


def test_cxx_may_carry_options(monkeypatch: pytest.MonkeyPatch) -> None:
    path = compiler.find_compiler().command[0]
    monkeypatch.setenv("CXX", f"{path} -DANSWER=7")
    assert load_kernel(SOURCE.replace("42", "ANSWER"), "a", "answer")(0) == 7


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(folder / "cache"))
    with pytest.raises(AttnFileError):
        load_kernel(SOURCE, "a", "answer")


def test_a_cache_folder_that_is_a_file_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(AttnFileError) as caught:
        load_kernel(SOURCE, "a", "answer")
    assert caught.value.code == "A0806"
