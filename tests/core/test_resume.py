"""A detection that is broken off, wherever, and taken up again gives what an undisturbed one gives."""

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import torch

from core import gathering
from core.detect import detect
from core.detections import formats, parts
from core.job.errors import Cancelled, InvalidJob, OutputError, WorkerError
from core.job.jobs import DetectJob, job_to_json
from core.job.unfinished import partial_path
from core.job.worker import Worker
from core.retinanet.network import build_network
from core.retinanet.weights import save_model
from tests.core.test_detect import CARD, IdealDetector, Scene, never, run, write_model

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SMALL = (500_000.0, 3_999_920.0, 500_080.0, 4_000_000.0)  # 133 px a side


@pytest.fixture
def job(tmp_path):
    """Ground with a hole and an area at an angle, in 120 tiles or so, three a batch."""
    scene = Scene(520, 420, count=160)
    scene.image[:, 150:290, 100:330] = 0
    for name in ("out", "undisturbed"):
        (tmp_path / name).mkdir()
    return DetectJob(
        raster=scene.write(tmp_path / "scene.tif", nodata=0, tiled=True, blockxsize=128, blockysize=128),
        model=write_model(tmp_path / "ideal.safetensors"),
        output=str(tmp_path / "out" / "found.gpkg"),
        threshold=0.5,
        score_floor=0.1,
        tile_px=64,
        overlap_px=32,
        batch_size=3,
    )


@pytest.fixture
def often(monkeypatch):
    """Parts after every batch, and objects written in small portions."""
    monkeypatch.setattr(gathering, "PART_SECONDS", 0.0)
    monkeypatch.setattr(parts, "STRIP_OBJECTS", 10)


def content(path):
    """All of both layers, geometry and fields to the last byte."""
    layers = []
    for layer in ("detections", "not_examined"):
        meta, _, geometry, columns = pyogrio.raw.read(path, layer=layer)
        layers.append((meta["fields"].tolist(), geometry.tolist(), [column.tolist() for column in columns]))
    return layers


def left_by(job):
    return sorted(path.name for path in Path(job.output).parent.iterdir())


