"""Asking what becomes of a new result where there is an earlier one."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ..branding import add_help
from ..wording import tr

MERGE, REPLACE, NEW = "merge", "replace", "new"


class MergeDialog(QDialog):
    """Merge, replace, or keep apart; `choice` is one of the three, `remember` whether to ask again."""

    def __init__(self, earlier: str, parent: QWidget | None = None) -> None:
        """`earlier`: name of the layer that is there already."""
        super().__init__(parent)
        self.setObjectName("tilehawkMergeDialog")
        self.setWindowTitle(tr("There is an earlier result"))
        question = QLabel(
            tr(
                "'{layer}' holds objects of the same model on the same raster. What shall become of the new ones?"
            ).format(layer=earlier)
        )
        question.setWordWrap(True)
        self._group = QButtonGroup(self)
        self._buttons = {}
        line = self.fontMetrics().height()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(line, line, line, line)
        layout.setSpacing(line // 2)
        layout.addWidget(question)
        layout.addSpacing(line // 3)
        for choice, text, tooltip in (
            (MERGE, tr("Add what is new to it"), tr("Objects found again keep their numbers; nothing is deleted")),
            (
                REPLACE,
                tr("Replace what it holds in this area"),
                tr("Objects found again keep their numbers; those not found again go, unless you have reviewed them"),
            ),
            (NEW, tr("Keep them as a layer of their own"), tr("The earlier result stays as it is")),
        ):
            button = QRadioButton(text)
            button.setToolTip(tooltip)
            self._buttons[choice] = button
            self._group.addButton(button)
            layout.addWidget(button)
        self._buttons[MERGE].setChecked(True)
        note = QLabel(tr("Objects that you have reviewed are never changed."))
        note.setWordWrap(True)
        self.remember = QCheckBox(tr("Do the same from now on, until QGIS is closed"))
        self.remember.setToolTip(tr("Do not ask again in this session"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok)
        add_help(buttons, "results#merge")
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setToolTip(tr("Do what is chosen above"))
        buttons.accepted.connect(self.accept)
        for widget in (note, self.remember):
            layout.addWidget(widget)
        layout.addStretch()
        layout.addSpacing(line // 2)
        layout.addWidget(buttons)
        self.setMinimumWidth(32 * line)

    @property
    def choice(self) -> str:
        """What was chosen."""
        return next(choice for choice, button in self._buttons.items() if button.isChecked())

    def choose(self, choice: str) -> None:
        """Choose for the user."""
        self._buttons[choice].setChecked(True)
