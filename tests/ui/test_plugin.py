"""Loading and unloading are mirror images, also in a second round and without a desktop."""

import subprocess
import sys
from pathlib import Path

import tilehawk
from qgis.core import QgsApplication
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QCoreApplication, QEvent
from qgis.PyQt.QtWidgets import QWidget

ROOT = Path(__file__).resolve().parents[2]


def provider():
    return QgsApplication.processingRegistry().providerById("tilehawk")


def flush_deleted():
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_load_unload_reload(qgis_iface, qgis_processing):
    main = qgis_iface.mainWindow()
    for _ in range(2):
        plugin = tilehawk.classFactory(qgis_iface)
        assert provider() is None
        plugin.initGui()
        assert provider().name() == "Tilehawk"
        plugin.show_dialog()
        assert plugin.dialog.isVisible()
        plugin.unload()
        flush_deleted()
        assert provider() is None
        assert main.findChild(QWidget, "tilehawkDetectDialog") is None


def test_every_call_has_its_mirror(qgis_processing, monkeypatch):
    """Whatever is registered with QGIS's interface is unregistered with the same object."""
    from unittest.mock import MagicMock

    from qgis.PyQt.QtWidgets import QMainWindow

    iface = MagicMock()
    window = QMainWindow()
    iface.mainWindow.return_value = window
    iface.addToolBar.side_effect = window.addToolBar
    plugin = tilehawk.classFactory(iface)
    plugin.initGui()
    menu = iface.addPluginToRasterMenu.call_args_list
    factory = iface.registerOptionsWidgetFactory.call_args
    plugin.unload()
    assert iface.removePluginRasterMenu.call_args_list == menu[::-1]
    assert iface.unregisterOptionsWidgetFactory.call_args == factory
    flush_deleted()
    assert window.findChildren(QWidget, "tilehawkToolbar") == []


def test_without_desktop(qgis_processing):
    plugin = tilehawk.classFactory(None)
    plugin.initProcessing()
    assert provider() is not None
    plugin.unload()
    assert provider() is None


def test_loading_imports_nothing_heavy():
    """Neither our code nor QGIS's loading of it brings torch, rasterio or shapely into QGIS."""
    code = """
import sys, importlib.util
from qgis.core import QgsApplication
app = QgsApplication([], False)
root = sys.argv[1]
spec = importlib.util.spec_from_file_location("tilehawk", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["tilehawk"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["tilehawk"])
before = set(sys.modules)
import tilehawk.plugin, tilehawk.ui.detect_dialog, tilehawk.ui.options
new = {name.split(".")[0] for name in set(sys.modules) - before}
heavy = {"torch", "torchvision", "numpy", "rasterio", "shapely", "pyogrio", "pyproj", "osgeo", "processing"}
print(sorted(new & heavy))
"""
    done = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_icon_and_metadata():
    lines = (ROOT / "metadata.txt").read_text(encoding="utf-8").splitlines()
    metadata = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith(" "))
    for key in ("name", "qgisMinimumVersion", "description", "about", "version", "author", "email", "repository",
                "tracker", "homepage", "tags", "category", "icon", "hasProcessingProvider"):  # fmt: skip
        assert metadata[key], key
    assert metadata["hasProcessingProvider"] == "yes"
    assert (ROOT / metadata["icon"]).is_file()
    assert QgsGui.instance() is not None
