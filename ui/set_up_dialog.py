"""The first run: a window that sets up the worker's environment, where there is none to detect with."""

from __future__ import annotations

from typing import Callable

from qgis.core import Qgis
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..core.job.environment.state import OUTDATED
from ..core.job.errors import WorkerError
from .branding import add_help, icon
from .environment import chosen_python, find_python, own_environment
from .environment_panel import EnvironmentPanel
from .settings import read_settings
from .wording import tr

TOLD = "tilehawkOutdatedTold"


class SetUpDialog(QDialog):
    """Explains what will be installed and does it in the background; closing it leaves the installation alone."""

    def __init__(self, parent: QWidget, iface: QgisInterface, ready: Callable[[], None]) -> None:
        """`ready` is called once an installation has ended well."""
        super().__init__(parent)
        self.setObjectName("tilehawkSetUp")
        self.setWindowTitle(tr("Set up Tilehawk"))
        self.setWindowIcon(icon())
        self._iface, self._ready = iface, ready
        self.explanation = QLabel(
            tr(
                "Tilehawk finds objects with PyTorch, which must not be mixed with QGIS's own libraries: it gets a "
                "Python environment of its own. QGIS's Python stays as it is, no administrator rights are needed, and "
                "nothing is downloaded before you choose Install."
            )
        )
        self.explanation.setWordWrap(True)
        self.panel = EnvironmentPanel(read_settings)
        self.panel.ended.connect(self._tell)
        self.other_ways = QLabel(
            tr(
                "Behind a proxy, with a mirror, without a network, or with a Python of your own that has PyTorch: "
                "choose Options."
            )
        )
        self.other_ways.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setToolTip(
            tr("Close this window; an installation that runs goes on")
        )
        add_help(self.buttons, "set-up")
        self.options = QPushButton(tr("Options…"))
        self.options.setToolTip(tr("Proxy, mirror, folder of packages, another folder, or a Python of your own"))
        self.buttons.addButton(self.options, QDialogButtonBox.ButtonRole.ActionRole)
        self.options.clicked.connect(self._open_options)
        self.buttons.rejected.connect(self.reject)
        self._arrange()
        self._fit = QTimer(self)  # once all that changed together has its size
        self._fit.setSingleShot(True)
        self._fit.timeout.connect(self._grow)
        self.panel.changed.connect(self._fit.start)
        self._scroll.verticalScrollBar().rangeChanged.connect(lambda *_: self._fit.start())
        self._grow()

    def showEvent(self, event: QShowEvent) -> None:
        """Take the height that the style gives to what is shown."""
        super().showEvent(event)
        self._fit.start()

    def _arrange(self) -> None:
        self._content = QWidget()
        inside = QVBoxLayout(self._content)
        inside.setContentsMargins(0, 0, 0, 0)
        for widget in (self.explanation, self.panel, self.other_ways):
            inside.addWidget(widget)
        inside.addStretch()
        self._scroll = QScrollArea()
        self._scroll.setWidget(self._content)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        layout = QVBoxLayout(self)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self.buttons)
        self.resize(38 * self.fontMetrics().height(), 0)

    def _grow(self) -> None:
        """Be as high as what is told needs, within the screen."""
        layout = self.layout()
        margins = layout.contentsMargins()
        inside = self._content.layout().totalHeightForWidth(self.width() - margins.left() - margins.right())
        around = margins.top() + margins.bottom() + 2 * max(layout.spacing(), 0)
        wanted = inside + around + self.buttons.sizeHint().height() + self.fontMetrics().height()
        room = self.screen().availableGeometry().height() * 9 // 10
        self.resize(self.width(), min(max(self.height(), wanted), room))
        hidden = self._scroll.verticalScrollBar().maximum()  # what a style's larger font needs besides
        if hidden:
            self.resize(self.width(), min(self.height() + hidden, room))

    def _open_options(self) -> None:
        self._iface.showOptionsDialog(self._iface.mainWindow(), "tilehawkOptions")
        self.panel.refresh()

    def _tell(self, ok: bool, sentence: str) -> None:
        """Say how it ended; in QGIS's window, too, for who has closed this one."""
        if ok:
            self.explanation.setText(tr("All is set up: close this window and detect objects."))
            self.other_ways.hide()
            self._ready()
        if not self.isVisible():
            level = Qgis.MessageLevel.Success if ok else Qgis.MessageLevel.Warning
            self._iface.messageBar().pushMessage("Tilehawk", sentence, level, 0)


def offer_set_up(parent: QWidget, iface: QgisInterface, ready: Callable[[], None]) -> None:
    """Open the set-up over `parent` where there is no Python to detect with; tell once where a newer one is due.

    `ready` is called once an installation has ended well.
    """
    settings = read_settings()
    try:
        find_python(settings)
        if chosen_python(settings) is None and own_environment(settings).state().kind == OUTDATED:
            _tell_of_update(parent, iface, ready)
    except WorkerError:
        _open(parent, iface, ready)


def _open(parent: QWidget, iface: QgisInterface, ready: Callable[[], None]) -> None:
    dialog = parent.findChild(SetUpDialog)
    if dialog is None:
        dialog = SetUpDialog(parent, iface, ready)
    else:
        dialog.panel.refresh()
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


def _tell_of_update(parent: QWidget, iface: QgisInterface, ready: Callable[[], None]) -> None:
    if parent.property(TOLD):
        return
    parent.setProperty(TOLD, True)
    bar = iface.messageBar()
    message = bar.createMessage(
        "Tilehawk", tr("Its Python environment is older than the plugin; detection still works.")
    )
    button = QPushButton(tr("Update…"))
    button.setToolTip(tr("See what would be installed, and install it"))
    button.clicked.connect(lambda: _open(parent, iface, ready))
    message.layout().addWidget(button)
    bar.pushWidget(message, Qgis.MessageLevel.Info, 30)
