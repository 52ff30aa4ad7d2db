"""What an analyst can do about a failed installation: the first row whose pattern is found in what was said counts.

Patterns are what uv, urllib, Qt's network, Windows and torch say; their sources are the messages themselves, each of
which is a test. `{host}` is the server that was asked, `{folder}` where the environment lies.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..errors import WorkerError

INDEX = "in Tilehawk's options"
SYSTEM_PYTHON = f"use another Python with PyTorch ('Use this Python' {INDEX})"
SHORTER = f"Choose a folder with a short and plain name, such as C:\\tilehawk, {INDEX}, and install again."


class Remedy(NamedTuple):
    """A cause, how it is recognised (case does not count), and what to do about it."""

    cause: str
    pattern: str
    sentence: str


REMEDIES = (
    Remedy(
        "proxy",
        r"407:? Proxy|proxy authorization required|proxy authentication|proxy requires authentication",
        "The proxy asks for a user and a password (407). Enter them in QGIS under Settings > Options > Network, or "
        f"write them into the proxy's address {INDEX}, and try again.",
    ),
    Remedy(
        "certificate",
        r"peer certificate|UnknownIssuer|certificate.verify.failed|self.signed certificate|SSL handshake failed"
        r"|unable to get local issuer",
        "The certificate of '{host}' is not trusted here; most often a firewall looks into encrypted connections (TLS "
        "inspection). Have its root certificate added to the system's certificates, or set SSL_CERT_FILE to a file "
        "that holds it, start QGIS anew and try again.",
    ),
    Remedy(
        "credentials",
        r"\b401:? Unauthorized|replied: Unauthorized|Host requires authentication",
        f"'{{host}}' asks for a user and a password. Write them into the mirror's address {INDEX}.",
    ),
    Remedy(
        "blocked",
        r"\b(403:? Forbidden|451:? Unavailable)|replied: Forbidden|returned a 403|tunnel error: unsuccessful"
        r"|Tunnel connection failed: (403|502|503)",
        "Access to '{host}' is refused, most often by a firewall or proxy. Ask for it to be opened, or choose a mirror "
        f"or a folder of packages {INDEX}.",
    ),
    Remedy(
        "disk full",
        r"No space left|os error 28\b|os error 112\b|errno 28\b|Disk quota exceeded|os error 122\b|WinError 112\b"
        r"|not enough space",
        "The disk with '{folder}' is full. Make room on it and try again; what was downloaded is kept.",
    ),
    Remedy(
        "memory",
        r"exit code (-9|137)\b|MemoryError|Cannot allocate memory|memory allocation of|os error (12|1455)\b"
        r"|WinError 1455|DefaultCPUAllocator",
        "The memory ran out. Close other programs and try again.",
    ),
    Remedy(
        "long path",
        r"File name too long|os error (36|63|206)\b|WinError 206|filename or extension is too long|path is too long",
        f"The path of '{{folder}}' is too long for this system. {SHORTER}",
    ),
    Remedy(
        "letters",
        r"UnicodeDecodeError|UnicodeEncodeError|codec can't (de|en)code|stream did not contain valid UTF-8",
        f"A library cannot cope with a letter in the path '{{folder}}'. {SHORTER}",
    ),
    Remedy(
        "Visual C++",
        r"c10\.dll|fbgemm\.dll|vcruntime140|msvcp140|WinError (126|1114)\b|Visual C\+\+ Redistributable",
        "PyTorch needs Microsoft's Visual C++ runtime, which is missing or too old. Install "
        "https://aka.ms/vs/17/release/vc_redist.x64.exe, start QGIS anew and try again.",
    ),
    Remedy(
        "driver",
        r"driver on your system is too old|CUDA driver version is insufficient|no kernel image is available"
        r"|not compatible with the current PyTorch installation|CUDA error",
        "The graphics card or its driver does not suit this build of PyTorch. Update the driver, or choose the build "
        f"'cpu' {INDEX} and install again.",
    ),
    Remedy(
        "musl",
        r"musllinux|libc\.musl|ld-musl",
        f"There are no packages for this system. PyTorch needs Linux with glibc, Windows or macOS: {SYSTEM_PYTHON}.",
    ),
    Remedy(
        "Mac with Intel",
        r"macosx_\d+_\d+_x86_64`",
        "PyTorch is no longer made for Macs with Intel processors. Use another computer, or "
        f"{SYSTEM_PYTHON} with PyTorch 2.6 or later.",
    ),
    Remedy(
        "old system",
        r"GLIBC_[\d.]+' not found|no wheels with a matching (platform|Python)|no usable wheels",
        "There are no packages for this version of the system or of Python. Install Python 3.12, or "
        f"{SYSTEM_PYTHON}; a system of 2021 or later is needed (glibc 2.28, macOS 14, Windows 10).",
    ),
    Remedy(
        "no Python",
        r"No interpreter found|No Python is usable",
        "No Python 3.10 to 3.13 was found, and none could be downloaded from github.com. Install Python 3.12 from "
        f"python.org or your system's packages, or choose one {INDEX}.",
    ),
    Remedy(
        "in use",
        r"os error (5|32)\)|WinError (5|32)\b|Access is denied|being used by another process",
        "Windows refused access to a file in '{folder}': a virus scanner or another QGIS holds it. Close other QGIS "
        "windows and try again; if it happens again, have the folder excepted from scanning.",
    ),
    Remedy(
        "rights",
        r"Permission denied|Operation not permitted|Read-only file system|os error (1|13|30)\)",
        f"'{{folder}}' cannot be written or nothing in it may be run. Choose another folder {INDEX}.",
    ),
    Remedy(
        "wrong hash",
        r"hash mismatch",
        "A file from '{host}' is not what its index promises: it was damaged or exchanged on its way, and was not "
        f"installed. Try again; if it happens again, choose another mirror {INDEX}.",
    ),
    Remedy(
        "damaged",
        r"Failed to read from zip|invalid package format|Failed to extract|unexpected end of file|not a zip file"
        r"|IncompleteRead|error decoding response body|connection closed before|got only \d+ out of",
        "A file from '{host}' arrived incomplete. Try again; what was downloaded before is kept.",
    ),
    Remedy(
        "missing",
        r"404:? Not Found|replied: Not Found|not found in the package registry"
        r"|not found in the provided package locations",
        f"'{{host}}' does not have a package that is needed. Check the mirror or the folder of packages {INDEX}.",
    ),
    Remedy(
        "server",
        r"HTTP status server error|HTTP Error 5\d\d|Too Many Requests",
        "'{host}' is out of order or overloaded. Try again later.",
    ),
    Remedy(
        "no network",
        r"dns error|failed to lookup|getaddrinfo|Name or service not known|name resolution|Host .*not found"
        r"|Network is unreachable|No route to host|os error (101|113|11001|11004)\b|network is disabled",
        "'{host}' cannot be found. Check the network connection; in a network without internet choose a proxy, a "
        f"mirror or a folder of packages {INDEX}.",
    ),
    Remedy(
        "unreachable",
        r"Connection refused|connection reset|timed out|operation timeout|Timeout|os error (104|111|10053|10054|10060"
        r"|10061)\b|error sending request|Remote end closed",
        "'{host}' does not answer; a firewall may block it. Check the connection, ask for the host to be opened, or "
        f"choose a proxy, a mirror or a folder of packages {INDEX}.",
    ),
    Remedy(
        "processor",
        r"exit code (-4|132|3221225501)\b|Illegal instruction",
        f"This processor is too old for PyTorch. Use another computer, or {SYSTEM_PYTHON}.",
    ),
    Remedy(
        "versions",
        r"No solution found|requirements are unsatisfiable",
        f"The packages on offer do not fit together. Check the mirror or the folder of packages {INDEX}.",
    ),
    Remedy(
        "incomplete",
        r"ModuleNotFoundError|No module named|ImportError|cannot open shared object|Library not loaded|DLL load failed",
        "A library is missing or damaged: {last}. Repair the environment.",
    ),
)
OTHERWISE = "The installation failed: {last}. The log says more."
OUT_OF_REACH = {"certificate", "blocked", "no network", "unreachable", "missing", "server"}


class InstallError(WorkerError):
    """An installation failed; `cause` is that of the row in REMEDIES, "" where none fits, `code` the exit code."""

    def __init__(self, said: str, folder: Path, code: int = 1, source: str = "the server") -> None:
        self.said, self.code = said, code
        self.cause, sentence = remedy(said, folder, code, source)
        super().__init__(sentence)


def remedy(
    said: str, folder: Path, code: int = 1, source: str = "the server", otherwise: str = OTHERWISE
) -> tuple[str, str]:
    """Give cause and sentence for what a program said (and its exit code); without a row, `otherwise`.

    The {last} in that are the program's last words. `source` is the host to name where the program names none.
    """
    said = said[max(said.rfind("\nerror:"), 0) :]  # uv's last words, not its progress
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [f"exit code {code}"]
    hosts = re.findall(r"(?:https?|file)://(?:[^/\s@]+@)?([^/:\s`'\")]+)", said)
    blanks = {"host": hosts[-1] if hosts else source, "folder": folder, "last": lines[-1].rstrip(".")}
    for row in REMEDIES:
        if re.search(row.pattern, f"{said}\nexit code {code}", re.IGNORECASE):
            return row.cause, row.sentence.format(**blanks)
    errors = [line for line in lines if re.match(r"(error|cause):", line)] or lines[-1:]
    return "", otherwise.format(last=re.sub(r"^(error|cause): *", "", errors[-1])[:300].rstrip("."))
