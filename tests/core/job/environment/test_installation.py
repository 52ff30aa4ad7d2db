"""Installations that go wrong or are cut off: each ends in the right state and sentence, and a second try succeeds."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.job.environment import installation as installation_module
from core.job.environment import uv as uv_module
from core.job.environment.environment import Environment
from core.job.environment.progress import STEPS
from core.job.environment.state import BROKEN, INSTALLING, NOT_INSTALLED, READY, InstallOptions
from core.job.environment.uv import VERSION, WHEELS, Uv, platform_tag, wheel_for
from tests.core.job.environment.stand_ins import NEEDS, PYTORCH, make_wheel, never

ROOT = Path(__file__).resolve().parents[4]
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def serve_badly(fault):
    def arrange(index, options, monkeypatch):
        index.fault = fault
        return options

    return arrange


def no_such_host(index, options, monkeypatch):
    return replace(options, index_url="http://nowhere.invalid/simple")


def closed_port(index, options, monkeypatch):
    return replace(options, index_url="http://127.0.0.1:9/simple")


@pytest.mark.parametrize(
    ("arrange", "sentence"),
    [
        (no_such_host, "'nowhere.invalid' cannot be found. Check the network connection"),
        (closed_port, "'127.0.0.1' does not answer; a firewall may block it"),
        (serve_badly("refused"), "Access to '127.0.0.1' is refused"),
        (serve_badly("missing"), "'127.0.0.1' does not have a package that is needed"),
        (serve_badly("down"), "'127.0.0.1' is out of order"),
        (serve_badly("hash"), "is not what its index promises"),
        (serve_badly("cut"), "arrived incomplete"),
    ],
    ids=["unreachable", "closed", "403", "404", "500", "wrong hash", "truncated"],
)
def test_a_fault_of_the_network_is_said_and_a_second_try_succeeds(
    environment, options, told, index, monkeypatch, arrange, sentence
):
    state = environment.install(told, never, arrange(index, options, monkeypatch))
    assert state.kind == BROKEN
    assert sentence in state.sentence
    assert environment.state() == state
    index.fault = None
    assert environment.install(told, never, options).kind == READY


def test_a_proxy_that_asks_for_a_user_gets_it(environment, options, told, make_proxy):
    proxy = make_proxy(wants_user=True)
    state = environment.install(told, never, replace(options, proxy=proxy.url))
    assert state.kind == BROKEN
    assert "proxy asks for a user and a password (407)" in state.sentence
    known = replace(options, proxy=proxy.url.replace("//", "//ada:lovelace-1815@"))
    assert environment.install(told, never, known).kind == READY
    assert "lovelace-1815" not in environment.log.path.read_text()


def test_a_certificate_nobody_knows_is_said_and_accepted_when_known(
    environment, options, told, index, certificates, monkeypatch
):
    authority, leaf = certificates
    index.use_tls(leaf)
    encrypted = replace(options, index_url=index.url)
    state = environment.install(told, never, encrypted)
    assert state.kind == BROKEN
    assert "certificate of '127.0.0.1' is not trusted" in state.sentence
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert environment.install(told, never, encrypted).kind == READY


def test_certificates_that_qgis_brings_do_not_hide_the_system_s(machine, tmp_path, told, options):
    asked = tmp_path / "asked"
    (machine / "uv").unlink()
    (machine / "uv").write_text(
        f"#!/bin/sh\n[ $1 = --version ] && echo uv 0.99.0 && exit\n"
        f'echo "${{SSL_CERT_FILE-none}} $UV_SYSTEM_CERTS" >> {asked}\n'
        "echo 'invalid peer certificate: UnknownIssuer'; exit 2\n"
    )
    (machine / "uv").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", "/qgis/certificates.pem")
        assert Environment(tmp_path / "data").install(told, never, options).kind == BROKEN
    assert asked.read_text().splitlines() == ["/qgis/certificates.pem 1", "none 1", "none 0"]


# --- cut off

KILLED = """
import os, signal, sys
from pathlib import Path
from core.job.environment import hardware
from core.job.environment.environment import Environment
from core.job.environment.state import InstallOptions
from tests.core.job.environment.stand_ins import import_all

