"""The page of a review: the object at hand, what can be said of it, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qgis.core import QgsRectangle, QgsVariantUtils, QgsVectorLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ...core.job.errors import TilehawkError
from ..layers import shown_classes
from ..results.filter import ACCEPTED, CHANGED, DOUBTFUL, DRAWN, REJECTED, REVIEW
from ..told import tr_core
from ..wording import class_name, tr
from .edits import ReviewEdits
from .framing import BoxTool, Framing
from .keys import PageKeys
from .queue import Objects, Queue
from .words import decided_words, object_words

MOST_CLASSES = 9
CLASS_LINES = 7  # width of a class's name on its button, in heights of a line; the whole of it is in the tooltip


class ReviewPage(QWidget):
    """Shows one object after the other. Keys work in the page and on the map, and stand on the buttons.

    `finished` comes when the person is done, `train_asked` when she wants to train with what she has said, `changed`
    after every edit, `problem` with a sentence.
    """

    finished = pyqtSignal()
    train_asked = pyqtSignal()
    changed = pyqtSignal()
    problem = pyqtSignal(str)

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._layer: QgsVectorLayer | None = None
        self._edits: ReviewEdits | None = None
        self._queue = Queue()
        self._objects: Objects | None = None
        self._framing: Framing | None = None
        self._tool: BoxTool | None = None
        self._redrawn: int | None = None
        self.sampled = False
        self._keys = PageKeys(self, self._actions(), self._undo)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setToolTip(tr("How many of the objects have been decided"))
        self.place = QLabel()
        self.object = QLabel()
        self.object.setTextFormat(Qt.TextFormat.RichText)
        self.object.setWordWrap(True)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.tally = QLabel()
        self.tally.setWordWrap(True)
        self.order = QComboBox()
        self.order.addItem(tr("least sure first"), False)
        self.order.addItem(tr("by place"), True)
        self.order.setToolTip(tr("In which order objects are shown"))
        self.order.currentIndexChanged.connect(self._reorder)
        self.accept = self._button(tr("Accept"), "A", self._accept, tr("It is what its label says"))
        self.reject = self._button(tr("Reject"), "R", self._reject, tr("There is no such object here"))
        self.doubt = self._button(tr("Unsure"), "U", self._doubt, tr("Nobody can tell: training ignores it"))
        self.skip = self._button(tr("Skip"), tr("Space"), self._skip, tr("Leave it for later"))
        self.redraw = self._button(tr("Redraw"), "D", self._redraw, tr("Draw another box for this object"))
        self.new = self._button(tr("New"), "N", self._new, tr("Draw an object that was missed"))
        self.undo = self._button(tr("Undo"), "Ctrl+Z", self._undo, tr("Take the last step back; also Backspace"))
        self.back = self._button(tr("Back"), "←", partial(self._step, -1), tr("Look at the object before"))
        self.forth = self._button(tr("Next"), "→", partial(self._step, 1), tr("Look at the object after"))
        self.train = self._button(
            tr("Train again with these…"),
            "",
            self.train_asked.emit,
            tr("Accepted and drawn objects become examples, rejected ones counter-examples, unsure ones are ignored"),
        )
        self.done = self._button(tr("Done"), "", self.finished.emit, tr("End the review; everything is saved already"))
        self._class_buttons: list[QPushButton] = []
        self._classes = QGridLayout()
        self._arrange()

    @property
    def layer(self) -> QgsVectorLayer | None:
        """Layer under review, None where there is no review."""
        return self._layer

    @property
    def queue(self) -> Queue:
        """Objects of this review."""
        return self._queue

    def begin(self, layer: QgsVectorLayer, edits: ReviewEdits, objects: Objects, sampled: bool) -> None:
        """Start a review of objects; `sampled`: they were drawn at random to estimate the precision."""
        self._layer, self._edits, self._objects = layer, edits, objects
        self.sampled = sampled
        self._framing = Framing(self._canvas)
        self._tool = BoxTool(self._canvas)
        self._tool.drawn.connect(self._take_box)
        self._make_class_buttons(list(shown_classes(layer)))
        self.order.setVisible(not sampled)
        self._keys.watch(self, self._canvas, self._canvas.viewport())
        self._queue = Queue(self._ordered(), objects.states)
        self._show(True)
        self.setFocus()

    def end(self) -> None:
        """End the review; the map's pointer is what it was."""
        if self._layer is None:
            return
        self._keys.release()
        self._tool.end()
        self._tool.deleteLater()
        self._framing.close()
        self._layer = self._edits = self._objects = self._framing = self._tool = None

    def estimate(self) -> tuple[int, int]:
        """How many are right as they are, of how many that were decided without doubt."""
        right = self._queue.count(ACCEPTED)
        return right, right + self._queue.count(REJECTED, CHANGED)

    def _actions(self) -> dict[int, Callable[[], None]]:
        """What each key stands for."""
        actions = {
            Qt.Key.Key_Escape: self._stop_drawing,
            Qt.Key.Key_A: self._accept,
            Qt.Key.Key_R: self._reject,
            Qt.Key.Key_U: self._doubt,
            Qt.Key.Key_Space: self._skip,
            Qt.Key.Key_D: self._redraw,
            Qt.Key.Key_N: self._new,
            Qt.Key.Key_Backspace: self._undo,
            Qt.Key.Key_Left: partial(self._step, -1),
            Qt.Key.Key_Right: partial(self._step, 1),
        }
        for number in range(MOST_CLASSES):
            actions[Qt.Key.Key_1 + number] = partial(self._reclass, number)
        return actions

    def _accept(self) -> None:
        self._mark(ACCEPTED)

    def _reject(self) -> None:
        self._mark(REJECTED)

    def _doubt(self) -> None:
        self._mark(DOUBTFUL)

    def _mark(self, state: str) -> None:
        fid = self._queue.current
        if fid is not None and self._try(lambda: self._edits.mark(fid, state)):
            self._decide(fid, state)

    def _reclass(self, number: int) -> None:
        fid = self._queue.current
        if fid is None or number >= len(self._class_buttons):
            return
        name = self._class_buttons[number].property("class_name")
        if self._edits.feature(fid)["class"] == name:
            self._mark(ACCEPTED)
        elif self._try(lambda: self._edits.reclass(fid, name)):
            self._decide(fid, CHANGED)

    def _decide(self, fid: int, state: str) -> None:
        self._stop_drawing()
        self._queue.decide(fid, state)
        self._queue.go_on()
        self.changed.emit()
        self._show(True)

    def _skip(self) -> None:
        self._stop_drawing()
        self._queue.skip()
        self._show(True)

    def _step(self, by: int) -> None:
        self._stop_drawing()
        self._queue.step(by)
        self._show(True)

    def _redraw(self) -> None:
        if self._queue.current is not None:
            self._redrawn = self._queue.current
            self._tool.begin(self._layer)
            self._show(False)

    def _new(self) -> None:
        self._redrawn = None
        self._tool.begin(self._layer)
        self._show(False)

    def _stop_drawing(self) -> None:
        if self._tool is not None and self._tool.active:
            self._tool.end()
            self._show(False)

    def _take_box(self, box: QgsRectangle) -> None:
        fid = self._redrawn
        if fid is not None:
            if self._try(lambda: self._edits.redraw(fid, box)):
                self._decide(fid, CHANGED)
            return
        name = self._current_class()
        added: list[int] = []
        if self._try(lambda: added.append(self._edits.draw(box, name))):
            self._queue.decide(added[0], DRAWN)
            self.changed.emit()
            self._show(False)

    def _undo(self) -> None:
        self._stop_drawing()
        if not self._edits.can_undo:
            return
        done: list[int | None] = []
        if self._try(lambda: done.append(self._edits.undo())):
            fid = done[0]
            if fid is not None:
                state = self._edits.feature(fid)[REVIEW]
                self._queue.decide(fid, "" if QgsVariantUtils.isNull(state) else str(state))
                self._queue.go_to(fid)
            self.changed.emit()
            self._show(True)

    def _try(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except TilehawkError as problem:
            self.problem.emit(tr_core(problem))
            return False
        return True

    def _current_class(self) -> str:
        """Class for a new object: that of the object at hand, else the first."""
        fid = self._queue.current
        if fid is not None:
            return str(self._edits.feature(fid)["class"])
        return str(self._class_buttons[0].property("class_name")) if self._class_buttons else ""

    def _ordered(self) -> list[int]:
        by_place = self.sampled or bool(self.order.currentData())
        return self._objects.by_place if by_place else self._objects.least_sure_first

    def _reorder(self) -> None:
        if self._layer is None:
            return
        self._queue = Queue(self._ordered(), self._queue.states)
        self._show(True)
        self.setFocus()

    def _show(self, move: bool) -> None:
        """Show the object at hand; `move`: take the map there."""
        total, decided = len(self._queue.order), self._queue.decided
        self.progress.setRange(0, max(total, 1))
        self.progress.setValue(decided if total else 1)
        self.place.setText(tr("{decided} of {total} decided").format(decided=f"{decided:,}", total=f"{total:,}"))
        self.tally.setText(decided_words(self._queue))
        fid = self._queue.current
        feature = self._edits.feature(fid) if fid is not None else None
        there = feature is not None and feature.isValid()
        for button in (self.accept, self.reject, self.doubt, self.skip, self.redraw, *self._class_buttons):
            button.setEnabled(there)
        self.undo.setEnabled(self._edits.can_undo)
        self.train.setEnabled(bool(self._queue.states))
        self.hint.setText(self._hint())
        if not there:
            self.object.setText(
                f"<b>{tr('Everything is decided.') if total else tr('There is nothing to review.')}</b>"
            )
            self._framing.hide()
            return
        color, _ = shown_classes(self._layer).get(str(feature["class"]), (None, True))
        self.object.setText(object_words(feature, color))
        if move:
            self._framing.show(self._layer, feature.geometry())

    def _hint(self) -> str:
        if self._tool.active:
            return tr("Drag a box on the map; Esc to leave it.")
        if self.sampled:
            return tr("Drawn at random: say of each whether it is right, and you know the precision here.")
        return tr("Keys work here and on the map. Every answer is saved at once.")

    def _make_class_buttons(self, names: list[str]) -> None:
        for button in self._class_buttons:
            self._classes.removeWidget(button)
            button.deleteLater()
        self._class_buttons = []
        for number, name in enumerate(names[:MOST_CLASSES]):
            shown = self.fontMetrics().elidedText(
                class_name(name), Qt.TextElideMode.ElideRight, CLASS_LINES * self.fontMetrics().height()
            )
            button = self._button(
                shown.replace("&", "&&"),
                str(number + 1),
                partial(self._reclass, number),
                tr("It is of the class {name}").format(name=class_name(name)),
            )
            button.setProperty("class_name", name)
            self._classes.addWidget(button, number // 2, number % 2)
            self._class_buttons.append(button)
        for button in self._class_buttons:
            button.setVisible(len(names) > 1)

    def _button(self, text: str, key: str, slot: Callable[[], None], tooltip: str) -> QPushButton:
        button = QPushButton(f"{text}  ·  {key}" if key else text)
        button.setToolTip(tooltip)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys belong to the page, whatever was clicked last
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _checked: slot())
        return button

    def _arrange(self) -> None:
        line = self.fontMetrics().height()
        gap = line // 3
        head = QHBoxLayout()
        head.addWidget(self.place)
        head.addStretch()
        head.addWidget(self.order)
        answers = QGridLayout()
        answers.setSpacing(gap)
        for number, button in enumerate((self.accept, self.reject, self.doubt, self.skip, self.redraw, self.new)):
            answers.addWidget(button, number // 2, number % 2)
        self._classes.setSpacing(gap)
        ways = QGridLayout()
        ways.setSpacing(gap)
        ways.addWidget(self.back, 0, 0)
        ways.addWidget(self.forth, 0, 1)
        ways.addWidget(self.undo, 1, 0, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(line // 2, line // 2, line // 2, line // 2)
        layout.setSpacing(round(0.6 * line))
        layout.addLayout(head)
        layout.addWidget(self.progress)
        layout.addWidget(self.object)
        layout.addLayout(answers)
        layout.addLayout(self._classes)
        layout.addLayout(ways)
        layout.addWidget(self.hint)
        layout.addStretch()
        layout.addWidget(self.tally)
        layout.addWidget(self.train)
        layout.addWidget(self.done)
