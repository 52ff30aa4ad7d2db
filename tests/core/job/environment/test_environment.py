"""The environment from nothing to ready and back, against an index of the tests' own; uv is the real one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.job.environment import environment as environment_module
from core.job.environment import hardware
from core.job.environment.environment import Environment, default_folder
from core.job.environment.lock import exclusive
from core.job.environment.selftest import REQUIREMENTS, lists_of
from core.job.environment.state import BROKEN, INSTALLING, NOT_INSTALLED, OUTDATED, READY, InstallOptions
from core.job.errors import InvalidJob
from tests.core.job.environment.stand_ins import VERSIONS, import_all, never


def packages(state) -> list[str]:
    code = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))"
    return subprocess.run([state.python, "-I", "-c", code], capture_output=True, text=True).stdout.split()


def test_from_nothing_to_ready(environment, options, told, wheels):
    before = environment.state()
    assert (before.kind, before.python) == (NOT_INSTALLED, None)
    ready = environment.install(told, never, options)
    assert ready.kind == READY, ready.sentence
    assert environment.state() == ready
    assert ready.versions == {name: VERSIONS[name] for name in VERSIONS if name != "distributed"}  # that may be missing
    assert packages(ready) == sorted(VERSIONS)
    assert ready.size_bytes > sum(len(content) for content in wheels.values()) / 2
    steps = [text.partition(":")[0] for text in told.texts("progress")]
    assert list(dict.fromkeys(steps)) == [f"Step {n} of 5" for n in (1, 2, 3, 4, 5)]
    done = [event["done"] for event in told if event["event"] == "progress"]
    assert done == sorted(done)
    assert not (environment.folder / "cache").exists()


def test_spaces_and_letters_of_the_world_in_the_path(machine, options, told, tmp_path):
    environment = Environment(tmp_path / "Größe Ωμ 数据 of Ada" / "python", check=import_all)
    ready = environment.install(told, never, options)
    assert ready.kind == READY, ready.sentence
    assert environment.state() == ready


def test_nothing_is_written_or_asked_for_before_it_is_installed(environment, options, index):
    environment.state(), environment.plan(options), environment.diagnostics()
    assert not environment.folder.exists()
    assert index.asked == []


def test_the_plan_says_what_from_where_how_large_and_how_long(environment):
    sentence = environment.plan().sentence
    for part in (
        "torch",
        "pypi.org",
        "download.pytorch.org",
        "3 MB to download",
        "min at",
        "5 MB on disk",
        "processor",
    ):
        assert part in sentence
    with_user = InstallOptions("https://mirror/simple".replace("//", "//ada:lovelace@"))
    assert "lovelace" not in environment.plan(with_user).sentence


def test_the_plan_says_what_the_fallback_would_cost(environment, monkeypatch):
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    monkeypatch.setattr(hardware, "SIZES_MB", {hardware.CPU: (300, 1300), hardware.CUDA: (3100, 5800)})
    assert environment.plan().fallback_mb == 3100
    assert environment.plan(InstallOptions(torch_backend="cpu")).fallback_mb == 0
    monkeypatch.setenv("UV_CUDA_DRIVER_VERSION", "560.35")
    assert environment.plan().fallback_mb == 0


def test_installing_again_checks_what_is_there_and_asks_the_index_nothing(environment, options, told, index):
    first = environment.install(told, never, options)
    index.asked.clear()
    assert environment.install(told, never, options) == first
    assert index.asked == []


@pytest.mark.parametrize("gone", ["interpreter", "package", "base"])
def test_a_damaged_environment_is_broken_and_repaired(environment, options, told, gone):
    ready = environment.install(told, never, options)
    python = Path(ready.python)
    if gone == "interpreter":
        python.unlink()
    elif gone == "base":
        settings = python.parent.parent / "pyvenv.cfg"
        settings.write_text(settings.read_text().replace("home = ", "home = /nowhere"))
    else:
        shutil.rmtree(next(python.parent.parent.glob("lib/*/site-packages/torch")))
    state = environment.state()
    assert state.kind == BROKEN
    assert "Repair" in state.sentence
    repaired = environment.repair(told, never, options)
    assert repaired.kind == READY
    assert environment.state() == repaired
    environment.tidy()
    assert environment.state() == repaired
    assert not python.parent.parent.exists()


def test_an_older_environment_serves_until_the_new_one_is_ready(environment, options, told, tmp_path, index):
    old = environment.install(told, never, options)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(REQUIREMENTS.read_text().replace("numpy>=2.0", "numpy>=2.1"))
    newer = Environment(environment.folder, requirements, check=import_all)
    state = newer.state()
    assert (state.kind, state.python) == (OUTDATED, old.python)
    index.fault = "down"
    assert newer.install(told, never, options).kind == BROKEN
    failed = newer.state()
    assert (failed.kind, failed.python) == (OUTDATED, old.python)
    assert "Try again" in failed.sentence
    index.fault = None
    ready = newer.install(told, never, options)
    assert ready.kind == READY
    assert Path(old.python).exists()  # a worker may still run in it
    newer.tidy()
    assert not environment.home.exists()
    assert newer.state() == ready


def test_line_ends_do_not_change_where_an_environment_lies(tmp_path):
    for path in lists_of(REQUIREMENTS):
        (tmp_path / path.name).write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert Environment(tmp_path, tmp_path / REQUIREMENTS.name).home == Environment(tmp_path).home


def test_cancel_ends_uv_and_keeps_what_was_downloaded(environment, options, told, index):
    index.fault, index.held = "slow", "/torchvision-"
    cancelled = environment.install(told, index.reached.is_set, options)
    assert cancelled.kind == NOT_INSTALLED
    assert environment.state().kind == NOT_INSTALLED
    assert (environment.folder / "cache").exists()
    index.fault = None
    assert environment.install(told, never, options).kind == READY


def test_an_impossible_option_is_refused_before_anything(environment, told):
    with pytest.raises(InvalidJob, match="does not exist"):
        environment.install(told, never, InstallOptions(python="/nowhere/python"))
    assert not environment.folder.exists()


def test_a_ready_environment_needs_no_further_room(environment, options, told, monkeypatch):
    assert environment.install(told, never, options).kind == READY
    monkeypatch.setattr(environment_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 4_990_000}))
    assert environment.install(told, never, options).kind == READY


def test_too_little_room_is_said_before_anything_is_downloaded(environment, options, told, index, monkeypatch):
    monkeypatch.setattr(hardware, "SIZES_MB", dict.fromkeys(hardware.SIZES_MB, (1, 10**9)))
    state = environment.install(told, never, options)
    assert state.kind == BROKEN
    assert "1,000,000,000 MB are needed" in state.sentence
    assert index.asked == []


def test_a_full_disk_is_said_and_a_second_try_with_room_succeeds(machine, options, told, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        (folder / "ballast").write_bytes(bytes(5_900_000))
        environment = Environment(folder / "data", check=import_all)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(environment_module, "require_space", lambda *_: None)
            state = environment.install(told, never, options)
        assert state.kind == BROKEN
        assert "is full" in state.sentence
        (folder / "ballast").unlink()
        assert environment.install(told, never, options).kind == READY
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def test_a_long_path_on_windows_is_said_beforehand(environment, options, told, monkeypatch):
    monkeypatch.setattr(environment_module, "WINDOWS_PATH_LENGTH", 10)
    monkeypatch.setattr(environment_module.sys, "platform", "win32")
    state = environment.install(told, never, options)
    assert state.kind == BROKEN
    assert "too long" in state.sentence


def test_a_folder_that_cannot_be_made_is_said(machine, options, told, tmp_path):
    (tmp_path / "file").touch()
    state = Environment(tmp_path / "file" / "data", check=import_all).install(told, never, options)
    assert state.kind == BROKEN


def test_while_another_qgis_installs_the_second_one_waits(environment, options, told):
    with exclusive(environment.folder / "lock"):
        (environment.folder / "lock").write_text("4711")
        state = environment.install(told, never, options)
        assert state.kind == INSTALLING
        assert "another QGIS (process 4711)" in state.sentence
        assert environment.state() == state
        assert environment.repair(told, never, options) == state
    assert environment.state().kind == NOT_INSTALLED
    assert environment.install(told, never, options).kind == READY


def test_diagnostics_tell_all_but_the_secrets(environment, options, told, monkeypatch, index):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128".replace("//", "//ada:lovelace@"))
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "pypi-secret")
    index.fault = "hash"
    with_user = InstallOptions(
        index.url.replace("//", "//ada:babbage@"), python=sys.executable, torch_backend="default"
    )
    environment.install(told, never, with_user)
    text = environment.diagnostics()
    for part in ("broken", "Hash mismatch", "$ uv pip install", "HTTPS_PROXY", "uv 0."):
        assert part in text
    log = environment.log.path.read_text()
    for secret in ("lovelace", "pypi-secret", "babbage"):
        assert secret not in text + log + environment.state().sentence


def test_a_state_file_that_is_damaged_counts_as_none(environment):
    environment.home.mkdir(parents=True)
    for text in ("", "{", "[]", json.dumps({"kind": "ready"})):
        (environment.home / "state.json").write_text(text)
        assert environment.state().kind == NOT_INSTALLED


@pytest.mark.parametrize(
    ("platform", "variable", "tail"),
    [
        ("win32", "LOCALAPPDATA", "local/tilehawk/python"),
        ("linux", "XDG_DATA_HOME", "local/tilehawk/python"),
        ("darwin", "IGNORED", "Library/Application Support/tilehawk/python"),
    ],
)
def test_it_lies_in_the_user_s_data(platform, variable, tail, monkeypatch, tmp_path):
    monkeypatch.setattr(environment_module.sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path / "local"))
    assert default_folder().as_posix().endswith(tail)
