"""The worker's client against made-up workers: scripts that stand in for its Python and misbehave on purpose."""

import stat
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from core.job import worker as worker_module
from core.job.errors import Cancelled, InvalidJob, ModelError, WorkerError
from core.job.jobs import DetectJob
from core.job.unfinished import unfinished_path
from core.job.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the made-up workers are POSIX scripts")

PRELUDE = """
import json, os, subprocess, sys, time
def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)
def next_job():
    return json.loads(sys.stdin.readline())
"""


@pytest.fixture
def job(tmp_path):
    for name in ("ortho.tif", "pools.safetensors"):
        (tmp_path / name).touch()
    return DetectJob(str(tmp_path / "ortho.tif"), str(tmp_path / "pools.safetensors"), str(tmp_path / "out.gpkg"))


@pytest.fixture
def made_up(tmp_path):
    """Make a Worker whose Python is a script with the given body."""
    workers = []

    def make(body: str, **options) -> Worker:
        script = tmp_path / f"python{len(workers)}"
        script.write_text(f"#!{sys.executable} -I\n{PRELUDE}{textwrap.dedent(body)}")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        workers.append(Worker(str(script), log_path=str(tmp_path / "logs" / "worker.log"), **options))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


def never() -> bool:
    return False


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that waits for its parent to notice has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_job_goes_in_and_its_events_and_result_come_out(made_up, job):
    worker = made_up(
        """
        job = next_job()
        say("alive")
        say("progress", done=0.5, text=job["raster"], seconds_left=None)
        print("chatter of a library", flush=True)
        print('{"half": ', flush=True)
        say("notice", text="Bands assumed.", level="info")
        say("result", output=job["output"], objects={"pool": 2})
        sys.stdin.read()
        """
    )
    events = []
    assert worker.run(job, events.append, never) == {"output": job.output, "objects": {"pool": 2}}
    assert [event["event"] for event in events] == ["progress", "notice"]
    assert events[0]["text"] == job.raster


def test_one_process_takes_job_after_job(made_up, job):
    worker = made_up("while True:\n    next_job()\n    say('result', pid=os.getpid())")
    assert worker.run(job, print, never) == worker.run(job, print, never)


def test_it_runs_in_a_scratch_folder_that_goes_with_it(made_up, job):
    worker = made_up("next_job()\nopen('mess', 'w').close()\nsay('result', folder=os.getcwd())\nsys.stdin.read()")
    folder = Path(worker.run(job, print, never)["folder"])
    assert (folder / "mess").exists()
    worker.close()
    assert not folder.exists()


def test_an_error_is_raised_as_its_kind(made_up, job):
    worker = made_up(
        """
        for kind in ("ModelError", "Strange", "WorkerError", "Cancelled"):
            next_job()
            say("error", kind=kind, text="It is damaged.")
        sys.stdin.read()
        """
    )
    with pytest.raises(ModelError, match=r"^It is damaged\.$"):
        worker.run(job, print, never)
    for _ in range(2):
        with pytest.raises(WorkerError, match=r"^It is damaged\. The worker's log is '.*worker\.log'\.$"):
            worker.run(job, print, never)
    with pytest.raises(Cancelled):
        worker.run(job, print, never)


def test_an_impossible_job_starts_nothing(made_up, job):
    worker = made_up("open('/dev/null')")
    Path(job.raster).unlink()
    with pytest.raises(InvalidJob):
        worker.run(job, print, never)
    assert not Path(worker.log_path).exists()


def test_a_worker_that_answers_a_cancel_stays_for_the_next_job(made_up, job, monkeypatch):
    monkeypatch.setattr(worker_module, "CANCEL_SECONDS", 30.0)  # for a busy machine
    worker = made_up(
        """
        while True:
            next_job()
            say("notice", text=str(os.getpid()), level="info")
            assert next_job() == {"job": "cancel"}
            say("error", kind="Cancelled", text="Cancelled.")
        """
    )
    pids = []
    for count in (1, 2):
        with pytest.raises(Cancelled):
            worker.run(job, lambda event: pids.append(event["text"]), lambda count=count: len(pids) == count)
    assert pids[0] == pids[1]


def test_a_request_to_stop_is_handed_on_once_and_the_result_awaited(made_up, job):
    worker = made_up(
        """
        next_job()
        say("notice", text="began", level="info")
        first = next_job()
        time.sleep(0.5)
        say("result", output="out.gpkg", heard=first)
        """
    )
    told = []
    result = worker.run(job, told.append, never, lambda: bool(told))
    assert result["heard"] == {"job": "stop"}


def test_a_worker_deaf_to_cancel_is_killed_with_its_children_and_leaves_nothing(made_up, job, tmp_path):
    worker = made_up(
        """
        job = next_job()
        child = subprocess.Popen(["sleep", "600"])
        part = os.path.join(os.path.dirname(job["output"]), f".out.gpkg.{os.getpid()}.part")
        os.mkdir(part)
        open(os.path.join(part, "rows"), "w").close()
        say("notice", text=f"{os.getpid()} {child.pid}", level="info")
        while True:
            say("alive")
            time.sleep(0.2)
        """
    )
    notices = []
    start = time.monotonic()
    with pytest.raises(Cancelled):
        worker.run(job, notices.append, lambda: bool(notices))
    assert 1.5 < time.monotonic() - start < 10
    pid, child = map(int, notices[0]["text"].split())
    assert wait_until(lambda: gone(pid) and gone(child))
    assert not unfinished_path(job.output, pid).exists()
    assert not Path(job.output).exists()


