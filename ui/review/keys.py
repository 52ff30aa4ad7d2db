"""Single keys that belong to a page while it is seen, in the page and on the map."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import QWidget

UNDO = (Qt.KeyboardModifier.ControlModifier, Qt.Key.Key_Z)


class PageKeys(QObject):
    """Calls what a key stands for, before any shortcut of QGIS's; `actions` by key, `undo` for Ctrl+Z."""

    def __init__(self, page: QWidget, actions: dict[int, Callable[[], None]], undo: Callable[[], None]) -> None:
        super().__init__(page)
        self._page, self._actions, self._undo = page, actions, undo
        self._watched: list[QWidget] = []

    def watch(self, *widgets: QWidget) -> None:
        """Take the keys of these widgets."""
        for widget in widgets:
            widget.installEventFilter(self)
        self._watched = list(widgets)

    def release(self) -> None:
        """Leave the keys to whom they belong."""
        for widget in self._watched:
            widget.removeEventFilter(self)
        self._watched = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take a key; called by Qt."""
        if event.type() not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress) or not self._seen():
            return False
        action = self._action(event)
        if action is None:
            return False
        event.accept()  # an override: the key then comes as a press, and is no shortcut of somebody else's
        if event.type() == QEvent.Type.KeyPress:
            action()
        return True

    def _seen(self) -> bool:
        """Whether the page is open, and not behind another dock."""
        return self._page.isVisibleTo(self._page.window())

    def _action(self, event: QKeyEvent) -> Callable[[], None] | None:
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if (modifiers, event.key()) == UNDO:
            return self._undo
        return None if modifiers else self._actions.get(event.key())
