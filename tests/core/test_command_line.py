"""The command line as a user meets it: real processes, arguments in, exit codes and sentences out."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.__main__ import main
from core.arguments import TRAIN_HELP, job_of, parse_arguments
from core.job.augmentation import Augmentation
from core.job.card import CARD_KEY, Band, ModelCard, ObjectClass, card_to_json
from core.job.errors import Cancelled
from core.job.jobs import DetectJob, TrainJob
from core.terminal import Terminal, bar, detection_summary, duration, training_summary

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "core", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def model(tmp_path):
    card = ModelCard("pools", (ObjectClass("pool"),), (Band("red"), Band("green"), Band("blue")), 0.6)
    text = json.dumps({"__metadata__": {CARD_KEY: card_to_json(card)}}).encode()
    path = tmp_path / "pools.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


def detection(*options: str) -> DetectJob:
    required = ["detect", "/data/a.tif", "--model", "/data/m.safetensors", "--output", "/data/o.gpkg"]
    return job_of(parse_arguments([*required, *options]))


def test_what_is_not_given_is_left_to_the_model_card():
    assert detection() == DetectJob("/data/a.tif", "/data/m.safetensors", "/data/o.gpkg")


def test_every_option_of_a_detection_arrives():
    job = detection(
        *("--threshold", "0.4", "--score-floor", "0.1", "--nms-overlap", "0.3", "--tile", "640", "--overlap", "64"),
        *("--batch-size", "4", "--device", "cpu", "--bands", "4,1,2", "--value-range", "0,4095"),
        *("--mask", "/data/area.gpkg|layername=fields", "--resolution", "0.3", "--classes", "pool, Grüner Teich"),
        *("--augment", "flips,scales", "--merge", "nms"),
    )
    assert job == DetectJob(
        raster="/data/a.tif",
        model="/data/m.safetensors",
        output="/data/o.gpkg",
        threshold=0.4,
        score_floor=0.1,
        nms_overlap=0.3,
        tile_px=640,
        overlap_px=64,
        batch_size=4,
        device="cpu",
        bands=(4, 1, 2),
        value_range=(0.0, 4095.0),
        mask="/data/area.gpkg|layername=fields",
        resolution_m=0.3,
        classes=("pool", "Grüner Teich"),
        augment=("flips", "scales"),
        merge="nms",
    )


@pytest.mark.parametrize("words", [("--extent=-10,-20.5,30,40",), ("--extent", "-10,-20.5,30,40")])
def test_an_extent_may_begin_with_a_minus(words):
    assert detection(*words).extent == (-10.0, -20.5, 30.0, 40.0)
    assert detection("--value-range", "-.5,1").value_range == (-0.5, 1.0)
    assert detection("--resolution", "native").resolution_m == "native"


def test_relative_paths_become_absolute_and_gdal_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--model", "m.safetensors", "--output", "../o.gpkg", "--mask", "a.gpkg|layername=x"]
    job = job_of(parse_arguments(["detect", "in/a.tif", *arguments]))
    assert job.raster == str(tmp_path / "in" / "a.tif")
    assert job.model == str(tmp_path / "m.safetensors")
    assert job.output == str(tmp_path.parent / "o.gpkg")
    assert job.mask == str(tmp_path / "a.gpkg") + "|layername=x"
    name = "/vsicurl/https://example.org/a.tif"
    assert job_of(parse_arguments(["detect", name, *arguments])).raster == name


def test_every_field_of_a_training_is_an_option_with_help():
    fields = set(TrainJob.__dataclass_fields__) - {"data", "output"}
    assert set(TRAIN_HELP) == fields
    line = (
        "train /data/a /data/b --output /data/m.safetensors --levels P2,P3 --epochs 3 --anchor-sizes 8,16 "
        "--start-from /data/old.safetensors --bands 4,1,2 --name pools --learning-rate auto --resume "
        "--rasters /data/r.tif --labels /data/l.gpkg|layername=x --extent -1,2,3,4 --augmentation haze=0"
    )
    job = job_of(parse_arguments(line.split()))
    assert job == TrainJob(
        data=("/data/a", "/data/b"),
        output="/data/m.safetensors",
        levels=("P2", "P3"),
        epochs=3,
        anchor_sizes=(8.0, 16.0),
        start_from="/data/old.safetensors",
        bands=(4, 1, 2),
        name="pools",
        learning_rate=None,
        resume=True,
        rasters=("/data/r.tif",),
        labels=("/data/l.gpkg|layername=x",),
        extent=(-1.0, 2.0, 3.0, 4.0),
        augmentation=Augmentation(haze=0.0),
    )


def test_a_training_from_rasters_needs_no_folder():
    line = "train --rasters /data/r.tif /data/s.tif --labels /data/l.gpkg --output /data/m.safetensors"
    job = job_of(parse_arguments([*line.split(), "--start-from", "coco"]))
    assert (job.data, job.rasters, job.start_from) == ((), ("/data/r.tif", "/data/s.tif"), "coco")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("detect",),
        ("detect", "a.tif", "--model", "m", "--output", "o.gpkg", "--thresh", "0.5"),
        ("detect", "a.tif", "--model", "m", "--output", "o.gpkg", "--extent", "1,2,3"),
        ("detect", "a.tif", "--model", "m", "--output", "o.gpkg", "--extent", "a,b,c,d"),
        ("detect", "a.tif", "--model", "m", "--output", "o.gpkg", "--device", "tpu"),
        ("detect", "a.tif", "--model", "m", "--output", "o.gpkg", "--resolution", "fine"),
        ("card",),
    ],
    ids=" ".join,
)
def test_wrong_use_exits_2_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        parse_arguments(arguments)
    assert end.value.code == 2
    assert "usage: python -m core" in capsys.readouterr().err


def test_exit_codes_and_streams(tmp_path, model):
    wrong = run("detect", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    failed = run("detect", "a.tif", "--model", str(model), "--output", "o.gpkg", cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"The raster '{tmp_path / 'a.tif'}' does not exist.\n"
    done = run("card", "pools.safetensors", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pool" in done.stdout


def test_a_card_is_shown_for_people_and_for_programs(model):
    assert "classes     pool\n" in run("card", str(model)).stdout
    assert json.loads(run("card", str(model), "--json").stdout)["resolution_m"] == 0.6
    failed = run("card", str(model.parent / "none.safetensors"))
    assert failed.returncode == 1
    assert failed.stderr.startswith("The model '") and "Traceback" not in failed.stderr


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "for name in ('torch', 'numpy', 'rasterio', 'shapely', 'pyproj', 'pyogrio'):\n"
        "    sys.modules[name] = None\n"
        "from core.__main__ import main\n"
        "assert [main([*command, '--help']) for command in ([], ['detect'], ['train'], ['evaluate'])] == [0] * 4\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for option in ("--extent", "--threshold", "--anchor-sizes", "--iou"):
        assert option in shown.stdout


@pytest.mark.parametrize(("verb", "end"), [("detect", "Interrupted.\n"), ("suppress", "Cancelled.\n")])
def test_the_first_interrupt_asks_to_stop(model, monkeypatch, capsys, verb, end):
    def interrupted(job, report, cancelled):
        assert not cancelled()
        signal.raise_signal(signal.SIGINT)
        if cancelled():
            raise Cancelled

    monkeypatch.setattr(f"core.{verb}.{verb}", interrupted)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        job = [verb, str(model), "--output", str(model.parent / "o.gpkg")]
        assert main([*job, "--model", str(model)] if verb == "detect" else job) == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", end)


def test_what_nobody_foresaw_ends_in_a_sentence(model, monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("core.__main__.read_card", broken)
    assert main(["card", str(model)]) == 1
    assert capsys.readouterr().err.endswith("\nSomething unexpected went wrong: ZeroDivisionError: a bug.\n")


def test_progress_is_drawn():
    assert bar(0.5, "Tile 3 of 6", 65) == "[############------------]  50 %  Tile 3 of 6, 1:05 left"
    assert bar(1.0, "Writing", None) == "[########################] 100 %  Writing"
    assert duration(3725.4) == "1:02:05"


def test_without_a_terminal_only_notices_are_shown(capsys):
    terminal = Terminal()
    terminal.show({"event": "progress", "done": 0.5, "text": "Tile 3 of 6", "seconds_left": None})
    terminal.show({"event": "boxes", "boxes": [], "scores": [], "labels": []})
    terminal.show({"event": "notice", "text": "Bands assumed.", "level": "info"})
    terminal.show({"event": "notice", "text": "Half of it is empty.", "level": "warning"})
    terminal.clear()
    shown = capsys.readouterr()
    assert shown.err == "Bands assumed.\nWarning: Half of it is empty.\n"
    assert shown.out == ""


def test_the_summary_of_a_training_tells_the_figures():
    values = {"output": "/data/m.safetensors", "metrics": {"split": "val", "ap50": 0.87654}, "seconds": 3700}
    assert training_summary(values).splitlines() == [
        "/data/m.safetensors",
        "  split: val",
        "  ap50: 0.8765",
        "  in 1:01:40",
    ]


def test_the_summary_of_a_training_tells_test_figures_with_their_intervals():
    test = {"objects": 40, "ap30": 0.8, "recall": 0.75, "intervals": {"ap30": [0.7, 0.9123]}}
    values = {"output": "/data/m.safetensors", "metrics": {"ap30": 0.81, "test": test}, "seconds": 61}
    assert training_summary(values).splitlines()[1:5] == [
        "  ap30: 0.81",
        "  test objects: 40",
        "  test ap30: 0.8 (0.7 to 0.912)",
        "  test recall: 0.75",
    ]


def test_the_summary_of_a_detection_counts_by_class():
    summary = detection_summary(
        {
            "output": "/data/o.gpkg",
            "objects": {"pool": 1200, "pond": 0},
            "above_floor": 3400,
            "threshold": 0.5,
            "tiles": 42,
            "seconds": 75.0,
            "tiles_per_second": 0.56,
            "device": "cpu",
            "backend": "torch bf16",
            "not_examined_m2": 0.0,
        }
    )
    assert summary.splitlines()[:3] == ["/data/o.gpkg", "  pool: 1,200", "  pond: 0"]
    assert "1:15" in summary and "examined" not in summary
