"""The whole way with the real worker: Processing, worker, torch, GeoPackage, layer; and qgis_process end to end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from qgis.core import QgsProcessingException, QgsProcessingFeedback, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from tests.ui.algorithm_calls import run
from tests.ui.installed import ROOT, WORKER_PYTHON, make_profile, qgis_environment, run_program
from tests.ui.scenery import wait_until, write_raster

SIDE = 160
pytestmark = pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv")
MAKE_MODEL = """
import sys, torch
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.retinanet.network import build_network
from core.retinanet.weights import save_model
torch.manual_seed(0)
torch.set_num_threads(1)
shape = Architecture(backbone="resnet18", backbone_stages=2, levels=("P2", "P3"), channels=8, head_channels=8,
                     head_depth=1, anchor_sizes=(8.0, 16.0))
card = ModelCard(name="tiny", title="Tiny", classes=(ObjectClass("pool"),), architecture=shape, resolution_m=0.6,
                 bands=(Band("red"), Band("green"), Band("blue")), tile_px=128, overlap_px=32, score_floor=0.001,
                 threshold=0.01, max_detections_per_tile=50)
save_model(sys.argv[1], card, build_network(shape, 1, 3).state_dict())
"""


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """Path of a RetinaNet with random weights: it sees pools everywhere, with a score near 0.01."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    subprocess.run([str(WORKER_PYTHON), "-c", MAKE_MODEL, str(path)], env=environment, check=True)
    return str(path)


@pytest.fixture
def big_raster(tmp_path):
    return str(write_raster(tmp_path / "suburb.tif", SIDE))


def test_run_through_processing(algorithm, context, tiny_model, big_raster, tmp_path):
    target = tmp_path / "found.gpkg"
    values = {"INPUT": big_raster, "MODEL": tiny_model, "OUTPUT": str(target), "THRESHOLD": 0.005, "DEVICE": "cpu"}
    assert algorithm.checkParameterValues(values, context) == (True, "")
    feedback = QgsProcessingFeedback()
    results, ok = algorithm.run(values, context, feedback, catchExceptions=False)
    assert ok, feedback.textLog()
    layer = QgsVectorLayer(results["OUTPUT"])
    assert [field.name() for field in layer.fields()][-4:] == ["id", "class", "score", "box_area_m2"]
    scores = [feature["score"] for feature in layer.getFeatures()]
    assert results["OBJECT_COUNT"] == sum(score >= 0.005 for score in scores) > 0
    assert results["THRESHOLD_USED"] == 0.005
    assert layer.crs().authid() == "EPSG:26911"


