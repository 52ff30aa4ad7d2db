"""Tilehawk's page in QGIS's options."""

from __future__ import annotations

from qgis.gui import (
    QgsCollapsibleGroupBox,
    QgsFileWidget,
    QgsFilterLineEdit,
    QgsOptionsPageWidget,
    QgsOptionsWidgetFactory,
)
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialogButtonBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..core.job.environment.environment import default_folder
from ..core.job.jobs import DEVICES
from .branding import add_help, icon
from .environment_panel import EnvironmentPanel
from .environment_tasks import CheckTask, start_task
from .settings import Settings, read_settings, write_settings
from .wording import tr

BUILDS = ("cpu", "cu126", "cu128", "cu130")


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page whenever QGIS opens its options."""

    def __init__(self) -> None:
        super().__init__("Tilehawk", icon(), "tilehawk")

    def createWidget(self, parent: QWidget | None) -> QgsOptionsPageWidget:
        """Make the page."""
        return OptionsPage(parent)


class OptionsPage(QgsOptionsPageWidget):
    """Device and folders; the worker's environment, where it is installed from, and a Python in its place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tilehawkOptions")
        settings = read_settings()
        self.device = QComboBox()
        for device, text in zip(
            DEVICES, (tr("Automatic"), tr("Processor (CPU)"), tr("NVIDIA GPU (CUDA)"), tr("Apple GPU (MPS)"))
        ):
            self.device.addItem(text, device)
        self.device.setCurrentIndex(DEVICES.index(settings.device))
        self.device.setToolTip(tr("Where models compute. Automatic takes a GPU where there is one."))
        self.cluster = _line(
            settings.cluster,
            tr(
                "Address of a Dask scheduler. Its machines then look at the tiles of every detection in this "
                "computer's place; they must see the rasters under the same paths. Trying on the map stays here."
            ),
            tr("None: this computer; else tcp://host:8786"),
        )
        self.model_folder = _folder(settings.model_folder, tr("Folder with further models (.safetensors)."))
        self.output_folder = _folder(settings.output_folder, tr("Folder that is offered first for results."))
        self._make_sources(settings)
        self.python = _file(
            settings.python,
            tr(
                "A Python of your own that has PyTorch and the other libraries; nothing is installed into it. Leave it "
                "empty for Tilehawk's own environment. Never QGIS's own Python."
            ),
        )
        self.python.setDialogTitle(tr("Python interpreter with PyTorch"))
        self.python.lineEdit().setPlaceholderText(tr("Tilehawk's own environment"))
        self.check = QPushButton(tr("Check"))
        self.check.setToolTip(tr("Have the Python in use look at a small picture, and say where it computes."))
        self.check.clicked.connect(self._check)
        self.outcome = QLabel()
        self.outcome.setWordWrap(True)
        self.environment = EnvironmentPanel(self._settings)
        for edit in (self.index_url, *(each.lineEdit() for each in self._paths()), self.proxy):
            edit.textChanged.connect(self.environment.refresh_soon)
        self.torch_backend.currentTextChanged.connect(self.environment.refresh_soon)
        self._arrange()

    def apply(self) -> None:
        """Store what the page says; called by QGIS on OK."""
        write_settings(self._settings())

    def _make_sources(self, settings: Settings) -> None:
        """Make the fields that say where packages come from and go to."""
        self.environment_folder = _folder(
            settings.environment_folder,
            tr("Where the environment is installed: a short path of plain letters with room for several gigabytes."),
        )
        self.environment_folder.lineEdit().setPlaceholderText(str(default_folder()))
        self.index_url = _line(
            settings.index_url,
            tr("Address of a mirror of the Python package index (PyPI); it may hold a user and a password."),
            "https://pypi.org/simple",
        )
        self.proxy = _line(
            settings.proxy,
            tr("Leave it empty for the proxy in QGIS's network settings. The address may hold a user and a password."),
            tr("QGIS's, or http://host:port"),
        )
        self.offline_folder = _folder(
            settings.offline_folder,
            tr(
                "Folder that holds all packages, for computers without a network. It is filled elsewhere with 'python "
                "-m core.job.environment wheelhouse'."
            ),
        )
        self.offline_folder.lineEdit().setPlaceholderText(tr("None: packages come from the network"))
        self.base_python = _file(
            settings.base_python,
            tr("Python 3.10 to 3.13 to build the environment on; it stays as it is. Empty: one is found or fetched."),
        )
        self.base_python.lineEdit().setPlaceholderText(tr("Found or downloaded"))
        self.torch_backend = QComboBox()
        self.torch_backend.setToolTip(
            tr("Build of PyTorch. Automatic takes the one for your graphics card, else the small one for processors.")
        )
        for text, build in ((tr("Automatic"), "auto"), (tr("The package index's"), "default")):
            self.torch_backend.addItem(text, build)
        for build in dict.fromkeys((*BUILDS, settings.torch_backend)):
            if self.torch_backend.findData(build) < 0:
                self.torch_backend.addItem(build, build)
        self.torch_backend.setCurrentIndex(self.torch_backend.findData(settings.torch_backend))

    def _paths(self) -> tuple[QgsFileWidget, ...]:
        return self.python, self.environment_folder, self.offline_folder, self.base_python

    def _arrange(self) -> None:
        general = _form(
            (tr("Compute on"), self.device),
            (tr("Cluster address"), self.cluster),
            (tr("Model folder"), self.model_folder),
            (tr("Result folder"), self.output_folder),
        )
        check = QHBoxLayout()
        check.addWidget(self.check)
        check.addWidget(self.outcome, 1)
        environment = QGroupBox(tr("Python environment"))
        inside = QVBoxLayout(environment)
        inside.addWidget(self.environment)
        inside.addLayout(_form((tr("Use this Python"), self.python), ("", check)))
        self.sources = QgsCollapsibleGroupBox(tr("Installation"))
        self.sources.setToolTip(tr("Where Tilehawk's own environment comes from, and where it lies"))
        self.sources.setLayout(
            _form(
                (tr("Install into"), self.environment_folder),
                (tr("Package mirror"), self.index_url),
                (tr("Proxy"), self.proxy),
                (tr("Folder of packages"), self.offline_folder),
                (tr("Build on Python"), self.base_python),
                (tr("PyTorch build"), self.torch_backend),
            )
        )
        self.sources.setCollapsed(True)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(general)
        column.addWidget(environment)
        column.addWidget(self.sources)
        column.addStretch()
        help_below = QDialogButtonBox()  # QGIS's own button below leads to its own manual
        add_help(help_below, "set-up#options")
        help_below.button(QDialogButtonBox.StandardButton.Help).setText(tr("Help on Tilehawk"))
        column.addWidget(help_below)
        scroll = QScrollArea()
        scroll.setWidget(page)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)

    def _settings(self) -> Settings:
        return Settings(
            python=self.python.filePath().strip(),
            device=self.device.currentData(),
            model_folder=self.model_folder.filePath().strip(),
            output_folder=self.output_folder.filePath().strip(),
            environment_folder=self.environment_folder.filePath().strip(),
            index_url=self.index_url.text().strip(),
            offline_folder=self.offline_folder.filePath().strip(),
            proxy=self.proxy.text().strip(),
            base_python=self.base_python.filePath().strip(),
            torch_backend=self.torch_backend.currentData(),
            cluster=self.cluster.text().strip(),
        )

    def _check(self) -> None:
        self.outcome.setText(tr("Starting Python; the first time takes up to a minute…"))
        self.check.setEnabled(False)
        task = CheckTask(self._settings())
        task.ended.connect(self._show_outcome)
        start_task(task)

    def _show_outcome(self, ok: bool, sentence: str) -> None:
        self.outcome.setText(("✓ " if ok else "✗ ") + sentence)
        self.check.setEnabled(True)


def _form(*rows: tuple[str, QWidget | QHBoxLayout]) -> QFormLayout:
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for text, field in rows:
        form.addRow(text, field)
    return form


def _line(text: str, tooltip: str, placeholder: str) -> QgsFilterLineEdit:
    edit = QgsFilterLineEdit()
    edit.setShowClearButton(True)
    edit.setText(text)
    edit.setToolTip(tooltip)
    edit.setPlaceholderText(placeholder)
    return edit


def _file(path: str, tooltip: str) -> QgsFileWidget:
    widget = QgsFileWidget()
    widget.setFilePath(path)
    widget.setToolTip(tooltip)
    return widget


def _folder(path: str, tooltip: str) -> QgsFileWidget:
    widget = _file(path, tooltip)
    widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    return widget