folder, index_url, step, reached = sys.argv[1:]
at = []
hardware.SIZES_MB = dict.fromkeys(hardware.SIZES_MB, (3, 5))

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def report(event):
    at.append(event["text"])

def cancelled():
    if f"Step {step} of" in at[-1] and (reached == "-" or Path(reached).exists()):
        die()
    return False

options = InstallOptions(index_url=index_url, python=sys.executable, torch_backend="default")
check = die if step == "5" else import_all
print(Environment(Path(folder), check=check).install(report, cancelled, options))
"""


def start(code: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)


@pytest.mark.parametrize(("step", "held"), [(2, ""), (3, "/torchvision-"), (4, "/rasterio-"), (5, "")])
def test_killed_in_a_step_it_goes_on_from_there(environment, options, told, index, tmp_path, step, held):
    flag = tmp_path / "reached"
    if held:
        index.fault, index.held = "slow", held
    process = start(KILLED, environment.folder, index.url, step, flag if held else "-")
    if held:
        assert index.reached.wait(120)
        flag.touch()
    assert process.wait(120) == -signal.SIGKILL
    assert environment.state().kind == NOT_INSTALLED
    index.fault = None
    index.asked.clear()
    ready = environment.install(told, never, options)
    assert ready.kind == READY, ready.sentence
    if step == 5:
        assert index.asked == []
    if step == 4:
        assert not [path for path in index.asked if "/torch-" in path]


@pytest.fixture
def fetched_uv(index, machine, uv_program, monkeypatch):
    """No uv on the PATH: its wheel lies on the index, with a program in it that leads to the real one."""
    (machine / "uv").unlink()
    name = wheel_for(platform_tag())[0].rpartition("/")[2]
    program = f'#!/bin/sh\nexec "{uv_program}" "$@"\n'.encode()
    content = make_wheel("uv", VERSION, more={f"uv-{VERSION}.data/scripts/uv": program})
    index.files[f"/files/simple/{name}"] = content
    index.pages["/simple/uv/"] = [f"/files/simple/{name}"]
    known = {tag: (f"{index.origin}/{name}", hashlib.sha256(content).hexdigest()) for tag in WHEELS}
    monkeypatch.setattr(uv_module, "WHEELS", known)


def test_killed_while_uv_is_fetched_it_begins_again(environment, options, told, index, fetched_uv):
    index.fault, index.held = "slow", "/uv-"
    process = start(KILLED, environment.folder, index.url, 0, "-")
    assert index.reached.wait(120)
    process.kill()
    process.wait(120)
    assert environment.state().kind == NOT_INSTALLED
    half = environment.folder / f"uv-{VERSION}" / "uv.4711.part"  # what a kill in the midst of it leaves
    half.write_bytes(b"half")
    index.fault = None
    state = environment.install(told, never, options)
    assert state.kind == READY, state.sentence
    assert [path.name for path in half.parent.iterdir()] == ["uv"]


def test_an_installation_that_failed_half_way_is_not_gone_on_with(environment, options, told, machine, tmp_path):
    """uv leaves a package's dist-info behind when the disk fills while files are put in place, and then trusts it."""
    real = (machine / "uv").readlink()
    (machine / "uv").unlink()
    (machine / "uv").write_text(
        f'#!/bin/sh\n"{real}" "$@" || exit\ncase "$*" in *" install "*) ;; *) exit 0; esac\n'
        f"[ -e {tmp_path}/full ] && exit 0\n: > {tmp_path}/full\n"
        "/bin/rm ${5%/bin/python}/lib/*/site-packages/torch/__init__.py\n"
        "echo 'error: Failed to install: torch-2.15.0.whl'; echo '  cause: No space left (os error 28)'; exit 2\n"
    )
    (machine / "uv").chmod(0o755)
    state = environment.install(told, never, options)
    assert (state.kind, "is full" in state.sentence) == (BROKEN, True)
    assert environment.install(told, never, options).kind == READY