def start(job, *options):
    command = [sys.executable, str(HERE / "detect_process.py"), job_to_json(job), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_ten_times_and_resumed_the_result_is_that_of_an_undisturbed_run(job, tmp_path):
    undisturbed = dataclasses.replace(job, output=str(tmp_path / "undisturbed" / "found.gpkg"))
    with start(undisturbed) as process:
        lines = process.stdout.read().splitlines()
    assert sum(line.startswith("Tile") for line in lines) > 30
    assert sum(line.startswith("Object") for line in lines) > 5

    resumed = dataclasses.replace(job, resume=True)
    rng = np.random.default_rng(0)
    went_on = 0
    for kill in range(10):
        stage, lines_until = ("Tile", rng.integers(1, 9)) if kill < 7 else ("Object", rng.integers(1, 5))
        with start(resumed, "often") as process:
            for line in process.stdout:
                went_on += "Going on" in line
                lines_until -= line.startswith(stage)
                if lines_until == 0:
                    break
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert went_on >= 7
    with start(resumed, "often") as process:
        assert "Going on" in process.stdout.read()
    assert content(job.output) == content(undisturbed.output)
    assert len(content(job.output)[0][1]) > 100
    assert left_by(job) == ["found.gpkg"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks a process to end")
@pytest.mark.parametrize("asking", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_asked_to_end_keeps_its_parts_and_goes_on_from_them(job, tmp_path, asking):
    values = f"{job.raster} --model {job.model} --threshold 0.5 --score-floor 0.1 --tile 64 --overlap 32 --batch-size 3"
    command = [sys.executable, str(HERE / "detect_process.py"), "detect", *values.split(), "--output"]
    subprocess.run([*command, str(tmp_path / "undisturbed" / "found.gpkg")], check=True, stdout=subprocess.DEVNULL)

    process = subprocess.Popen([*command, job.output], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (partial_path(job.output) / parts.STATE).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(asking)
    _, told = process.communicate()
    assert process.returncode == 1
    assert told.endswith("or with --resume, the same job goes on from there.\nInterrupted.\n")
    assert left_by(job) == ["found.gpkg.partial"]

    resumed = subprocess.run([*command, job.output, "--resume"], check=True, capture_output=True, text=True)
    assert "Going on where it was broken off" in resumed.stderr
    assert content(job.output) == content(str(tmp_path / "undisturbed" / "found.gpkg"))
    assert left_by(job) == ["found.gpkg"]


def test_a_run_that_cannot_write_its_result_is_not_lost(job, often, monkeypatch):
    run(job)
    undisturbed = content(job.output)
    Path(job.output).unlink()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(formats.pyogrio.raw, "write", full)
        events = []
        with pytest.raises(OutputError, match="No space left"):
            run(job, events.append)
    assert left_by(job) == ["found.gpkg.partial"]
    kept = next(event for event in events if "is kept in" in event.get("text", ""))
    assert kept["level"] == "warning" and str(partial_path(job.output)) in kept["text"]

    detector = IdealDetector()
    result = run(dataclasses.replace(job, resume=True), detector=detector)
    assert detector.batches == []
    assert content(job.output) == undisturbed
    assert result["above_floor"] == len(undisturbed[0][1])
    assert sum(result["objects"].values()) == (np.array(undisturbed[0][2][2]) >= 0.5).sum() > 0
    assert left_by(job) == ["found.gpkg"]


def broken_off(job):
    """Let a run crash after some tiles."""

    class Broken(IdealDetector):
        def look(self, image, score_floor):
            if len(self.batches) > 10:
                raise MemoryError
            return super().look(image, score_floor)

    with pytest.raises(MemoryError):
        run(job, detector=Broken())
    assert left_by(job) == ["found.gpkg.partial"]


def test_without_resume_an_earlier_run_is_replaced_and_it_is_said(job, often):
    broken_off(job)
    result = run(job)
    assert any("was broken off; what it left in" in sentence for sentence in result["notices"])
    assert left_by(job) == ["found.gpkg"]


def test_without_anything_to_resume_it_begins_and_says_so(job):
    result = run(dataclasses.replace(job, resume=True))
    assert any("nothing to go on from" in sentence for sentence in result["notices"])


@pytest.mark.parametrize(
    ("values", "differing"),
    [
        ({"threshold": 0.6}, "scores and overlap"),
        ({"batch_size": 4}, "batch size"),
        ({"overlap_px": 16}, "tiles"),
        ({"classes": ("red thing",)}, "classes"),
        ({"extent": (500_000.0, 3_999_900.0, 500_100.0, 4_000_000.0)}, "area, tiles"),
        ({"merge": "nms"}, "merging"),
        ({"value_range": (0.0, 200.0)}, "bands and value range"),
        ({"augment": ("flips",)}, "augmentation"),
    ],
    ids=str,
)
def test_another_job_does_not_go_on_from_the_parts(job, often, values, differing):
    broken_off(job)
    with pytest.raises(InvalidJob, match=f"left by another job: not the same {differing}\\."):
        run(dataclasses.replace(job, resume=True, **values))
    assert left_by(job) == ["found.gpkg.partial"]


def test_another_raster_model_or_backend_does_not_go_on_from_the_parts(job, often, tmp_path):
    broken_off(job)
    resumed = dataclasses.replace(job, resume=True)
    touched = Path(job.raster).stat()
    os.utime(job.raster, ns=(touched.st_atime_ns, touched.st_mtime_ns + 1))
    write_model(Path(job.model), dataclasses.replace(CARD, title="another"))
    detector = IdealDetector()
    detector.backend = type("Other", (), {**vars(IdealDetector.backend), "key": "cpu other"})
    with pytest.raises(InvalidJob, match=r"not the same backend, model, raster\."):
        run(resumed, detector=detector)


def test_a_file_of_statistics_beside_the_raster_changes_nothing(job, often):
    broken_off(job)
    Path(job.raster + ".aux.xml").write_text("<PAMDataset></PAMDataset>")
    run(dataclasses.replace(job, resume=True))
    assert left_by(job) == ["found.gpkg"]


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_cancelling_at_any_moment_leaves_nothing(job, often, suffix):
    job = dataclasses.replace(
        job, output=str(Path(job.output).with_suffix(suffix)), extent=(5e5, 399992e1, 500080, 4e6)
    )
    asked = []
    run(job, cancelled=lambda: asked.append(1))
    for path in Path(job.output).parent.iterdir():
        path.unlink()
    for moment in sorted({*range(0, len(asked), 5), *range(len(asked) - 8, len(asked))}):
        left = iter(range(moment))
        with pytest.raises(Cancelled):
            run(job, cancelled=lambda left=left: next(left, None) is None)
        assert left_by(job) == []


def test_cancelling_a_resumed_run_leaves_nothing(job, often):
    broken_off(job)
    asked = iter(range(6))
    with pytest.raises(Cancelled):
        run(dataclasses.replace(job, resume=True), cancelled=lambda: next(asked, None) is None)
    assert left_by(job) == []


def test_an_early_cancel_spares_what_an_earlier_run_left(job, often):
    broken_off(job)
    asked = iter(range(3))
    with pytest.raises(Cancelled):
        run(job, cancelled=lambda: next(asked, None) is None)
    assert left_by(job) == ["found.gpkg.partial"]
    run(dataclasses.replace(job, resume=True))


SLOW_WORKER = """#!{python}
import os, sys, time
sys.path.insert(0, {root!r})
from core import gathering, here
from core.detections import formats, merging, parts, vectors
from core.imagery import examined, raster
from core.job import unfinished
from tests.core.test_detect import IdealDetector

gathering.PART_SECONDS = 0.0
here.load_detector = lambda path, device: IdealDetector()

def stop(*args, **kwargs):
    print("stuck", file=sys.stderr, flush=True)
    {act}

{stage} = stop
from core.__main__ import main
sys.exit(main(["run"]))
"""


def worker_with(tmp_path, stage, act):
    """A worker with an ideal detector that does `act` at a stage, whatever is run."""
    script = tmp_path / "worker.py"
    script.write_text(SLOW_WORKER.format(python=sys.executable, root=str(ROOT), stage=stage, act=act))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return Worker(str(script), log_path=str(tmp_path / "worker.log"))


@pytest.mark.skipif(sys.platform == "win32", reason="a script is started by its first line")
@pytest.mark.parametrize(
    "stage",
    [
        "raster.Raster.read",
        "merging.Merger.finals",
        "parts.Parts.save",
        "examined.Examined.gaps",
        "formats.write",
    ],
)
def test_cancelling_does_not_wait_for_a_slow_stage(job, tmp_path, stage):
    def stuck():
        return "stuck" in log.read_text() if log.exists() else False

    log = tmp_path / "worker.log"
    asked = []

    def cancelled():
        if stuck():
            asked.append(time.monotonic())
        return bool(asked)

    with worker_with(tmp_path, stage, "time.sleep(60)") as worker:
        with pytest.raises(Cancelled):
            worker.run(job, lambda event: None, cancelled)
        seconds = time.monotonic() - asked[0]
    assert seconds < 10  # measured 1.7 s: after 1.5 s it is killed
    assert left_by(job) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a script is started by its first line")
def test_a_worker_that_dies_leaves_parts_to_go_on_from(job, tmp_path):
    dying = worker_with(tmp_path, "merging.Merger.finish", "os.kill(os.getpid(), 9)")
    with dying, pytest.raises(WorkerError, match="memory ran out"):
        dying.run(job, lambda event: None, never)
    assert left_by(job) == ["found.gpkg.partial"]
    with worker_with(tmp_path, "parts.unused", "pass") as worker:
        result = worker.run(dataclasses.replace(job, resume=True), lambda event: None, never)
    assert any("Going on" in sentence for sentence in result["notices"])
    assert left_by(job) == ["found.gpkg"]


@pytest.mark.skipif(sys.platform == "win32", reason="a script is started by its first line")
def test_a_worker_whose_caller_goes_leaves_parts_to_go_on_from(job, tmp_path):
    worker = worker_with(tmp_path, "merging.Merger.finish", "time.sleep(60)")
    process = subprocess.Popen([worker.python], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with process:
        process.stdin.write(job_to_json(job) + "\n")
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not partial_path(job.output).is_dir() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
    assert process.returncode == 1
    assert left_by(job) == ["found.gpkg.partial"]


def test_boxes_are_the_same_to_the_last_byte_from_run_to_run(job, tmp_path):
    torch.manual_seed(0)
    network = build_network(CARD.architecture, len(CARD.classes), len(CARD.bands))
    model = tmp_path / "untrained.safetensors"
    save_model(model, CARD, network.state_dict())
    job = dataclasses.replace(job, model=str(model), device="cpu", threshold=0.0, score_floor=0.0, batch_size=2)
    job = dataclasses.replace(job, tile_px=64, overlap_px=32, extent=SMALL)
    results = []
    for _ in range(2):
        detect(job, lambda event: None, never)
        results.append(content(job.output))
    assert results[0] == results[1]
    assert len(results[0][0][1]) > 100
