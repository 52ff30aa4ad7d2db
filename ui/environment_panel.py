"""What Tilehawk's Python environment is, what installing it would mean, and the installation itself."""

from __future__ import annotations

from typing import Callable

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QApplication,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..core.job.environment.state import BROKEN, INSTALLING, NOT_INSTALLED, OUTDATED, READY, Plan, State
from ..core.job.errors import WorkerError
from .environment import chosen_python, own_environment
from .environment_tasks import InstallTask, PlanTask, running_installation, start_task
from .settings import Settings, write_settings
from .told import tr_core
from .wording import tr

LOOK_MS, WAIT_MS = 2000, 400  # between looks at another QGIS's installation; after the last change of the settings
ICONS = {
    READY: "/mIconSuccess.svg",
    BROKEN: "/mIconWarning.svg",
    OUTDATED: "/mIconInfo.svg",
    NOT_INSTALLED: "/mIconInfo.svg",
    INSTALLING: "/mIconInfo.svg",
}


class EnvironmentPanel(QWidget):
    """State of the environment that `settings()` lead to, with Install, Repair, Cancel and 'Copy diagnostics'.

    Nothing is downloaded before a click. An installation goes on when the panel closes, and the next panel shows it.
    `ended` (ok, sentence) tells the outcome, `changed` that it may need another height.
    """

    ended = pyqtSignal(bool, str)
    changed = pyqtSignal()

    def __init__(self, settings: Callable[[], Settings], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._task: InstallTask | None = None
        self._planning: PlanTask | None = None
        self._outcome = ""
        self.sign, self.title, self.sentence = QLabel(), QLabel(), _text()
        self.plan = {name: _text() for name in ("what", "source", "size", "time", "folder")}
        self.notices, self.status, self.progress = _text(), _text(), QProgressBar()
        self.progress.setToolTip(tr("How far the installation is"))
        self.install = _button("", tr("Download and install what is listed above, in the background"))
        self.repair = _button(tr("Repair"), tr("Install everything anew, with what was downloaded before"))
        self.cancel = _button(tr("Cancel"), tr("Stop the installation; what was downloaded is kept"))
        self.diagnostics = _button(
            tr("Copy diagnostics"), tr("Copy all that helps to find a fault, without passwords, for a report")
        )
        self._arrange()
        self.install.clicked.connect(self._install)
        self.repair.clicked.connect(self._repair)
        self.cancel.clicked.connect(self._cancel)
        self.diagnostics.clicked.connect(self._copy_diagnostics)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the environment is now."""
        running = running_installation()
        if self._task is None and running is not None:
            self._follow(running)
        settings = self._settings()
        state = own_environment(settings).state()
        if self._task is not None:
            state = State(INSTALLING, tr("It is being installed in the background; QGIS stays usable."))
        self._show_kind(state.kind)
        self._show_sentence(settings, state)
        if state.kind == INSTALLING and self._task is None:
            self._later.start(LOOK_MS)
        if state.kind in (NOT_INSTALLED, BROKEN, OUTDATED):
            self._planning = PlanTask(settings)
            self._planning.planned.connect(self._show_plan)
            self._planning.ended.connect(self._show_problem)
            start_task(self._planning)
        self.changed.emit()

    def _show_sentence(self, settings: Settings, state: State) -> None:
        """Say how it is, and which Python detection runs in where that is another."""
        sentence = self._outcome or _about(state)
        try:
            chosen = chosen_python(settings)
        except WorkerError as problem:
            self.sentence.setText(f"{tr_core(problem)} {sentence}")
            return
        if chosen is not None:
            instead = tr("Detection runs in '{path}', not in Tilehawk's own environment.").format(path=chosen)
            needed = state.kind != NOT_INSTALLED or self._outcome
            sentence = f"{instead} {sentence}" if needed else instead
            if not needed:
                self.title.setText(tr("Not needed"))
        self.sentence.setText(sentence)

    def refresh_soon(self) -> None:
        """Look again once the settings have rested for a moment."""
        self._outcome = ""
        self._later.start(WAIT_MS)

    def _install(self) -> None:
        self._start(anew=False)

    def _repair(self) -> None:
        self._start(anew=True)

    def _start(self, anew: bool) -> None:
        settings = self._settings()
        write_settings(settings)  # what is installed must be found again, also when the options are then cancelled
        self._outcome, self._planning = "", None
        task = InstallTask(settings, anew)
        self._follow(task)
        start_task(task)
        self.refresh()

    def _follow(self, task: InstallTask) -> None:
        self._task = task
        task.said.connect(self.status.setText)
        task.progressed.connect(self._show_progress)
        task.noticed.connect(self._show_notices)
        task.ended.connect(self._end)
        self.status.setText(task.text)
        self._show_progress(task.percent)
        self._show_notices(task.notices)

    def _cancel(self) -> None:
        if self._task is not None:
            self.cancel.setEnabled(False)
            self.status.setText(tr("Stopping…"))
            self._task.cancel()

    def _end(self, ok: bool, sentence: str) -> None:
        self._task = None
        self._outcome = "" if ok else sentence or tr("Cancelled.")
        self.status.setText("")
        self.refresh()
        self.ended.emit(ok, self._outcome or sentence)

    def _copy_diagnostics(self) -> None:
        QApplication.clipboard().setText(own_environment(self._settings()).diagnostics())
        self.status.setText(tr("The diagnostics are in the clipboard, without passwords."))
        self.status.show()

    def _show_kind(self, kind: str) -> None:
        """Show what belongs to a kind of state."""
        titles = {
            NOT_INSTALLED: tr("Not installed"),
            INSTALLING: tr("Installing"),
            READY: tr("Installed"),
            BROKEN: tr("Not usable yet"),
            OUTDATED: tr("Update available"),
        }
        size = self.fontMetrics().height()
        self.sign.setPixmap(QgsApplication.getThemeIcon(ICONS[kind]).pixmap(size, size))
        self.title.setText(titles[kind])
        own = self._task is not None
        actions = {NOT_INSTALLED: tr("Install"), BROKEN: tr("Try again"), OUTDATED: tr("Update")}
        self.install.setText(actions.get(kind, ""))
        self.install.setVisible(kind in actions)
        self.repair.setVisible(kind in (READY, BROKEN))
        self.cancel.setVisible(own)
        self.cancel.setEnabled(own)
        self.progress.setVisible(own)
        self.status.setVisible(own)
        self.notices.setVisible(bool(self.notices.text()))
        self.rows.setVisible(kind in actions or (own and bool(self.plan["what"].text())))

    def _show_plan(self, plan: Plan) -> None:
        if self.sender() not in (None, self._planning):
            return
        size = tr("about {download} to download").format(download=_size(plan.download_mb))
        time = tr("about {n} min at 50 Mbit/s, then a few minutes to unpack and check").format(n=plan.minutes)
        if plan.fallback_mb:
            more = tr("{download} where download.pytorch.org cannot be reached")
            size = f"{size} ({more.format(download=_size(plan.fallback_mb))})"
        if not plan.download_mb:
            size, time = tr("nothing to download"), tr("a few minutes to unpack and check")
        disk = tr("{disk} on disk, where {free} are free")
        texts = {
            "what": f"{', '.join(plan.packages)} ({tr_core(plan.build)})",
            "source": ", ".join(plan.sources),
            "size": f"{size}; {disk.format(disk=_size(plan.disk_mb), free=_size(plan.free_mb))}",
            "time": time,
            "folder": plan.folder,
        }
        for name, text in texts.items():
            self.plan[name].setText(text)
        self.changed.emit()

    def _show_problem(self, ok: bool, sentence: str) -> None:
        if not ok and self._task is None:
            self.sentence.setText(sentence)
            self.changed.emit()

    def _show_progress(self, percent: float) -> None:
        self.progress.setValue(round(percent))

    def _show_notices(self, text: str) -> None:
        self.notices.setText(text)
        self.notices.setVisible(bool(text))
        self.changed.emit()

    def _arrange(self) -> None:
        bold = self.title.font()
        bold.setBold(True)
        self.title.setFont(bold)
        heading, buttons = QHBoxLayout(), QHBoxLayout()
        for widget in (self.sign, self.title):
            heading.addWidget(widget)
        heading.addStretch()
        for button in (self.install, self.repair, self.cancel, self.diagnostics):
            buttons.addWidget(button)
        buttons.addStretch()
        self.rows = QWidget()
        form = QFormLayout(self.rows)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        names = (tr("Installs"), tr("From"), tr("Size"), tr("Time"), tr("Into"))
        for name, text in zip(names, self.plan.values()):
            label = QLabel(name)
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
            form.addRow(label, text)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(heading)
        for widget in (self.sentence, self.rows, self.notices, self.progress, self.status):
            layout.addWidget(widget)
        layout.addLayout(buttons)


def _about(state: State) -> str:
    """A state's sentence, and how large the environment is."""
    if state.kind != READY or not state.size_bytes:
        return tr_core(state.sentence)
    return tr("{sentence} The environment takes {size} on disk.").format(
        sentence=tr_core(state.sentence), size=_size(round(state.size_bytes / 1e6))
    )


def _size(megabytes: int) -> str:
    """Say it without a break between number and unit."""
    return f"{megabytes / 1000:,.1f}\N{NO-BREAK SPACE}GB" if megabytes >= 1000 else f"{megabytes}\N{NO-BREAK SPACE}MB"


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button
