"""Breaks into what the plugin does, in every way a person can; run in QGIS by `test_real_qgis.py`.

The cases are named in TILEHAWK_TEST_CASES as `during:act during:act …`, the last with the act `quit`: QGIS then ends
by itself. What went wrong in each is written to `said.json`, with the workers and files there were before the last act.
That the plugin works on is seen by the next case.
"""

import gc
import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path

ROOT, FOLDER = Path(os.environ["TILEHAWK_ROOT"]), Path(os.environ["TILEHAWK_TEST_FOLDER"])
sys.path.insert(0, str(ROOT))

from qgis.core import QgsApplication, QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer  # noqa: E402
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QObject, QTimer  # noqa: E402
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QPushButton  # noqa: E402
from qgis.utils import iface, loadPlugin, plugins, reloadPlugin, startPlugin, unloadPlugin  # noqa: E402

from tests.ui import scenery  # noqa: E402

STAND_IN, OUT, TEMPORARY = FOLDER / "stand_in", FOLDER / "out", Path(os.environ["TMPDIR"])

wait_until = partial(scenery.wait_until, seconds=120)  # a worker may have to load, on a busy computer
GOES_ON = {"run", "train"}  # these read files and outlive layers and projects; what a window asks does not
# results, and what a training needs that is gone on with
WANTED = ("found.gpkg", "reviewed.gpkg", "mine*")
WINDOWS = ("tilehawkDetectDialog", "tilehawkTrainDialog")


def workers() -> set[int]:
    """Workers of this QGIS."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            is_worker = folder.name.isdigit() and b"-m\0core\0run" in (folder / "cmdline").read_bytes()
            if is_worker and f"TILEHAWK_TEST_FOLDER={FOLDER}\0".encode() in (folder / "environ").read_bytes():
                found.add(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def files() -> set[str]:
    """What lies beside the outputs and in the folder for temporary files, but for QGIS's own."""
    found = {path for folder in (OUT, TEMPORARY) for path in folder.rglob("*") if path.is_file()}
    found.update(OUT.iterdir(), TEMPORARY.glob("tilehawk*"))
    return {str(path.relative_to(FOLDER)) for path in found if not str(path).startswith(str(TEMPORARY / "QGIS3"))}


def fill_project() -> None:
    """Add the raster, and polygons that are no file: labels, and the area to look at."""
    raster = iface.addRasterLayer(str(FOLDER / "suburb.tif"), "suburb")
    for name in ("labels", "area"):
        layer = QgsVectorLayer(f"Polygon?crs={raster.crs().authid()}&field=kind:string", name, "memory")
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(raster.extent().buffered(-5)))
        feature.setAttributes(["pool"])
        layer.dataProvider().addFeature(feature)
        layer.setCustomProperty("skipMemoryLayersCheck", 1)  # QGIS would ask about them when it is left
        QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(raster)
    iface.zoomToActiveLayer()


def layer(name: str) -> object:
    """The project's layer of a name."""
    (found,) = QgsProject.instance().mapLayersByName(name)
    return found


def open_detect(output: str) -> object:
    """Open the dialog filled in."""
    plugin = plugins["tilehawk"]
    plugin.action.trigger()
    plugin.dialog.card.show_facts({})  # it would show those of before until it knows new ones
    form = plugin.dialog.form
    form.set_raster(str(FOLDER / "suburb.tif"))
    form.model.set_path(os.environ["TILEHAWK_TEST_MODEL"])
    form.area.set_layer(layer("area"))
    form.output.setFilePath(str(OUT / output))
    return plugin.dialog


def open_train() -> object:
    """Open the Train dialog filled in, and wait until its worker has begun."""
    plugin = plugins["tilehawk"]
    (STAND_IN / "pid").unlink(missing_ok=True)
    plugin.training.show(layer("suburb"), layer("labels"), CLASS_FIELD="kind")
    dialog = plugin.training.dialog
    if dialog.back_button.isVisible():  # the last training is still shown
        dialog.back_button.click()
    dialog.form.area.set_layer(layer("area"))
    dialog.form.output.setFilePath(str(OUT / "mine.safetensors"))
    wait_until(job_begun)
    return dialog


def job_begun() -> bool:
    """Whether the stand-in has taken a job."""
    return (STAND_IN / "pid").exists()


def begin(during: str) -> None:
    """Have the plugin in the middle of something; `early`: of the real worker's run, before the card has an answer."""
    if during in ("early", "warm", "run", "try", "all"):
        dialog = open_detect("found.gpkg")
    if during in ("warm", "run", "try", "all"):
        wait_until(lambda: "seconds" in dialog.card.facts)
    if during in ("try", "all"):
        click(dialog.try_button)
    if during == "early":
        dialog.run_button.click()
        wait_until(lambda: any(OUT.glob("*.partial")))
    if during in ("run", "all"):
        click(dialog.run_button)
    if during in ("survey", "train", "all"):
        dialog = open_train()
    if during in ("train", "all"):
        click(dialog.run_button)
    if during == "review":
        review()