def test_a_job_cancelled_before_it_began_starts_nothing(made_up, job):
    worker = made_up("open('/dev/null')")
    with pytest.raises(Cancelled):
        worker.run(job, print, lambda: True)
    assert not Path(worker.log_path).exists()


def test_a_silent_worker_is_stopped(made_up, job, monkeypatch):
    monkeypatch.setattr(worker_module, "SILENCE_SECONDS", 0.5)
    worker = made_up("next_job()\ntime.sleep(600)")
    pids = []

    def note_pid():
        if worker._process:
            pids.append(worker._process.pid)
        return False

    with pytest.raises(WorkerError, match="no sign of life"):
        worker.run(job, print, note_pid)
    assert wait_until(lambda: gone(pids[0]))


def test_a_worker_that_gives_signs_of_life_may_take_its_time(made_up, job, monkeypatch):
    monkeypatch.setattr(worker_module, "SILENCE_SECONDS", 2.0)
    body = "next_job()\nfor _ in range(15):\n    say('alive')\n    time.sleep(0.2)\nsay('result')\nsys.stdin.read()"
    assert made_up(body).run(job, print, never) == {}


def test_a_dead_worker_is_explained_and_replaced(made_up, job, tmp_path):
    worker = made_up(
        f"""
        next_job()
        first = not os.path.exists({str(tmp_path / "died")!r})
        if first:
            open({str(tmp_path / "died")!r}, "w").close()
            os.kill(os.getpid(), 9)
        say("result", first=first)
        sys.stdin.read()
        """
    )
    with pytest.raises(WorkerError, match=r"memory ran out.*The worker's log is '.*worker\.log'"):
        worker.run(job, print, never)
    assert worker.run(job, print, never) == {"first": False}


def test_the_log_says_why_it_died(made_up, job):
    worker = made_up("next_job()\nimport torch_that_is_missing")
    with pytest.raises(WorkerError, match=r"environment is incomplete \(ModuleNotFoundError: .*torch_that_is_missing"):
        worker.run(job, print, never)
    assert "Traceback" in Path(worker.log_path).read_text()


def test_a_worker_that_died_between_jobs_is_replaced(made_up, job):
    worker = made_up("next_job()\nsay('result', pid=os.getpid())")
    first = worker.run(job, print, never)["pid"]
    assert wait_until(lambda: gone(first))
    assert worker.run(job, print, never)["pid"] != first


def test_a_job_left_in_the_middle_ends_its_worker(made_up, job):
    worker = made_up("next_job()\nsay('notice', text=str(os.getpid()))\ntime.sleep(600)")
    pids = []

    def fail(event):
        pids.append(int(event["text"]))
        raise RuntimeError("the dialog is gone")

    with pytest.raises(RuntimeError, match="the dialog is gone"):
        worker.run(job, fail, never)
    assert wait_until(lambda: gone(pids[0]))


def test_it_takes_one_job_at_a_time_and_closing_cancels_it(made_up, job):
    worker = made_up("next_job()\nsay('notice', text='on')\nsys.stdin.read()\ntime.sleep(600)")
    started, outcome = threading.Event(), []

    def work():
        try:
            worker.run(job, lambda event: started.set(), never)
        except Cancelled as problem:
            outcome.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(30)
    with pytest.raises(WorkerError, match="busy with another job"):
        worker.run(job, print, never)
    worker.close()
    thread.join(30)
    assert len(outcome) == 1


@pytest.mark.parametrize("python", ["/nowhere/python", "/tmp"])
def test_a_missing_python_is_named(job, python):
    with Worker(python) as worker, pytest.raises(WorkerError, match=f"Python '{python}' cannot be started"):
        worker.run(job, print, never)


def test_a_log_that_cannot_be_written_is_named(job, tmp_path):
    with Worker(sys.executable, log_path=str(tmp_path)) as worker, pytest.raises(WorkerError, match=r"log '.*' cannot"):
        worker.run(job, print, never)


def test_its_own_log_is_kept_only_after_a_failure(job):
    quiet = Worker(sys.executable)
    quiet.close()
    assert not Path(quiet.log_path).exists()
    with Worker(sys.executable, root="/nowhere") as failing, pytest.raises(WorkerError, match="No module named core"):
        failing.run(job, print, never)
    assert Path(failing.log_path).exists()
    Path(failing.log_path).unlink()


def test_a_worker_of_low_priority_is_nice(made_up, job):
    # The priority is set just after the start, so the script looks at it when it has its job.
    worker = made_up("next_job()\nsay('result', nice=os.nice(0))\nsys.stdin.read()", low_priority=True)
    assert worker.run(job, print, never)["nice"] >= 10