MORTAL_WORKER = """#!{python}
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from core import gathering
from core.__main__ import main
from core.detections.merging import Merger

def die(merger):
    death.unlink()
    os.kill(os.getpid(), 9)

death = Path({death!r})
gathering.PART_SECONDS = 0.0
if death.exists():
    Merger.finish = die
sys.exit(main(["run"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script is started by its first line")
def test_a_run_whose_worker_was_killed_goes_on_when_it_is_started_again(
    algorithm, context, tiny_model, big_raster, tmp_path, monkeypatch
):
    def boxes(layer):
        return [(feature["score"], feature.geometry().asWkt()) for feature in QgsVectorLayer(layer).getFeatures()]

    worker, death = tmp_path / "worker.py", tmp_path / "death"
    worker.write_text(MORTAL_WORKER.format(python=WORKER_PYTHON, root=str(ROOT), death=str(death)))
    worker.chmod(0o755)
    monkeypatch.setenv("TILEHAWK_PYTHON", str(worker))
    values = {"INPUT": big_raster, "MODEL": tiny_model, "THRESHOLD": 0.005, "DEVICE": "cpu", "BATCH_SIZE": 1}
    undisturbed, _ = run(algorithm, {**values, "OUTPUT": str(tmp_path / "undisturbed.gpkg")}, context)

    values["OUTPUT"] = str(tmp_path / "found.gpkg")
    death.touch()
    with pytest.raises(QgsProcessingException, match=r"worker's log.*start the same run again, and it goes on"):
        run(algorithm, values, context)
    assert sorted(path.name for path in tmp_path.glob("found*")) == ["found.gpkg.partial"]
    feedback = QgsProcessingFeedback()
    results, ok = run(algorithm, values, context, feedback)
    assert ok and "Going on where it was broken off: 4 of them" in feedback.textLog()
    assert boxes(results["OUTPUT"]) == boxes(undisturbed["OUTPUT"]) != []
    assert sorted(path.name for path in tmp_path.glob("found*")) == ["found.gpkg"]


def test_run_from_the_dialog(plugin, tiny_model, big_raster, tmp_path):
    from qgis.core import QgsProject

    plugin.show_dialog()
    form = plugin.dialog.form
    form.set_raster(big_raster)
    form.model.set_path(tiny_model)
    form.threshold.setValue(0.01)
    QTest.mouseClick(plugin.dialog.run_button, Qt.MouseButton.LeftButton)
    run = plugin.dialog._run
    wait_until(lambda: not run.running, 120)
    (layer,) = QgsProject.instance().mapLayersByName("Tiny: suburb")
    assert layer.subsetString() == '"score" >= 0.01'
    assert layer.renderer().type() == "categorizedSymbol"


def test_qgis_process_end_to_end(tiny_model, big_raster, tmp_path):
    if shutil.which("qgis_process") is None:
        pytest.skip("qgis_process is not on the PATH")
    environment = qgis_environment(make_profile(tmp_path / "profile", enabled=False))
    code, said = run_program(["qgis_process", "plugins", "enable", "tilehawk"], environment, 120)
    assert code == 0, said
    target = tmp_path / "found.gpkg"
    values = [f"INPUT={big_raster}", f"MODEL={tiny_model}", f"OUTPUT={target}", "THRESHOLD=0.005"]
    code, said = run_program(["qgis_process", "--json", "run", "tilehawk:detect", "--", *values], environment, 240)
    assert code == 0, said
    results = json.loads(said[said.index("{\n") :])["results"]
    assert results["OUTPUT"] == f"{target}|layername=detections"
    assert results["OBJECT_COUNT"] > 0
    assert QgsVectorLayer(results["OUTPUT"]).featureCount() >= results["OBJECT_COUNT"]
    code, said = run_program(
        ["qgis_process", "run", "tilehawk:detect", "--", *values[:2], "OUTPUT=/nowhere/found.gpkg"], environment, 120
    )
    assert code == 1
    assert "does not exist" in said


RUN_ALONE = """
import importlib.util, sys
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProject
root, raster, model, target = sys.argv[1:]
application = QgsApplication([], False)
application.initQgis()
spec = importlib.util.spec_from_file_location("tilehawk", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["tilehawk"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["tilehawk"])
plugin = sys.modules["tilehawk"].classFactory(None)
plugin.initProcessing()
algorithm = QgsApplication.processingRegistry().createAlgorithmById("tilehawk:detect")

class Feedback(QgsProcessingFeedback):
    def setProgressText(self, text):
        print("progress", flush=True)

values = {"INPUT": raster, "MODEL": model, "OUTPUT": target, "DEVICE": "cpu"}
algorithm.run(values, QgsProcessingContext(), Feedback())
"""


def children(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "--parent", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc, which only Linux has")
def test_killed_qgis_leaves_no_worker(tiny_model, tmp_path):
    raster = write_raster(tmp_path / "city.tif", 6000)
    target = tmp_path / "found.gpkg"
    environment = qgis_environment(tmp_path / "profile", TILEHAWK_PYTHON=str(WORKER_PYTHON))
    command = [sys.executable, "-c", RUN_ALONE, str(ROOT), str(raster), tiny_model, str(target)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as qgis:
        assert qgis.stdout.readline() == "progress\n"
        (worker,) = children(qgis.pid)
        assert is_running(worker)
        time.sleep(1)
        assert qgis.poll() is None, "the run was over too soon to be killed"
        qgis.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(worker), 20)
    assert not target.exists()
