"""Taking a new run into an earlier result of the same model and raster, without losing what was reviewed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qgis.core import (
    NULL,
    QgsFeature,
    QgsFeatureSink,
    QgsGeometry,
    QgsPoint,
    QgsProject,
    QgsVariantUtils,
    QgsVectorLayer,
)

from ...core.job.errors import OutputError
from ..background import Work
from ..review.edits import require_reviewable
from ..wording import tr
from .agreement import Box, MergePlan, plan_merge
from .counting import CHECK_EVERY, Rows, open_gaps, open_rows, whole_source
from .filter import REVIEW
from .origin import origin_of


@dataclass(frozen=True)
class Merged:
    """How many objects were found again, added, and deleted."""

    updated: int
    added: int
    deleted: int


@dataclass(frozen=True)
class Changes:
    """What a layer is to change: features to add, values and geometries by feature, and features to delete."""

    added: list[QgsFeature]
    values: dict[int, dict[int, object]]
    shapes: dict[int, QgsGeometry]
    deleted: list[int]


def earlier_result(layer: QgsVectorLayer) -> QgsVectorLayer | None:
    """Find a result of the same model on the same raster in the project that can take a new one; the latest loaded."""
    origin = origin_of(layer)
    if origin is None or not origin.model or not origin.place:
        return None
    for other in reversed(list(QgsProject.instance().mapLayers().values())):
        known = origin_of(other)
        if other is layer or known is None or other.crs() != layer.crs():
            continue
        if (known.model, known.place) != (origin.model, origin.place):
            continue
        try:
            require_reviewable(other)
        except OutputError:
            continue
        return other
    return None


def merging(
    earlier: QgsVectorLayer, new: QgsVectorLayer, looked_at: QgsGeometry | None, replace: bool
) -> Callable[[Work], Changes]:
    """Prepare, in the main thread, the work that takes a new run into an earlier result.

    Reviewed objects are never touched, and every object found again keeps its number. `replace`: earlier objects that
    nobody has reviewed and that were not found again go, within `looked_at` (None: anywhere) and where the run could
    see. Raises OutputError, as does the work.
    """
    require_reviewable(earlier)
    into, found = open_rows(whole_source(earlier)), open_rows(whole_source(new))
    gaps = open_gaps(whole_source(new)) if replace else None

    def merge(work: Work) -> Changes:
        inside = _inside(looked_at, _union(gaps)) if replace else None
        plan = plan_merge(_boxes(into, work), _boxes(found, work), inside)
        work.stop_if_cancelled()
        return _changes(plan, into, found)

    return merge


def _boxes(rows: Rows, work: Work) -> list[Box]:
    reviewed = rows.fields.indexFromName(REVIEW) >= 0
    boxes = []
    for number, feature in enumerate(rows.features()):
        if number % CHECK_EVERY == 0:
            work.stop_if_cancelled()
        if not feature.hasGeometry():
            continue
        box = feature.geometry().boundingBox()
        state = feature[REVIEW] if reviewed else NULL
        score = feature["score"]
        boxes.append(
            Box(
                feature.id(),
                str(feature["class"]),
                None if QgsVariantUtils.isNull(score) else score,
                "" if QgsVariantUtils.isNull(state) else str(state),
                box.xMinimum(),
                box.yMinimum(),
                box.xMaximum(),
                box.yMaximum(),
            )
        )
    return boxes


def apply_changes(earlier: QgsVectorLayer, changes: Changes) -> Merged:
    """Write changes: additions first and deletions last, so that nothing is lost where the disk fails in between.

    In the main thread; raises OutputError.
    """
    provider = earlier.dataProvider()
    done = not changes.added or provider.addFeatures(changes.added, QgsFeatureSink.Flag.FastInsert)[0]
    done = done and (not changes.values or provider.changeFeatures(changes.values, changes.shapes))
    done = done and (not changes.deleted or provider.deleteFeatures(changes.deleted))
    if not done:
        raise OutputError(
            tr("The earlier result could not be changed. {why}").format(why=" ".join(provider.errors())).strip()
        )
    return Merged(len(changes.values), len(changes.added), len(changes.deleted))


def _changes(plan: MergePlan, into: Rows, found: Rows) -> Changes:
    fields = into.fields
    carried = [
        (fields.indexFromName(field.name()), place)
        for place, field in enumerate(found.fields)
        if field.name() not in ("fid", "id", REVIEW) and fields.indexFromName(field.name()) >= 0
    ]
    number = fields.indexFromName("id")
    next_id = max((int(each.attribute(number) or 0) for each in into.features()), default=0) + 1
    wanted = {box.fid for box in plan.additions} | {box.fid for box in plan.updates.values()}
    features = {each.id(): each for each in found.features() if each.id() in wanted}
    added = []
    for box in plan.additions:
        feature = QgsFeature(fields)
        feature.setGeometry(features[box.fid].geometry())
        for place, other in carried:
            feature.setAttribute(place, features[box.fid].attribute(other))
        feature.setAttribute(number, next_id + len(added))
        added.append(feature)
    values = {
        fid: {place: features[box.fid].attribute(other) for place, other in carried}
        for fid, box in plan.updates.items()
    }
    shapes = {fid: features[box.fid].geometry() for fid, box in plan.updates.items()}
    return Changes(added, values, shapes, plan.deletions)


def _union(gaps: Rows | None) -> QgsGeometry | None:
    """Ground that the new run could not look at."""
    if gaps is None or not gaps.count:
        return None
    return QgsGeometry.unaryUnion([each.geometry() for each in gaps.features()])


def _inside(boundary: QgsGeometry | None, gaps: QgsGeometry | None) -> Callable[[float, float], bool]:
    """Tell of a place whether it was looked at."""
    engines = []
    for area in (boundary, gaps):
        engine = None if area is None else QgsGeometry.createGeometryEngine(area.constGet())
        if engine is not None:
            engine.prepareGeometry()
        engines.append(engine)
    within, unseen = engines

    def inside(x: float, y: float, kept: tuple[QgsGeometry | None, ...] = (boundary, gaps)) -> bool:
        """`kept`: the engines only point at their geometries."""
        place = QgsPoint(x, y)
        return (within is None or within.intersects(place)) and (unseen is None or not unseen.intersects(place))

    return inside
