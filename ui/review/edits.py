"""What a person says of objects, written into the layer at once, step by step, with the way back."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.core import (
    NULL,
    QgsFeature,
    QgsFeatureRequest,
    QgsField,
    QgsGeometry,
    QgsRectangle,
    QgsVectorDataProvider,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QMetaType

from ...core.job.errors import OutputError
from ..layers import add_class
from ..results.counting import ground_measure
from ..results.filter import CHANGED, DRAWN, REVIEW
from ..results.origin import CLOSED_FORMATS, Origin
from ..wording import tr

NEEDED = (
    QgsVectorDataProvider.Capability.AddFeatures,
    QgsVectorDataProvider.Capability.DeleteFeatures,
    QgsVectorDataProvider.Capability.ChangeAttributeValues,
    QgsVectorDataProvider.Capability.ChangeGeometries,
    QgsVectorDataProvider.Capability.AddAttributes,
)


@dataclass(frozen=True)
class Step:
    """One change: the feature, and its values by field and its geometry before; both None where it was not there."""

    fid: int
    values: dict[int, object] | None
    geometry: QgsGeometry | None


def require_reviewable(layer: QgsVectorLayer) -> None:
    """Refuse a layer that cannot keep a review; raises OutputError with what to do instead."""
    kind = layer.dataProvider().storageType()
    if kind in CLOSED_FORMATS or "Shapefile" in kind:
        raise OutputError(
            tr("A review is kept in a GeoPackage, not in a {kind} file: export the layer as GeoPackage first.").format(
                kind=kind.replace("ESRI ", "")
            )
        )
    if layer.isEditable():
        raise OutputError(tr("The layer is being edited. Save its edits first."))
    able = layer.dataProvider().capabilities()
    if not all(able & need for need in NEEDED):
        raise OutputError(tr("The layer is read-only. Save it as a GeoPackage of your own first."))


class ReviewEdits:
    """Writes to a layer's file directly, so that nothing waits for a Save; each call is one step of `undo`."""

    def __init__(self, layer: QgsVectorLayer, origin: Origin, next_id: int) -> None:
        """Add the field `review` where it is missing. `next_id`: for the first object that is drawn."""
        require_reviewable(layer)
        self._layer, self._next_id = layer, next_id
        self._steps: list[Step] = []
        if layer.fields().indexFromName(REVIEW) < 0:
            added = layer.dataProvider().addAttributes([QgsField(REVIEW, QMetaType.Type.QString, "", 10)])
            layer.updateFields()
            if not added or layer.fields().indexFromName(REVIEW) < 0:
                raise OutputError(tr("The layer cannot be changed: is its file read-only, or open elsewhere?"))
            layer.setFieldAlias(layer.fields().indexFromName(REVIEW), tr("Review"))
        self._places = {name: layer.fields().indexFromName(name) for name in ("id", "class", "score", REVIEW)}
        self._area = layer.fields().indexFromName(origin.area_field) if origin.area_field else -1
        self._measure = ground_measure(layer.crs()) if layer.crs().isValid() else None

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._steps)

    def feature(self, fid: int) -> QgsFeature:
        """Read an object as it is now."""
        return self._layer.getFeature(fid)

    def mark(self, fid: int, state: str) -> None:
        """Set the state of an object. Raises OutputError, as all changes do."""
        self._change(fid, {self._places[REVIEW]: state})

    def reclass(self, fid: int, name: str) -> None:
        """Say that an object is of another class."""
        self._change(fid, {self._places["class"]: name, self._places[REVIEW]: CHANGED})
        add_class(self._layer, name)

    def redraw(self, fid: int, box: QgsRectangle) -> None:
        """Give an object another box, in the layer's coordinates."""
        shape = QgsGeometry.fromRect(box)
        values: dict[int, object] = {self._places[REVIEW]: CHANGED}
        if self._area >= 0:
            values[self._area] = self._area_of(shape)
        self._change(fid, values, shape)

    def draw(self, box: QgsRectangle, name: str) -> int:
        """Add an object that was missed; gives its feature's id. It has no score: a person has seen it."""
        shape = QgsGeometry.fromRect(box)
        feature = QgsFeature(self._layer.fields())
        feature.setGeometry(shape)
        for place, value in (
            (self._places["id"], self._next_id),
            (self._places["class"], name),
            (self._places[REVIEW], DRAWN),
            (self._area, self._area_of(shape)),
        ):
            if place >= 0:
                feature.setAttribute(place, value)
        done, (added,) = self._layer.dataProvider().addFeatures([feature])
        self._require(done)
        self._next_id += 1
        self._steps.append(Step(added.id(), None, None))
        add_class(self._layer, name)
        self._layer.updateExtents()
        self._layer.triggerRepaint()
        return added.id()

    def undo(self) -> int | None:
        """Take the last step back; gives the feature it changed, None where there was none or it was drawn."""
        if not self._steps:
            return None
        step = self._steps.pop()
        provider = self._layer.dataProvider()
        if step.values is None:
            self._require(provider.deleteFeatures([step.fid]))
            self._layer.triggerRepaint()
            return None
        done = provider.changeAttributeValues({step.fid: step.values})
        if step.geometry is not None:
            done = provider.changeGeometryValues({step.fid: step.geometry}) and done
        self._require(done)
        self._layer.triggerRepaint()
        return step.fid

    def _change(self, fid: int, values: dict[int, object], shape: QgsGeometry | None = None) -> None:
        before = self._layer.getFeatures(QgsFeatureRequest(fid))
        feature = next(before, None)
        if feature is None:
            raise OutputError(tr("This object is no longer in the layer."))
        old = {place: feature.attribute(place) for place in values}
        provider = self._layer.dataProvider()
        done = provider.changeAttributeValues({fid: values})
        if shape is not None:
            done = provider.changeGeometryValues({fid: shape}) and done
        self._require(done)
        self._steps.append(Step(fid, old, feature.geometry() if shape is not None else None))
        self._layer.triggerRepaint()

    def _area_of(self, shape: QgsGeometry) -> object:
        return NULL if self._measure is None else round(self._measure.measureArea(shape), 2)

    def _require(self, done: bool) -> None:
        if not done:
            why = " ".join(self._layer.dataProvider().errors())
            self._layer.dataProvider().clearErrors()
            raise OutputError(tr("The layer could not be changed. {why}").format(why=why).strip())
