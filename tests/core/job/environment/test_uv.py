"""Finding uv: on the PATH, in a folder, or a wheel fetched and checked; here a made-up one."""

import hashlib
import sys

import pytest

from core.job.environment import uv as uv_module
from core.job.environment.downloads import fetch_url
from core.job.environment.log import Log
from core.job.environment.remedies import InstallError
from core.job.environment.state import InstallOptions
from core.job.environment.uv import VERSION, WHEELS, Uv, find_uv, platform_tag, wheel_for
from core.job.errors import Cancelled, WorkerError
from tests.core.job.environment.stand_ins import make_wheel, never

PROGRAM = f"uv-{VERSION}.data/scripts/uv"
TAG = "made_up"
NAME = f"uv-{VERSION}-py3-none-{TAG}.whl"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the made-up uv is a POSIX script")


def said(version: str) -> bytes:
    return f"#!/bin/sh\necho uv {version}\n".encode()


@pytest.fixture
def wheel(index, monkeypatch):
    """uv's wheel on the index, and its hash where the pinned ones are."""
    content = make_wheel("uv", VERSION, more={PROGRAM: said(VERSION)})
    index.offer("uv", "0.1.0", content)
    index.offer("uv", VERSION, content, tag=f"py3-none-{TAG}")
    monkeypatch.setitem(WHEELS, TAG, (f"{index.origin}/packages/{NAME}", hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(uv_module, "platform_tag", lambda: TAG)
    index.files[f"/packages/{NAME}"] = content
    monkeypatch.setenv("PATH", "")
    return content


def find(folder, options=InstallOptions(), progressed=lambda done, total: None) -> Uv:  # noqa: B008
    folder.mkdir(exist_ok=True)
    return find_uv(folder, options, fetch_url, progressed, Log())


def test_it_is_fetched_unpacked_and_kept(wheel, tmp_path, index):
    uv = find(tmp_path / "data")
    assert uv.run(["anything"], never) == f"uv {VERSION}"
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == ["uv"]
    index.asked.clear()
    assert find(tmp_path / "data").path == uv.path
    assert index.asked == []


def test_a_mirror_gives_it_too(wheel, tmp_path, index):
    assert find(tmp_path / "data", InstallOptions(index_url=index.url)).path
    assert index.asked == ["/simple/uv/", f"/files/simple/{NAME}"]


def test_an_offline_folder_gives_it_too(wheel, tmp_path, index):
    (tmp_path / NAME).write_bytes(wheel)
    assert find(tmp_path / "data", InstallOptions(offline_folder=str(tmp_path))).path
    assert index.asked == []


@pytest.mark.parametrize(
    ("fault", "cause"), [("cut", "wrong hash"), ("missing", "missing"), ("refused", "blocked"), ("down", "server")]
)
def test_a_fault_is_said_leaves_nothing_and_a_second_try_succeeds(wheel, tmp_path, index, fault, cause):
    index.fault = fault
    for options in (InstallOptions(), InstallOptions(index_url=index.url)):
        with pytest.raises(InstallError) as problem:
            find(tmp_path / "data", options)
        assert problem.value.cause == cause
        assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    index.fault = None
    assert find(tmp_path / "data").path


def test_another_file_than_the_pinned_one_is_never_run(wheel, tmp_path, index):
    index.files[f"/packages/{NAME}"] = make_wheel("uv", VERSION, more={PROGRAM: said("evil")})
    with pytest.raises(InstallError, match="not what its index promises"):
        find(tmp_path / "data")


def test_a_mirror_without_it_says_so(wheel, tmp_path, index):
    index.pages["/simple/uv/"] = []
    with pytest.raises(InstallError, match="does not have a package"):
        find(tmp_path / "data", InstallOptions(index_url=index.url))


def test_fetching_can_be_cancelled(wheel, tmp_path):
    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        find(tmp_path / "data", progressed=cancel)


@pytest.mark.parametrize(("version", "taken"), [("0.99.1", True), ("1.0.0", True), ("0.4.2", False), ("junk", False)])
def test_the_one_on_the_path_is_taken_if_recent_enough(wheel, tmp_path, monkeypatch, version, taken):
    program = tmp_path / "uv"
    program.write_bytes(said(version))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (find(tmp_path / "data").path == str(program)) == taken


def test_the_user_s_settings_reach_uv_but_not_what_would_lead_it_astray(tmp_path, monkeypatch):
    for name in ("VIRTUAL_ENV", "UV_PYTHON", "UV_CONSTRAINT", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.setenv(name, "astray")
    for name in ("UV_INDEX_URL", "UV_KEYRING_PROVIDER", "UV_HTTP_TIMEOUT", "no_proxy"):
        monkeypatch.setenv(name, "kept")
    monkeypatch.setenv("https_proxy", "http://old")
    plain = Uv("uv", tmp_path, InstallOptions(), Log()).environment()
    assert "astray" not in plain.values()
    assert list(plain.values()).count("kept") == 4
    assert plain["https_proxy"] == "http://old"
    given = InstallOptions("https://mirror/simple", None, "http://proxy:1")
    chosen = Uv("uv", tmp_path, given, Log()).environment()
    assert (chosen["UV_DEFAULT_INDEX"], chosen["HTTPS_PROXY"]) == ("https://mirror/simple", "http://proxy:1")
    assert "https_proxy" not in chosen


def test_passwords_are_not_on_the_command_line(wheel, tmp_path):
    given = InstallOptions("https://ada:lovelace@mirror/simple", None, "http://ada:lovelace@proxy:1")
    uv = find(tmp_path / "data")
    script = "#!/bin/sh\necho $@; echo $UV_DEFAULT_INDEX\n"
    (tmp_path / "uv").write_text(script)
    (tmp_path / "uv").chmod(0o755)
    arguments, index_url = Uv(str(tmp_path / "uv"), uv.folder, given, Log()).run(["pip", "list"], never).splitlines()
    assert arguments == "pip list"
    assert index_url == given.index_url


@pytest.mark.parametrize(
    ("system", "machine", "libc", "tag"),
    [
        ("win32", "AMD64", "", "win_amd64"),
        ("win32", "ARM64", "", "win_amd64"),
        ("darwin", "arm64", "", "macosx_11_0_arm64"),
        ("darwin", "x86_64", "", "macosx_10_12_x86_64"),
        ("linux", "x86_64", "glibc", "manylinux_2_17_x86_64"),
        ("linux", "aarch64", "glibc", "manylinux_2_17_aarch64"),
        ("linux", "x86_64", "", "musllinux_1_1_x86_64"),
        ("linux", "aarch64", "", "musllinux_1_1_aarch64"),
    ],
)
def test_each_computer_has_its_wheel(monkeypatch, system, machine, libc, tag):
    monkeypatch.setattr(uv_module.sys, "platform", system)
    monkeypatch.setattr(uv_module.platform, "machine", lambda: machine)
    monkeypatch.setattr(uv_module.platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(uv_module, "is_translated", lambda: False)
    assert platform_tag() == tag
    url, sha256 = wheel_for(tag)
    assert tag in url
    assert len(sha256) == 64


def test_an_intel_qgis_on_an_apple_processor_gets_apple_s_packages(monkeypatch):
    monkeypatch.setattr(uv_module.sys, "platform", "darwin")
    monkeypatch.setattr(uv_module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(uv_module, "is_translated", lambda: True)
    assert platform_tag() == "macosx_11_0_arm64"


def test_a_processor_without_pytorch_is_named(monkeypatch):
    monkeypatch.setattr(uv_module.sys, "platform", "linux")
    monkeypatch.setattr(uv_module.platform, "machine", lambda: "riscv64")
    with pytest.raises(WorkerError, match="riscv64"):
        wheel_for(platform_tag())


def test_all_wheels_are_of_one_version_and_from_pypi():
    for url, _ in WHEELS.values():
        assert url.startswith("https://files.pythonhosted.org/packages/")
        assert f"/uv-{VERSION}-py3-none-" in url
    assert len({sha256 for _, sha256 in WHEELS.values()}) == len(WHEELS) == 6