def test_a_package_half_installed_is_never_trusted(environment, options, told):
    ready = environment.install(told, never, options)
    packages = next(Path(ready.python).parent.parent.glob("lib/*/site-packages"))
    (packages / "rasterio" / "__init__.py").unlink()  # a kill between two files leaves this
    steps = json.loads((environment.home / "steps.json").read_text())
    steps.update(done=["python", "torch"], doing="libraries")
    (environment.home / "steps.json").write_text(json.dumps(steps))
    assert environment.install(told, never, options).kind == READY


def test_other_options_begin_anew(environment, options, told, monkeypatch):
    first = environment.install(told, never, options)
    second = environment.install(told, never, replace(options, python=os.path.realpath(sys.executable)))
    assert second.kind == READY
    assert second.python != first.python


def test_two_at_once_make_one_environment(environment, options, told, index, tmp_path):
    index.fault, index.held = "slow", "/torch-"
    process = start(KILLED, environment.folder, index.url, 0, "-")
    assert index.reached.wait(120)
    second = environment.install(told, never, options)
    assert second.kind == INSTALLING
    assert f"another QGIS (process {process.pid})" in second.sentence
    index.go.set()
    assert b"kind='ready'" in process.communicate(timeout=120)[0]
    assert environment.state().kind == READY
    assert environment.install(told, never, options).kind == READY


# --- which PyTorch


@pytest.fixture
def pytorch(index, make_proxy, certificates, monkeypatch):
    """PyTorch's index behind TLS, by way of a proxy; a newer torch lies on the package index to lure."""
    authority, leaf = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for build in ("cpu", "cu126"):
        for name, version in (("torch", "2.15.0"), ("torchvision", "0.29.0")):
            local = f"{version}+{build}"
            needs = tuple(need for need in NEEDS.get(name, ()) if "torch" not in need)
            index.offer(name, local, make_wheel(name, local, needs), f"/whl/{build}")
    newer = make_wheel("torch", "2.16.0"), make_wheel("torchvision", "0.30.0", ("torch==2.16.0", "numpy"))
    index.offer("torch", "2.16.0", newer[0])
    index.offer("torchvision", "0.30.0", newer[1])
    return make_proxy(leaf)


@pytest.mark.parametrize(
    ("backend", "driver", "version"),
    [("auto", "", "2.15.0+cpu"), ("auto", "560.35", "2.15.0+cu126"), ("cpu", "560.35", "2.15.0+cpu")],
    ids=["no card", "a card", "cpu asked for"],
)
def test_the_build_for_the_hardware_is_taken_and_held(
    environment, options, told, pytorch, monkeypatch, backend, driver, version
):
    if driver:
        monkeypatch.setenv("UV_CUDA_DRIVER_VERSION", driver)
    state = environment.install(told, never, replace(options, proxy=pytorch.url, torch_backend=backend))
    assert state.kind == READY, state.sentence
    assert (state.versions["torch"], state.versions["torchvision"]) == (version, version.replace("2.15", "0.29"))
    assert told.texts("notice") == []


def test_where_pytorch_s_index_is_out_of_reach_the_default_serves_and_it_is_said(environment, options, told, pytorch):
    pytorch.open_hosts.clear()
    chosen = replace(options, proxy=pytorch.url, torch_backend="auto")
    state = environment.install(told, never, chosen)
    assert state.kind == READY
    assert state.versions["torch"] == "2.16.0"
    assert len(told.texts("notice")) == 1
    assert "download.pytorch.org" in told.texts("notice")[0]


def test_a_build_asked_for_is_never_exchanged(environment, options, told, pytorch):
    pytorch.open_hosts.clear()
    chosen = replace(options, proxy=pytorch.url, torch_backend="cu126")
    state = environment.install(told, never, chosen)
    assert state.kind == BROKEN
    assert f"Access to '{PYTORCH}' is refused" in state.sentence
    pytorch.open_hosts.add(PYTORCH)
    assert environment.install(told, never, chosen).versions["torch"] == "2.15.0+cu126"


# --- which Python


