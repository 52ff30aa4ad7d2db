"""The self-test: the real one in this Python, and made-up Pythons that fail it as real ones do."""

import re
import sys
from pathlib import Path

import pytest

from core.job.environment import selftest as selftest_module
from core.job.environment.selftest import MARK, REQUIREMENTS, check_python, lists_of, read_requirements
from core.job.environment.state import BROKEN, READY
from core.job.errors import Cancelled
from tests.core.job.environment.stand_ins import never

ROOT = Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the made-up Pythons are POSIX scripts")


@pytest.fixture
def made_up(tmp_path):
    def make(body: str) -> str:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        return str(script)

    return make


def answer(device="a processor", cuda="false", warnings="[]", torch="2.15.0") -> str:
    versions = f'{{"python": "3.12.4", "numpy": "2.4.0", "torch": "{torch}"}}'
    return f"""echo '{MARK}{{"device": "{device}", "cuda": {cuda}, "versions": {versions}, "warnings": {warnings}}}'"""


@pytest.fixture
def two_packages(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("numpy>=2.0,<3\ntorch>=2.6,<3\n")
    return path


def test_this_python_can_and_rubbish_in_qgis_s_variables_does_not_reach_it(monkeypatch, tmp_path):
    rubbish = ("PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH", "LD_LIBRARY_PATH")
    for name in rubbish:
        monkeypatch.setenv(name, str(tmp_path / "rubbish"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    state = check_python(sys.executable)
    assert state.kind == READY, state.sentence
    assert state.python == sys.executable
    assert state.device
    assert set(state.versions) == {"python", *read_requirements(REQUIREMENTS)}
    assert f"PyTorch {state.versions['torch']}" in state.sentence


def test_a_python_without_the_packages_is_broken(tmp_path):
    bare = f"{sys.base_prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("tilehawk_is_no_package>=1,<2\n")
    state = check_python(bare, requirements=requirements)
    assert state.kind == BROKEN
    assert "No module named 'tilehawk_is_no_package'" in state.sentence
    assert "Repair" in state.sentence


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('echo "OSError: [WinError 126] … torch\\lib\\c10.dll" >&2; exit 1', "Visual C\\+\\+ runtime"),
        ("kill -9 $$", "memory ran out"),
        ("kill -4 $$", "processor is too old"),
        ("echo 'This is Python 3.9.18; Tilehawk'\"'\"'s worker needs 3.10 to 3.13.'; exit 1", "This is Python 3.9.18"),
        ("exit 0", "It ended with: exit code 0"),
    ],
)
def test_a_python_that_fails_says_why(made_up, two_packages, body, sentence):
    state = check_python(made_up(body), requirements=two_packages)
    assert state.kind == BROKEN
    assert re.search(sentence, state.sentence)


@pytest.mark.parametrize("python", ["/nowhere/python", "/"])
def test_no_python_at_all_is_said(python):
    state = check_python(python)
    assert state.kind == BROKEN
    assert python in state.sentence


def test_versions_out_of_bounds_are_said(made_up, two_packages):
    state = check_python(made_up(answer(torch="2.5.1+cu121")), requirements=two_packages)
    assert state.kind == BROKEN
    assert "has torch 2.5.1+cu121; Tilehawk needs numpy>=2.0,<3, torch>=2.6,<3" in state.sentence
    assert check_python(made_up(answer(torch="2.6.0a1+cu121")), requirements=two_packages).kind == READY


def test_an_idle_graphics_card_is_spoken_of(made_up, two_packages, monkeypatch):
    monkeypatch.setattr(selftest_module, "has_nvidia_driver", lambda: True)
    assert "card is not used" in check_python(made_up(answer()), requirements=two_packages).sentence
    used = check_python(made_up(answer("H200", "true")), requirements=two_packages)
    assert "not used" not in used.sentence
    assert used.device == "H200"
    old = answer(warnings='["CUDA initialization: The NVIDIA driver on your system is too old (found 11040)."]')
    assert "Update the driver" in check_python(made_up(old), requirements=two_packages).sentence


def test_it_can_be_cancelled_and_does_not_wait_for_ever(made_up, two_packages, monkeypatch):
    with pytest.raises(Cancelled):
        check_python(made_up("sleep 60"), lambda: True, requirements=two_packages)
    monkeypatch.setattr(selftest_module, "SECONDS", 0)
    state = check_python(made_up("sleep 60"), never, requirements=two_packages)
    assert "did not answer" in state.sentence


def test_the_requirements_are_those_of_the_project_and_all_bounded():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    requirements, optional = lists_of(REQUIREMENTS)
    extra = re.search(r'^cluster = \["(.*?)"\]', text, re.MULTILINE).group(1)
    assert optional.read_text("utf-8").splitlines() == [extra]
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL).group(1)
    dependencies = re.findall(r'"(.*?)"', listed)
    assert REQUIREMENTS.read_text("utf-8").splitlines() == dependencies
    for bounds in [*read_requirements(requirements).values(), *read_requirements(optional).values()]:
        assert re.fullmatch(r">=\d[\d.]*,<\d[\d.]*", bounds)
