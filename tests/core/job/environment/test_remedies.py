"""Every cause has its row, every row a message as a program really says it."""

import re
from pathlib import Path

import pytest

from core.job.environment.remedies import REMEDIES, InstallError, remedy

FOLDER = Path("data/tilehawk")
UV_FETCH = "error: Failed to fetch: https://pypi.org/simple/torch/\n  cause: "
SAID = [  # cause, what was said; by uv 0.13 unless another is named
    ("proxy", UV_FETCH + "client error (Connect)\n  cause: tunnel error: proxy authorization required"),
    ("proxy", "HTTP status client error (407 Proxy Authentication Required) for url (http://mirror/simple/torch/)"),
    ("proxy", "Tunnel connection failed: 407 Proxy Authentication Required"),  # urllib
    ("proxy", "Proxy requires authentication"),  # Qt
    ("certificate", UV_FETCH + "invalid peer certificate: UnknownIssuer"),
    (
        "certificate",
        "[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate",
    ),
    ("certificate", "SSL handshake failed: The issuer certificate could not be found"),  # Qt
    (
        "certificate",
        "self-signed certificate in certificate chain",
    ),
    ("credentials", "hint: An index (https://mirror/simple) returned a 401 Unauthorized error. Check the credentials."),
    ("blocked", "hint: An index (http://127.0.0.1:33837/simple) returned a 403 Forbidden error. Check that the index"),
    ("blocked", UV_FETCH + "tunnel error: unsuccessful"),
    ("blocked", "HTTP Error 403: Forbidden"),  # urllib
    ("blocked", "Error transferring https://mirror/simple/uv/ - server replied: Forbidden"),  # Qt
    ("disk full", "failed to write to file `/x/torch/data.bin`: No space left on device (os error 28)"),
    ("disk full", "error: There is not enough space on the disk. (os error 112)"),
    ("disk full", "[Errno 28] No space left on device"),
    ("memory", "memory allocation of 8388608 bytes failed"),
    ("memory", "MemoryError"),
    ("long path", "failed to create directory `/x/aaaa`: File name too long (os error 36)"),
    ("long path", "The filename or extension is too long. (os error 206)"),
    ("letters", "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xe9 in position 12: invalid continuation byte"),
    (
        "Visual C++",
        "OSError: [WinError 126] The specified module could not be found. Error loading "
        '"C:\\x\\Lib\\site-packages\\torch\\lib\\c10.dll" or one of its dependencies.',
    ),
    ("Visual C++", "OSError: [WinError 1114] A dynamic link library (DLL) initialization routine failed."),
    ("driver", "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."),
    ("driver", "RuntimeError: CUDA error: no kernel image is available for execution on the device"),
    ("musl", "torch has no wheels with a matching platform tag (e.g., `musllinux_1_2_x86_64`)"),
    ("Mac with Intel", "torch>=2.6.0 has no wheels with a matching platform tag (e.g., `macosx_14_0_x86_64`)"),
    ("old system", "torch==2.15.0 has no wheels with a matching Python implementation tag (e.g., `cp39`)"),
    ("old system", "Because pyproj>=3.6.0 has no usable wheels and you require pyproj>=3.6, we can conclude"),
    ("old system", "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.28' not found (required by libtorch_cpu.so)"),
    ("no Python", "error: No interpreter found for Python >=3.10, <3.14 in search path"),
    (
        "in use",
        "The process cannot access the file because it is being used by another process. (os error 32)",
    ),
    ("in use", "error: failed to remove file `C:\\x\\torch_cpu.dll`: Access is denied. (os error 5)"),
    ("rights", "failed to create directory `/opt/x`: Permission denied (os error 13)"),
    ("rights", "[Errno 30] Read-only file system: '/x'"),
    ("wrong hash", "error: Failed to download `numpy==2.4.0`\n  cause: Hash mismatch for `numpy==2.4.0`"),
    ("damaged", "hint: The structure of `torch` (v2.15.0) was invalid:\n  Failed to read from zip file"),
    ("damaged", "urlopen error: IncompleteRead(0 bytes read, 3 more expected)"),
    ("missing", "Because torch was not found in the package registry and you require torch, we can conclude that"),
    ("missing", "Because torch was not found in the provided package locations and you require torch, we can"),
    ("missing", "HTTP status client error (404 Not Found) for url (https://files/torch-2.15.0.whl)"),
    ("missing", "Error transferring https://mirror/uv/ - server replied: Not Found"),  # Qt
    ("server", "HTTP status server error (500 Internal Server Error) for url (https://files/torch-2.15.0.whl)"),
    ("no network", UV_FETCH + "dns error\n  cause: failed to lookup address information: Name or service not known"),
    ("no network", "<urlopen error [Errno 11001] getaddrinfo failed>"),
    ("no network", "Host pypi.org not found"),  # Qt
    ("unreachable", UV_FETCH + "tcp connect error\n  cause: Connection refused (os error 111)"),
    ("unreachable", "error sending request for url (https://pypi.org/simple/torch/)\n  cause: operation timed out"),
    ("unreachable", "An existing connection was forcibly closed by the remote host. (os error 10054)"),
    ("processor", "Illegal instruction (core dumped)"),
    ("versions", "error: No solution found when resolving dependencies\n  cause: Because only torch<2 is available"),
    ("incomplete", "ModuleNotFoundError: No module named 'rasterio'"),
    ("incomplete", "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"),
]


@pytest.mark.parametrize(("cause", "said"), SAID)
def test_what_was_said_leads_to_its_remedy(cause, said):
    found, sentence = remedy(said, FOLDER)
    assert found == cause
    assert sentence.endswith(".")
    assert "{" not in sentence


@pytest.mark.parametrize(("code", "cause"), [(-9, "memory"), (137, "memory"), (-4, "processor"), (1, ""), (-15, "")])
def test_a_death_without_a_word_is_read_off_the_exit_code(code, cause):
    assert remedy("", FOLDER, code)[0] == cause


def test_every_row_is_tried():
    assert {row.cause for row in REMEDIES} == {cause for cause, _ in SAID}
    assert len({row.cause for row in REMEDIES}) == len(REMEDIES)


def test_what_went_well_before_is_no_cause():
    said = "Downloading nvidia-cublas (407.0MiB)\nDownloading torch (404.1MiB)\nerror: Failed\n  cause: os error 28"
    assert remedy(said, FOLDER)[0] == "disk full"


def test_the_host_and_the_folder_are_named():
    assert "'pypi.org'" in remedy(UV_FETCH + "dns error", FOLDER)[1]
    with_user = "dns error: http://mirror.example:80/simple".replace("//", "//ada:lovelace@")
    assert "'mirror.example'" in remedy(with_user, FOLDER)[1]
    assert "'wheels'" in remedy("torch was not found in the package registry", FOLDER, 1, "wheels")[1]
    assert f"'{FOLDER}'" in remedy("No space left", FOLDER)[1]


def test_an_unknown_failure_gives_its_own_last_cause():
    error = InstallError("chatter\nerror: it broke\n  cause: the reason\nhint: none", FOLDER, 2)
    assert str(error) == "The installation failed: the reason. The log says more."
    assert (error.cause, error.code) == ("", 2)


def test_sentences_say_what_to_do():
    verbs = r"Enter|Write|Have|Give|Ask|Make|Close|Choose|Install|Update|Use|use another|Check|Try|Repair"
    assert [row.cause for row in REMEDIES if not re.search(verbs, row.sentence)] == []
