"""The command line of the environment."""

import sys

import pytest

from core.job.environment.__main__ import main


@pytest.fixture
def run(tmp_path, machine, capsys):
    def run(*arguments: str) -> tuple[int, str]:
        status = main(["--folder", str(tmp_path / "data"), *arguments])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_state_plan_and_diagnostics_say_what_is(run):
    assert run("state") == (1, "not_installed: Tilehawk's Python environment is not installed.\n")
    status, text = run("plan")
    assert status == 0
    assert "torchvision" in text
    assert run("diagnostics")[1].startswith("system: ")


def test_install_ends_in_a_state(run, index):
    index.fault = "down"
    status, text = run("--index-url", index.url, "--build-on", sys.executable, "--torch-backend", "default", "install")
    assert status == 1
    assert "Step 3 of 5" in text
    assert "broken: '127.0.0.1' is out of order" in text


def test_a_python_that_cannot_is_said(run):
    status, text = run("check", "/nowhere/python")
    assert status == 1
    assert "cannot run Tilehawk" in text


def test_an_impossible_option_is_said(run):
    assert run("--proxy", "nonsense", "install") == (
        1,
        "The address of the proxy must begin with http:// or https://.\n",
    )