def click(button: QPushButton) -> None:
    """Have a job begun."""
    (STAND_IN / "pid").unlink(missing_ok=True)
    button.click()
    wait_until(job_begun)


def review() -> None:
    """Find objects, and begin to look at them."""
    find("reviewed.gpkg")
    desk = plugins["tilehawk"].results
    desk.review()
    wait_until(lambda: desk.dock.review.layer is not None)
    desk.dock.review.accept.click()


def find(output: str) -> None:
    """Have objects found, as one who uses the plugin does."""
    (STAND_IN / "finish").touch()
    dialog = open_detect(output)
    dialog.run_button.click()
    wait_until(lambda: any(output in each.source() for each in QgsProject.instance().mapLayers().values()))
    dialog.close()
    (STAND_IN / "finish").unlink()


def flush() -> None:
    """Let Qt and Python delete what is to be deleted."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    QCoreApplication.processEvents()


def disable() -> None:
    """As the plugin manager does when its box is cleared."""
    assert unloadPlugin("tilehawk")
    flush()


def disable_and_enable() -> None:
    """Clear the box, and tick it again."""
    disable()
    assert not leftover_widgets(), leftover_widgets()
    assert loadPlugin("tilehawk")
    assert startPlugin("tilehawk")


def new_project() -> None:
    """Close the project without saving it."""
    QgsProject.instance().setDirty(False)
    iface.newProject(False)
    flush()


def remove_raster() -> None:
    """Take the raster out of the project."""
    QgsProject.instance().removeMapLayer(layer("suburb").id())
    flush()


def leftover_widgets() -> list[str]:
    """Windows, docks and actions of ours that QGIS still has."""
    names = [each.objectName() for each in iface.mainWindow().findChildren(QObject)]
    return [name for name in names if name.startswith("tilehawk")]


ACTS = {
    "disable": disable_and_enable,
    "reload": partial(reloadPlugin, "tilehawk"),
    "new": new_project,
    "remove": remove_raster,
}


def check(during: str, act: str) -> None:
    """Break in, and see that nothing stays behind and the plugin works on."""
    before = files()
    begin(during)
    ACTS[act]()
    assert act == "remove" or "LiveBoxes" not in {type(each).__name__ for each in iface.mapCanvas().scene().items()}
    if act in ("new", "remove") and during in GOES_ON:
        assert workers()
        (STAND_IN / "finish").touch()
        made = OUT / ("found.gpkg" if during == "run" else "mine.safetensors")
        wait_until(made.exists)
    close_windows()
    wait_until(lambda: not workers() and not QgsApplication.taskManager().countActiveTasks())
    new_project()
    for made in (path for name in WANTED for path in OUT.glob(name)):
        made.unlink()
    assert files() <= before, f"left behind: {sorted(files() - before)}"


def close_windows() -> None:
    """Close what of ours is open."""
    for window in QApplication.topLevelWidgets():
        if window.objectName() in WINDOWS:
            window.close()


def outcome(case: str) -> str:
    """Do one case in a fresh project; gives what went wrong, empty where nothing did."""
    for name in ("pid", "warm_pid", "finish"):
        (STAND_IN / name).unlink(missing_ok=True)
    try:
        new_project()
        fill_project()
        check(*case.split(":"))
    except BaseException:
        reloadPlugin("tilehawk")  # so that the next case has a chance
        return traceback.format_exc()
    return ""


def leave(during: str, problems: dict[str, str]) -> None:
    """Quit QGIS in the middle of something: agree that running tasks are cancelled; QGIS wants to be asked again."""
    new_project()
    fill_project()
    begin(during)
    QgsProject.instance().setDirty(False)
    said = {"problems": problems, "workers": sorted(workers()), "files": sorted(files())}
    (FOLDER / "said.json").write_text(json.dumps(said))
    QTimer.singleShot(200, agree)
    iface.actionExit().trigger()


def agree() -> None:
    """Say yes to what QGIS asks, and ask it again once nothing runs."""
    box = QApplication.activeModalWidget()
    if isinstance(box, QMessageBox):
        box.button(QMessageBox.StandardButton.Yes).click()
        quit_when_done()
    else:
        QTimer.singleShot(200, agree)


def quit_when_done() -> None:
    """Quit once all tasks have ended."""
    if QgsApplication.taskManager().countActiveTasks():
        QTimer.singleShot(200, quit_when_done)
    else:
        iface.actionExit().trigger()


def main() -> None:
    """Do all cases."""
    *cases, last = os.environ["TILEHAWK_TEST_CASES"].split()
    try:
        leave(last.split(":")[0], {case: outcome(case) for case in cases})
    except BaseException:
        traceback.print_exc()
        os._exit(1)


sys.excepthook = traceback.print_exception  # QGIS would show an error in a slot, and the test not know of it
QTimer.singleShot(500, main)
