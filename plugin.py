"""The plugin as QGIS sees it: what `initGui` adds, `unload` takes away, in reverse order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import QgsApplication
from qgis.gui import QgisInterface

from .ui.provider import TilehawkProvider

if TYPE_CHECKING:
    from .ui.detect_dialog import DetectDialog


class TilehawkPlugin:
    """Adds the Processing provider, and in the desktop the dialog with its action, and the options page."""

    def __init__(self, iface: QgisInterface | None) -> None:
        """Keep the interface, which is None in qgis_process."""
        self.iface = iface
        self.provider: TilehawkProvider | None = None
        self.dialog: DetectDialog | None = None

    def initProcessing(self) -> None:
        """Add the algorithms; called by QGIS without a desktop, and by `initGui`."""
        self.provider = TilehawkProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add everything to the desktop; called by QGIS."""
        from qgis.PyQt.QtGui import QAction

        from .ui.branding import icon
        from .ui.detect_runs import DetectRuns
        from .ui.environment_tasks import TidyTask, start_task
        from .ui.options import OptionsFactory
        from .ui.results.desk import ResultsDesk
        from .ui.settings import read_settings
        from .ui.training.desk import TrainingDesk
        from .ui.wording import tr

        self.initProcessing()
        start_task(TidyTask(read_settings()))
        self.options = OptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)
        self.runs = DetectRuns(self.iface)
        self.action = QAction(icon(), tr("Detect objects…"), self.iface.mainWindow())
        self.action.setObjectName("tilehawkDetect")
        self.action.setToolTip(tr("Find objects on a raster with a model (Tilehawk)"))
        self.action.triggered.connect(self.show_dialog)
        self.iface.addPluginToRasterMenu("Tilehawk", self.action)
        self.toolbar = self.iface.addToolBar("Tilehawk")
        self.toolbar.setObjectName("tilehawkToolbar")
        self.toolbar.addAction(self.action)
        self.runs.again.asked.connect(self.detect_again)
        self.results = ResultsDesk(self.iface)
        self.toolbar.addAction(self.results.action)
        self.runs.review_asked.connect(self.results.review)
        self.runs.export_asked.connect(self.results.export)
        self.training = TrainingDesk(self.iface, self.detect_with)
        self.iface.addPluginToRasterMenu("Tilehawk", self.training.action)
        self.toolbar.addAction(self.training.action)
        self.results.can_train = True
        self.results.train_asked.connect(self.training.train_with)

    def unload(self) -> None:
        """Take everything away again; called by QGIS. Running detections are cancelled."""
        if self.iface is not None:
            if self.dialog is not None:
                self.dialog.close_worker(wait=True)
                self.dialog.deleteLater()
                self.dialog = None
            self.iface.removePluginRasterMenu("Tilehawk", self.training.action)
            self.training.close()
            self.results.close()
            self.toolbar.deleteLater()
            self.iface.removePluginRasterMenu("Tilehawk", self.action)
            self.action.deleteLater()
            self.runs.close()
            self.iface.unregisterOptionsWidgetFactory(self.options)
            del self.training, self.results, self.toolbar, self.action, self.runs, self.options
        QgsApplication.processingRegistry().removeProvider(self.provider)
        self.provider = None

    def show_dialog(self) -> None:
        """Open the Detect dialog, or bring it to the front; over it the set-up where detection has no Python yet."""
        from .ui.detect_dialog import DetectDialog
        from .ui.set_up_dialog import offer_set_up

        if self.dialog is None:
            self.dialog = DetectDialog(self.iface, self.runs)
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()
        offer_set_up(self.dialog, self.iface, ready=self.dialog.form.changed.emit)

    def detect_with(self, model: str) -> None:
        """Open the Detect dialog with a model, such as one that has just been trained."""
        self.show_dialog()
        self.dialog.form.model.set_path(model)

    def detect_again(self, parameters: dict[str, Any]) -> None:
        """Open the Detect dialog as it was filled in for an earlier run."""
        self.show_dialog()
        self.dialog.form.set_parameters(parameters)
