import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.job.environment.lock import Busy, exclusive, holder

ROOT = Path(__file__).resolve().parents[4]
HOLD = """
import sys, time
from pathlib import Path
from core.job.environment.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_nobody_holds_a_lock_that_nobody_took(tmp_path):
    assert holder(tmp_path / "lock") is None
    with exclusive(tmp_path / "new" / "lock"):
        assert holder(tmp_path / "new" / "lock") == os.getpid()
    assert holder(tmp_path / "new" / "lock") is None


def test_one_process_at_a_time(tmp_path, other):
    assert holder(tmp_path / "lock") == other.pid
    with pytest.raises(Busy), exclusive(tmp_path / "lock"):
        pass
    assert holder(tmp_path / "lock") == other.pid


def test_one_thread_at_a_time(tmp_path):
    with exclusive(tmp_path / "lock"), pytest.raises(Busy), exclusive(tmp_path / "lock"):
        pass


def test_a_lock_goes_with_its_process(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait(10)
    assert holder(tmp_path / "lock") is None
    with exclusive(tmp_path / "lock"):
        assert holder(tmp_path / "lock") == os.getpid()


def test_what_is_left_in_the_file_is_no_lock(tmp_path):
    (tmp_path / "lock").write_text(str(os.getpid()))
    assert holder(tmp_path / "lock") is None
