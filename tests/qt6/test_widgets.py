"""Our own widgets under Qt 6: all that paint, choose and tell without a class of QGIS's; QGIS 4 is not at hand.

`qgis.PyQt` is PyQt6 here (see shim/qgis), so each widget is imported, built, drawn and used as QGIS 4 would.
"""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "resources" / "models" / "swimming-pools.safetensors"
SHIM = {"qgis.core.QgsApplication", "qgis.core.QgsSettings"}
FACTS = {
    "tiles": 12, "seconds": 14.2, "device": "CPU", "backend": "torch", "source_resolution_m": 0.1,
    "model_resolution_m": 0.6, "resampled": True, "dtype": "uint8", "nodata": 0, "bands": {"red": 1},
    "free_bytes": 5e10,
    "warnings": [{"text": "The raster is much finer.", "remedy": "It is resampled."}],
}  # fmt: skip
SURVEY = {
    "classes": {"pool": {"train": 20, "val": 5, "test": 5}}, "resolution_m": 0.6, "warnings": ["Few."], "seconds": 300,
    "epochs": 40, "device": "CPU",
    "anchors": {"median_px": 12, "histogram": {"edges_px": [0, 8, 12, 16], "counts": [0, 10, 20, 0]},
                "chosen": {"sizes": [10, 20], "reached": 0.99}, "default": {"sizes": [32], "reached": 0.4}},
}  # fmt: skip
EPOCH = {"epoch": 1, "focal_loss": 1.0, "box_loss": 0.5, "ap30": 0.6, "ap50": 0.5}


def ui(module):
    """Import a module of ui, on Qt 6."""
    return importlib.import_module(f"tilehawk.ui.{module}")


def heard(signal):
    """Collect what a signal brings."""
    found = []
    signal.connect(lambda *values: found.append(values))
    return found


def drawn(widget):
    """Show a widget, and count the colours of its picture."""
    widget.resize(widget.sizeHint().expandedTo(widget.minimumSizeHint()))
    widget.show()
    image = widget.grab().toImage()
    places = [(x, y) for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)]
    return len({image.pixel(x, y) for x, y in places})


def press(widget, key):
    from qgis.PyQt.QtTest import QTest

    QTest.keyClick(widget, key)


def wait(condition, seconds=20):
    from qgis.PyQt.QtTest import QTest

    for _ in range(seconds * 50):
        if condition():
            return
        QTest.qWait(20)
    raise AssertionError("waited in vain")


def histogram():
    from qgis.PyQt.QtCore import QPointF, Qt
    from qgis.PyQt.QtTest import QTest

    widget = ui("results.histogram").ConfidenceHistogram()
    told = heard(widget.value_changed)
    widget.set_bins([3, 0, 100, 20])
    widget.resize(widget.sizeHint())
    press(widget, Qt.Key.Key_PageUp)
    press(widget, Qt.Key.Key_Right)
    middle = QPointF(widget.place_of(0.5), 20).toPoint()
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    assert [round(value, 1) for (value,) in told] == [0.1, 0.1, 0.5]
    return widget


def class_table():
    from qgis.PyQt.QtCore import Qt
    from qgis.PyQt.QtGui import QColor

    widget = ui("results.class_table").ClassTable()
    switched = heard(widget.switched)
    widget.show_figures({"pool": (QColor("#00e5ff"), True)}, {"pool": (1312, 52_000.0), "tree": (2, 9.5)})
    widget.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    assert switched == [("pool", False)]
    assert widget.topLevelItem(1).text(1) == "2"
    return widget


def class_picker():
    from qgis.PyQt.QtCore import Qt

    widget = ui("class_picker").ClassPicker()
    changed = heard(widget.changed)
    widget.set_card(read_card())
    widget.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert len(changed) == 1
    with pytest.raises(Exception, match=r"\w"):
        widget.names()
    widget.choose([])
    assert widget.names() == []
    return widget


def read_card():
    from tilehawk.core.job.card import read_card as read

    return read(MODEL)


def model_picker():
    from qgis.PyQt.QtCore import Qt

    widget = ui("model_picker").ModelPicker()
    cards = heard(widget.changed)
    widget.set_path(str(MODEL))
    press(widget.models, Qt.Key.Key_Down)
    assert widget.path() != str(MODEL)
    assert cards[-1][0] == widget.card
    assert widget.summary.text()
    return widget


def preflight_card():
    widget = ui("preflight_card").PreflightCard()
    widget.show_facts(FACTS)
    assert "12" in widget.headline.text()
    assert len(widget.sentences()) == 1
    return widget


def survey_card():
    widget = ui("training.survey_card").SurveyCard()
    widget.show_facts(SURVEY)
    assert "30" in widget.headline.text()
    assert "99" in widget.fact("anchors")
    return widget


def sizes():
    widget = ui("training.sizes").SizeHistogram()
    widget.set_counts([0, 8, 12, 16], [0, 10, 20, 0])
    return widget


