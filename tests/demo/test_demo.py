"""The demo from end to end, small: a scene, a network that has learnt nothing, QGIS, a map and a summary."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.retinanet.network import build_network
from core.retinanet.weights import save_model

ROOT = Path(__file__).resolve().parents[2]
CARD = ModelCard(
    name="fresh",
    classes=(ObjectClass("pool"),),
    bands=(Band("red"), Band("green"), Band("blue")),
    resolution_m=0.6,
    architecture=Architecture(
        backbone="resnet18",
        backbone_stages=2,
        levels=("P3",),
        channels=16,
        head_channels=16,
        head_depth=0,
        anchor_sizes=(16.0,),
        anchor_scales=(1.0,),
        anchor_ratios=(1.0,),
    ),
    tile_px=128,
    overlap_px=32,
    score_floor=0.0,
    threshold=0.0,
    max_detections_per_tile=20,
)


@pytest.mark.skipif(shutil.which("qgis_process") is None, reason="QGIS is not installed here")
def test_the_demo_leaves_detections_a_map_and_a_summary(tmp_path):
    model = tmp_path / "fresh.safetensors"
    save_model(model, CARD, build_network(CARD.architecture, 1).state_dict())
    folder = tmp_path / "demo"
    command = [sys.executable, str(ROOT / "tests/demo/demo.py"), "--size", "256", "--model", model, "--folder", folder]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["tiles"] == 9  # 256 px in tiles of 128 px every 96 px
    assert summary["objects"]["pool"] > 0
    assert 0 < summary["seconds"] < 500
    assert 0 <= summary["f1"] <= 1
    assert f"pool {summary['objects']['pool']:,};" in run.stdout
    assert all(Path(summary[name]).is_file() for name in ("raster", "model", "detections", "map"))
    assert struct.unpack(">II", (folder / "map.png").read_bytes()[16:24]) == (2072, 1096)
