"""The process border with real processes: a real worker, a small untrained model, a raster that takes a while."""

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

from core import detect as detect_module
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.job.errors import Cancelled, RasterError, WorkerError
from core.job.jobs import DetectJob, job_to_json
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


@pytest.fixture
def quick_job(tmp_path, model):
    (tmp_path / "out").mkdir(exist_ok=True)
    return DetectJob(
        make_raster(tmp_path / "small.tif", 300), model, str(tmp_path / "out" / "quick.gpkg"), device="cpu"
    )


@pytest.fixture
def slow_job(tmp_path, model):
    """Minutes of work."""
    (tmp_path / "out").mkdir(exist_ok=True)
    return DetectJob(
        make_raster(tmp_path / "large.tif", 30_000), model, str(tmp_path / "out" / "slow.gpkg"), device="cpu"
    )


@pytest.fixture
def worker(tmp_path):
    with Worker(sys.executable, log_path=str(tmp_path / "worker.log")) as worker:
        yield worker


class Patience:
    """Collects events, and has had enough once the first tile is looked at."""

    def __init__(self):
        self.events = []

    def report(self, event):
        self.events.append(event)

    @property
    def looking(self):
        return any(event["event"] == "progress" and event["text"].startswith("Tile") for event in self.events)

    def had_enough(self):
        return self.looking


def never():
    return False


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def pid_of(worker):
    return worker._process.pid


def children_of(pid):
    stats = [path.read_text().rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    return [stat for stat in stats if int(stat[1]) == pid]


def test_a_job_is_done_and_the_worker_stays_for_the_next(worker, quick_job):
    first = worker.run(quick_job, print, never)
    pid = pid_of(worker)
    assert first["output"] == quick_job.output
    assert Path(quick_job.output).exists()
    assert worker.run(quick_job, print, never)["objects"] == first["objects"]
    assert pid_of(worker) == pid
    worker.close()
    assert gone(pid)


def test_a_failure_is_raised_as_its_kind_and_the_worker_stays(worker, quick_job):
    Path(quick_job.raster).write_text("no raster")
    with pytest.raises(RasterError):
        worker.run(quick_job, print, never)
    pid = pid_of(worker)
    make_raster(quick_job.raster, 300)
    worker.run(quick_job, print, never)
    assert pid_of(worker) == pid


def test_cancelling_takes_two_seconds_at_most_and_leaves_nothing(worker, slow_job):
    patience, asked = Patience(), []

    def cancelled():
        if patience.looking:
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(Cancelled):
        worker.run(slow_job, patience.report, cancelled)
    assert time.monotonic() - asked[0] < 2
    pid = worker._process.pid if worker._process else None
    worker.close()
    assert time.monotonic() - asked[0] < 2 + 1
    assert list(Path(slow_job.output).parent.iterdir()) == []
    assert pid is None or (gone(pid) and not children_of(pid))


def test_the_next_job_is_not_cancelled_by_the_last_ones_cancel(worker, slow_job, quick_job):
    patience = Patience()
    with pytest.raises(Cancelled):
        worker.run(slow_job, patience.report, patience.had_enough)
    assert worker.run(quick_job, print, never)["output"] == quick_job.output


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
    pid = int(caller.stdout.readline())
    assert not gone(pid)
    caller.kill()
    caller.wait()
    caller.stdout.close()
    assert wait_until(lambda: gone(pid), 3)
    assert list(Path(slow_job.output).parent.iterdir()) == []


def test_a_killed_worker_is_explained_with_its_log_and_replaced(worker, slow_job, quick_job):
    def kill(event):
        if event["event"] == "progress" and event["text"].startswith("Tile"):
            os.kill(pid_of(worker), signal.SIGKILL)

    with pytest.raises(WorkerError, match=rf"memory ran out.*The worker's log is '{worker.log_path}'"):
        worker.run(slow_job, kill, never)
    assert list(Path(slow_job.output).parent.iterdir()) == []
    assert worker.run(quick_job, print, never)["output"] == quick_job.output


def test_an_environment_full_of_rubbish_does_no_harm(tmp_path, quick_job, monkeypatch):
    rubbish = tmp_path / "rubbish"
    rubbish.mkdir()
    (rubbish / "numpy.py").write_text("raise ImportError('the wrong numpy')")
    for name in (
        "PYTHONHOME",
        "PYTHONPATH",
        "PROJ_LIB",
        "PROJ_DATA",
        "GDAL_DATA",
        "GDAL_DRIVER_PATH",
        "LD_LIBRARY_PATH",
    ):
        monkeypatch.setenv(name, str(rubbish))
    monkeypatch.setenv("GDAL_SKIP", "GTiff")
    with Worker(sys.executable, log_path=str(tmp_path / "worker.log")) as worker:
        assert worker.run(quick_job, print, never)["output"] == quick_job.output


def test_signs_of_life_come_while_a_job_runs(quick_job):
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "run"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdin.write(job_to_json(quick_job) + "\n")
    process.stdin.flush()
    events = []
    while not events or events[-1]["event"] not in ("result", "error"):
        events.append(json.loads(process.stdout.readline()))
    assert events[0] == {"event": "alive"}
    assert events[-1]["event"] == "result"
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()


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


def test_a_broken_stdout_means_that_the_caller_has_died(slow_job):
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "run"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    process.stdin.write(job_to_json(slow_job) + "\n")
    process.stdin.flush()
    while "Tile" not in process.stdout.readline():
        pass
    process.stdout.close()
    assert process.wait(5) == 1
    process.stdin.close()
    assert list(Path(slow_job.output).parent.iterdir()) == []


def test_what_is_no_job_is_answered_with_a_sentence_and_the_next_job_is_done(quick_job):
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "run"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    lines = ["{", '{"job": "cancel"}', "", '{"job": "format"}', "[" * 100_000, job_to_json(quick_job)]
    process.stdin.write("\n".join(lines) + "\n")
    process.stdin.flush()
    ends = []
    while len(ends) < 4:
        event = json.loads(process.stdout.readline())
        if event["event"] in ("error", "result"):
            ends.append(event)
    assert [end.get("kind") for end in ends] == ["InvalidJob", "InvalidJob", "InvalidJob", None]
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()


class Surprised(Session):
    def _do(self, job, cancelled):
        raise ZeroDivisionError("a bug")


def test_what_nobody_foresaw_becomes_a_sentence_and_a_traceback_in_the_log(quick_job, capsys):
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


def test_a_model_is_kept_for_the_next_job_until_its_file_or_the_device_changes(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(detect_module, "load_detector", lambda path, device: opened.append((path, device)) or object())
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