def curve():
    widget = ui("training.curve").TrainingCurve("AP", "Loss")
    for precision in (0.5, 0.7, 0.6):
        widget.add({**EPOCH, "ap50": precision})
    assert widget.best() == 2
    return widget


def merge_dialog():
    from qgis.PyQt.QtCore import Qt
    from qgis.PyQt.QtTest import QTest

    module = ui("results.merge_dialog")
    widget = module.MergeDialog("pools")
    accepted = heard(widget.accepted)
    widget.choose(module.REPLACE)
    QTest.mouseClick(widget.ok, Qt.MouseButton.LeftButton)
    assert (widget.choice, len(accepted)) == (module.REPLACE, 1)
    return widget


def keys():
    from qgis.PyQt.QtCore import Qt
    from qgis.PyQt.QtTest import QTest
    from qgis.PyQt.QtWidgets import QLineEdit

    pressed = []
    widget = QLineEdit("A key that is taken is not typed")
    taken = ui("review.keys").PageKeys(widget, {Qt.Key.Key_A: lambda: pressed.append("a")}, lambda: pressed.append("z"))
    taken.watch(widget)
    widget.show()
    press(widget, Qt.Key.Key_A)
    press(widget, Qt.Key.Key_B)
    QTest.keyClick(widget, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    taken.release()
    press(widget, Qt.Key.Key_A)
    assert pressed == ["a", "z"]
    return widget


def notice():
    from qgis.PyQt.QtCore import Qt
    from qgis.PyQt.QtTest import QTest

    widget = ui("results.notice").Notice()
    widget.tell("Done.", 60)
    QTest.mouseClick(widget.dismiss, Qt.MouseButton.LeftButton)
    assert not widget.isVisible()
    widget.warn("The layer is being edited: save or discard its changes first.")
    assert widget.isVisible()
    return widget


USES = {
    "class_picker": class_picker,
    "model_picker": model_picker,
    "preflight_card": preflight_card,
    "results.class_table": class_table,
    "results.histogram": histogram,
    "results.merge_dialog": merge_dialog,
    "results.notice": notice,
    "review.keys": keys,
    "training.curve": curve,
    "training.sizes": sizes,
    "training.survey_card": survey_card,
}
OTHERS = {"branding", "fact_card", "warm_worker"}  # used by those above, and below


def imports(name):
    """What a module of ui imports when it is loaded: names of QGIS's, and modules of ui."""
    path = ROOT / "ui" / Path(*name.split(".")).with_suffix(".py")
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module.startswith("qgis."):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level and not (node.module or "").startswith("core."):
            folder = name.split(".")[: -node.level]
            yield ".".join([*folder, node.module])


def of_qgis(name, seen):
    """Names of QGIS's that a module needs, itself or by way of another."""
    seen.add(name)
    found = set()
    for each in imports(name):
        if each.startswith("qgis."):
            found.add(each)
        elif each not in seen:
            found |= of_qgis(each, seen)
    return found


def own_widgets():
    """Modules of ui that use Qt, and of QGIS's what the shim has."""
    paths = sorted(path.relative_to(ROOT / "ui") for path in (ROOT / "ui").rglob("*.py") if path.stem != "__init__")
    for name in (".".join(path.with_suffix("").parts) for path in paths):
        itself = any(each.startswith("qgis.PyQt") for each in imports(name))
        if itself and all(each in SHIM or each.startswith("qgis.PyQt") for each in of_qgis(name, set())):
            yield name


def test_every_widget_of_our_own_is_tried():
    assert set(own_widgets()) == {*USES, *OTHERS}


@pytest.mark.parametrize("name", list(USES))
def test_a_widget_is_built_used_and_drawn(name, language):
    widget = USES[name]()
    assert drawn(widget) > 2
    widget.close()


def test_a_help_button_knows_its_page():
    from qgis.PyQt.QtWidgets import QDialogButtonBox

    buttons = QDialogButtonBox()
    ui("branding").add_help(buttons, "results#merge")
    assert buttons.button(QDialogButtonBox.StandardButton.Help).property("helpPage") == "results#merge"
    assert not ui("branding").icon().isNull()


def test_answers_of_the_warm_worker_come_in_the_main_thread():
    import threading

    module = ui("warm_worker")

    class Fake:
        def run(self, job, tell, given_up):
            tell({"event": "progress"})
            return {"seconds": 1}

        def close(self):
            threads.append("closed")

    threads = []
    worker = module.WarmWorker(Fake)
    told, answered = heard(worker.told), heard(worker.answered)
    worker.answered.connect(lambda *_: threads.append(threading.current_thread() is threading.main_thread()))
    number = worker.ask("preflight", lambda _: module.Asked(None, dict, lambda: None))
    wait(lambda: answered)
    worker.close(wait=True)
    assert (told, answered) == ([(number, {"event": "progress"})], [(number, {"seconds": 1})])
    assert threads == [True, "closed"]
