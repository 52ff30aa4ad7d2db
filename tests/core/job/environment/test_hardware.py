import os
import sys

import pytest

from core.job.environment import hardware
from core.job.environment.hardware import (
    APPLE,
    CPU,
    CUDA,
    expected_build,
    has_nvidia_driver,
    index_build,
    own_python,
    require_space,
    size_of,
    sizes_mb,
    torch_backend,
)
from core.job.environment.state import InstallOptions
from core.job.errors import WorkerError


@pytest.mark.parametrize(
    ("system", "card", "backend", "build", "default"),
    [
        ("linux", True, "auto", CUDA, CUDA),
        ("linux", False, "auto", CPU, CUDA),
        ("linux", False, "default", CUDA, CUDA),
        ("win32", True, "auto", CUDA, CPU),
        ("win32", True, "cpu", CPU, CPU),
        ("win32", False, "cu128", CUDA, CPU),
        ("win32", True, "default", CPU, CPU),
        ("darwin", False, "auto", APPLE, APPLE),
    ],
)
def test_the_build_that_is_expected(monkeypatch, system, card, backend, build, default):
    monkeypatch.setattr(hardware.sys, "platform", system)
    monkeypatch.setattr(hardware, "has_nvidia_driver", lambda: card)
    assert expected_build(InstallOptions(torch_backend=backend)) == build
    assert index_build() == default


def test_an_intel_adapter_does_not_bring_intel_s_build(monkeypatch):
    monkeypatch.setattr(hardware, "has_nvidia_driver", lambda: False)
    assert torch_backend(InstallOptions()) == "cpu"
    assert torch_backend(InstallOptions(torch_backend="xpu")) == "xpu"
    monkeypatch.setattr(hardware, "has_nvidia_driver", lambda: True)
    assert torch_backend(InstallOptions()) == "auto"


@pytest.mark.skipif(sys.platform == "win32", reason="the made-up nvidia-smi is a POSIX script")
@pytest.mark.parametrize(("status", "found"), [(0, True), (9, False)])
def test_a_driver_counts_when_it_answers(machine, status, found):
    assert not has_nvidia_driver()
    (machine / "nvidia-smi").write_text(f"#!/bin/sh\nexit {status}\n")
    (machine / "nvidia-smi").chmod(0o755)
    assert has_nvidia_driver() == found


def test_a_file_with_two_names_counts_once(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "a").write_bytes(bytes(1000))
    os.link(tmp_path / "cache" / "a", tmp_path / "b")
    (tmp_path / "c").write_bytes(bytes(10))
    assert size_of(tmp_path) == 1010
    assert size_of(tmp_path / "nowhere") == 0


def test_room_is_asked_for_in_megabytes(tmp_path):
    require_space(tmp_path, 0)
    with pytest.raises(WorkerError, match="1,000,000,000 MB are needed"):
        require_space(tmp_path, 1e9)


def test_an_offline_folder_is_as_large_as_its_packages(tmp_path):
    (tmp_path / "torch.whl").write_bytes(bytes(10_000_000))
    assert sizes_mb(InstallOptions(offline_folder=str(tmp_path)), CPU) == (0, 18)


def test_this_python_is_found_though_the_program_is_another(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware.sys, "executable", str(tmp_path / "qgis-bin.exe"))
    found = own_python()
    assert found is not None
    assert f"python3.{sys.version_info[1]}" in os.path.realpath(found)


def test_a_python_too_old_for_the_worker_is_not_offered(monkeypatch):
    monkeypatch.setattr(hardware.sys, "version_info", (3, 9, 18))
    assert own_python() is None
