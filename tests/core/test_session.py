"""The process border with real processes: a real worker, a small untrained model, a raster that takes a while."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from core import here
from core import session as session_module
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.job.errors import Cancelled, RasterError, WorkerError
from core.job.jobs import DetectJob, PreflightJob, job_to_json
from core.job.worker import Worker
from core.retinanet.network import build_network
from core.retinanet.weights import save_model
from core.session import KeptDetector, Session

ROOT = Path(__file__).resolve().parents[2]
CARD = ModelCard(
    name="untrained",
    classes=(ObjectClass("thing"),),
    bands=(Band("red"), Band("green"), Band("blue")),
    resolution_m=0.6,
    tile_px=256,
    overlap_px=64,
    architecture=Architecture(
        backbone="resnet18",
        backbone_stages=3,
        levels=("P3", "P4"),
        extra_levels="pool",
        channels=16,
        head_channels=16,
        head_depth=1,
        anchor_sizes=(16.0, 32.0),
    ),
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    torch.manual_seed(0)
    network = build_network(CARD.architecture, len(CARD.classes), len(CARD.bands))
    save_model(path, CARD, network.state_dict())
    return str(path)


def make_raster(path, size):
    """A raster without any block written: it reads as black, and at once."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=3,
        dtype="uint8",
        tiled=True,
        SPARSE_OK="TRUE",
        crs="EPSG:32611",
        transform=from_origin(500_000, 4_000_000, 0.6, 0.6),
    ):
        pass
    return str(path)


@pytest.fixture(scope="module")
def quick_job(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("quick")
    return DetectJob(make_raster(folder / "small.tif", 256), model, str(folder / "quick.gpkg"), device="cpu")


@pytest.fixture(scope="module")
def slow_job(tmp_path_factory, model):
    """Minutes of work, into a folder of its own."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "out").mkdir()
    return DetectJob(make_raster(folder / "large.tif", 30_000), model, str(folder / "out" / "slow.gpkg"), device="cpu")


@pytest.fixture(scope="module")
def worker(tmp_path_factory, quick_job):
    """One for all tests, as starting it imports torch; started from an environment full of rubbish."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "numpy.py").write_text("raise ImportError('the wrong numpy')")
    with Worker(sys.executable, log_path=str(folder / "worker.log")) as worker:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "LD_LIBRARY_PATH"):
                patch.setenv(name, str(folder))
            worker.run(quick_job, print, never)
        yield worker


def never():
    return False


def is_looking(event):
    return event["event"] == "progress" and event["text"].startswith("Tile")


def gone(pid):
    """Whether a process has ended; a zombie that waits for its parent to notice has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def cancel_when_looking(worker, job):
    """Run a job, cancel it once it looks at tiles; gives the worker's pid and the seconds from asking to the end."""
    seen = []

    def report(event):
        if is_looking(event):
            seen.append((worker._process.pid, time.monotonic()))

    with pytest.raises(Cancelled):
        worker.run(job, report, lambda: bool(seen))
    return seen[0][0], time.monotonic() - seen[0][1]


def left_by(job):
    return list(Path(job.output).parent.iterdir())


def test_a_preflight_is_answered_and_writes_nothing(worker, quick_job):
    told = []
    job = dataclasses.replace(quick_job, output=str(Path(quick_job.output).with_name("unwritten.gpkg")))
    facts = worker.run(PreflightJob(job), told.append, never)
    assert facts["tiles"] == 1
    assert facts["seconds"] > 0
    assert [event["event"] for event in told] == ["preflight"]
    assert not Path(job.output).exists()


def test_a_job_is_done_whatever_the_environment_and_the_worker_stays_for_the_next(worker, quick_job):
    pid = worker._process.pid
    Path(quick_job.output).unlink()
    assert worker.run(quick_job, print, never)["output"] == quick_job.output
    assert Path(quick_job.output).exists()
    assert worker._process.pid == pid


def test_a_failure_is_raised_as_its_kind_and_the_worker_stays(worker, quick_job, tmp_path):
    (tmp_path / "no.tif").write_text("no raster")
    pid = worker._process.pid
    with pytest.raises(RasterError):
        worker.run(dataclasses.replace(quick_job, raster=str(tmp_path / "no.tif")), print, never)
    assert worker._process.pid == pid


def test_cancelling_is_soon_over_leaves_nothing_and_the_next_job_is_done(worker, slow_job, quick_job):
    _, seconds = cancel_when_looking(worker, slow_job)
    assert seconds < 10  # 1.5 s until it is killed, 0.2 s where it answers: five times that, on a busy machine
    assert left_by(slow_job) == []
    assert worker.run(quick_job, print, never)["output"] == quick_job.output


def test_a_cancelled_and_closed_worker_leaves_no_process(worker, slow_job):
    pid, _ = cancel_when_looking(worker, slow_job)
    worker.close()
    assert gone(pid)
    assert left_by(slow_job) == []
    # Its process group, to which its children would belong, is gone too.
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


def test_a_killed_worker_is_explained_with_its_log(worker, slow_job):
    def kill(event):
        if is_looking(event):
            os.kill(worker._process.pid, signal.SIGKILL)

    with pytest.raises(WorkerError, match=rf"memory ran out.*The worker's log is '{worker.log_path}'"):
        worker.run(slow_job, kill, never)
    assert left_by(slow_job) == []


CALLER = """
import sys
from core.job.jobs import job_from_json
from core.job.worker import Worker

worker = Worker(sys.executable, log_path=sys.argv[1])

def report(event):
    if event["event"] == "progress" and event["text"].startswith("Tile"):
        print(worker._process.pid, flush=True)

worker.run(job_from_json(sys.argv[2]), report, lambda: False)
"""


