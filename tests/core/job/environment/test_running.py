import sys
import time

import pytest

from core.job.environment.log import Log
from core.job.environment.remedies import InstallError
from core.job.environment.running import follow
from core.job.errors import Cancelled
from tests.core.job.environment.stand_ins import never


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def test_output_exit_code_and_lines_as_they_come(tmp_path):
    lines = []
    code = "import sys; print('out', flush=True); print('caf\\udce9', file=sys.stderr); sys.exit(3)"
    said, status = follow(python(code), {"PYTHONUTF8": "1"}, str(tmp_path), never, Log(tmp_path / "log"), lines.append)
    assert status == 3
    assert said.splitlines() == lines == (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "out"


def test_cancel_kills_it(tmp_path):
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    start = time.monotonic()
    with pytest.raises(Cancelled):
        follow(python("import time; time.sleep(60)"), {}, str(tmp_path), cancelled, Log())
    assert time.monotonic() - start < 30


def test_a_program_that_cannot_be_started_is_said(tmp_path):
    with pytest.raises(InstallError, match=r"may be run|installation failed"):
        follow([str(tmp_path)], {}, str(tmp_path), never, Log())