@pytest.fixture
def managed(index, monkeypatch, tmp_path):
    """A stand-in for uv's managed Python: an archive whose interpreter leads to this one."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        script = f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" "$@"\n'
        built = "# system configuration generated and used by the sysconfig module\nbuild_time_vars = {}\n"
        for name, text, mode in (
            ("bin/python3", script, 0o755),
            (f"bin/python{HERE}", script, 0o755),
            (f"lib/python{HERE}/_sysconfigdata__linux_{os.uname().machine}-linux-gnu.py", built, 0o644),
        ):
            entry = tarfile.TarInfo(f"python/{name}")
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    index.files["/python.tar.gz"] = packed.getvalue()
    machine, libc = os.uname().machine, "gnu"
    build = {"name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux", "libc": libc}
    build |= {"major": 3, "minor": sys.version_info[1], "patch": sys.version_info[2], "prerelease": ""}
    build |= {"url": f"{index.origin}/python.tar.gz", "sha256": None, "variant": None, "build": "1"}
    (tmp_path / "pythons.json").write_text(json.dumps({f"cpython-{HERE}.{build['patch']}-linux-{machine}-gnu": build}))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", str(tmp_path / "pythons.json"))
    monkeypatch.setattr(installation_module, "MANAGED", HERE)


def attempts(environment) -> list[str]:
    return [line for line in environment.log.path.read_text().splitlines() if line.startswith("$ uv venv")]


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for uv's Python is made for Linux")
def test_uv_s_own_python_comes_first(environment, options, told, managed, machine, index):
    (machine / "python3").symlink_to(sys.executable)
    state = environment.install(told, never, replace(options, python=None))
    assert state.kind == READY, state.sentence
    assert len(attempts(environment)) == 1
    assert "/python.tar.gz" in index.asked
    assert list((environment.folder / "python").glob("cpython-*"))


def test_then_the_system_s(environment, options, told, managed, machine, index):
    del index.files["/python.tar.gz"]
    (machine / "python3").symlink_to(sys.executable)
    assert environment.install(told, never, replace(options, python=None)).kind == READY
    assert len(attempts(environment)) == 2


def test_then_qgis_s_own(environment, options, told, managed, index, monkeypatch):
    del index.files["/python.tar.gz"]
    assert environment.install(told, never, replace(options, python=None)).kind == READY
    assert len(attempts(environment)) == 3


def test_without_any_python_it_says_what_to_install(environment, options, told, managed, index, monkeypatch):
    del index.files["/python.tar.gz"]
    monkeypatch.setattr(installation_module, "own_python", lambda: None)
    state = environment.install(told, never, replace(options, python=None))
    assert state.kind == BROKEN
    assert "Install Python 3.12" in state.sentence


# --- without a network


def test_an_offline_folder_is_all_it_needs(environment, told, index, tmp_path, machine):
    folder = tmp_path / "wheels"
    folder.mkdir()
    for path, content in index.files.items():
        (folder / path.rpartition("/")[2]).write_bytes(content)
    (machine / "python3").symlink_to(sys.executable)
    state = environment.install(told, never, InstallOptions(offline_folder=str(folder)))
    assert state.kind == READY, state.sentence
    assert index.asked == []


def test_an_offline_folder_that_lacks_a_package_is_said(environment, told, index, tmp_path):
    folder = tmp_path / "wheels"
    folder.mkdir()
    path, content = next(iter(index.files.items()))
    (folder / path.rpartition("/")[2]).write_bytes(content)
    state = environment.install(told, never, InstallOptions(offline_folder=str(folder), python=sys.executable))
    assert state.kind == BROKEN
    assert "does not have a package that is needed" in state.sentence


def test_the_offline_folder_decides_on_the_python(tmp_path, environment):
    (tmp_path / "torch-2.15.0-cp312-cp312-win_amd64.whl").touch()
    uv = Uv("uv", environment.folder, InstallOptions(offline_folder=str(tmp_path)), environment.log)
    installation = installation_module.Installation(environment.home, environment.requirements, uv, None, print, never)
    assert next(installation._pythons())[-1] == "3.12"


def test_the_steps_are_those_that_are_told():
    assert list(STEPS) == ["uv", "python", "torch", "libraries", "check"]
    assert sum(share for share, _ in STEPS.values()) == pytest.approx(1)