def test_a_worker_whose_caller_is_killed_ends_by_itself(tmp_path, slow_job):
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(tmp_path / "worker.log"), job_to_json(slow_job)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with caller:
        pid = int(caller.stdout.readline())
        scratch = Path(f"/proc/{pid}/cwd").readlink()
        assert scratch.is_dir()
        caller.kill()
    assert wait_until(lambda: gone(pid))
    assert not scratch.exists()
    assert left_by(slow_job) == []


@pytest.fixture
def session():
    """`python -m core run`, spoken to directly."""
    with subprocess.Popen(
        [sys.executable, "-m", "core", "run"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def send(session, *lines):
    session.stdin.write("".join(line + "\n" for line in lines))
    session.stdin.flush()


def test_signs_of_life_come_first_and_the_answer_last(session, quick_job, tmp_path):
    (tmp_path / "no.tif").write_text("no raster")
    send(session, job_to_json(dataclasses.replace(quick_job, raster=str(tmp_path / "no.tif"))))
    events = []
    while not events or events[-1]["event"] != "error":
        events.append(json.loads(session.stdout.readline()))
    assert events[0] == {"event": "alive"}
    assert events[-1]["kind"] == "RasterError"
    session.stdin.close()
    assert session.wait(20) == 0


def test_what_is_no_job_is_answered_with_a_sentence_and_the_next_job_is_done(session):
    send(session, "{", '{"job": "cancel"}', "", '{"job": "format"}', "[" * 100_000, '{"job": "detect"}')
    answers = []
    while len(answers) < 4:
        event = json.loads(session.stdout.readline())
        if event["event"] != "alive":
            answers.append(event)
    assert [answer["kind"] for answer in answers] == ["InvalidJob"] * 4


def test_a_broken_stdout_means_that_the_caller_has_died(session):
    session.stdout.close()
    send(session, '{"job": "detect"}')
    assert session.wait(20) == 1


def test_what_libraries_print_and_read_stays_out_of_the_protocol():
    code = (
        "import os, sys\n"
        "from core.session import take_pipes\n"
        "requests, answers = take_pipes()\n"
        "print('chatter')\n"
        "os.write(1, b'chatter of a C library')\n"
        "os.system('echo chatter of a child')\n"
        "assert sys.stdin.read() == ''\n"
        "answers.write(requests.readline())\n"
        "answers.flush()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input="a line\n", capture_output=True, text=True, check=True
    )
    assert done.stdout == "a line\n"
    assert done.stderr.count("chatter") == 3


def test_the_command_line_does_the_same_job(quick_job, tmp_path):
    output = tmp_path / "found.gpkg"
    command = ["detect", quick_job.raster, "--model", quick_job.model, "--output", str(output), "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "core", *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert output.exists()
    assert done.stdout.splitlines()[:2] == [str(output), "  thing: 0"]
    assert "Looking at 1 tile of 256 px" in done.stderr


class Surprised(Session):
    def _do(self, job, cancelled, stopped):
        raise ZeroDivisionError("a bug")


def test_what_nobody_foresaw_becomes_a_sentence_and_a_traceback_in_the_log(quick_job, capsys, monkeypatch):
    monkeypatch.setattr(session_module, "ABANDON_SECONDS", 60)  # its end would be this process's end
    read, write = os.pipe()
    answers = io.StringIO()
    thread = threading.Thread(target=Surprised(os.fdopen(read), answers).serve)
    thread.start()
    with os.fdopen(write, "w") as requests:
        requests.write(job_to_json(quick_job) + "\n")
        requests.flush()
        assert wait_until(lambda: "error" in answers.getvalue())
    thread.join(5)
    assert json.loads(answers.getvalue().splitlines()[-1]) == {
        "event": "error",
        "kind": "WorkerError",
        "text": "Something unexpected went wrong: ZeroDivisionError: a bug.",
    }
    assert "Traceback" in capsys.readouterr().err


class Waiting(Session):
    def _do(self, job, cancelled, stopped):
        assert wait_until(stopped)
        return {"output": job.output, "cancelled": cancelled()}


def test_a_request_to_stop_reaches_the_job_before_it_and_no_other(quick_job, monkeypatch):
    monkeypatch.setattr(session_module, "ABANDON_SECONDS", 60)  # its end would be this process's end
    read, write = os.pipe()
    answers = io.StringIO()
    thread = threading.Thread(target=Waiting(os.fdopen(read), answers).serve)
    thread.start()
    with os.fdopen(write, "w") as requests:
        for count in (1, 2):
            requests.write(job_to_json(quick_job) + "\n")
            requests.flush()
            time.sleep(0.2)
            assert answers.getvalue().count("result") == count - 1
            requests.write('{"job": "stop"}\n')
            requests.flush()
            assert wait_until(lambda count=count: answers.getvalue().count("result") == count)
    thread.join(5)
    assert '"cancelled": false' in answers.getvalue()


def test_a_model_is_kept_for_the_next_job_until_its_file_or_the_device_changes(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(here, "load_detector", lambda path, device: opened.append((path, device)) or object())
    path = tmp_path / "m.safetensors"
    path.write_text("one")
    keep = KeptDetector()
    first = keep(str(path), "cpu")
    assert keep(str(path), "cpu") is first
    assert keep(str(path), "auto") is not first
    path.write_text("three")
    keep(str(path), "auto")
    keep.forget()
    keep(str(path), "auto")
    assert len(opened) == 4
