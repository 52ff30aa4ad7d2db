"""Vector layers as files that the worker reads: the layer's own where that says all, otherwise a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsFeatureSink,
    QgsFields,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ...core.job.errors import OutputError
from ..wording import tr


class LayerFile:
    """A layer that an algorithm was given; make it in the layer's thread, ask for `path` in the run's."""

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, values: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> None:
        """Take the parameter `name`; `given` is False where there is nothing."""
        self._source: QgsProcessingFeatureSource | None = algorithm.parameterAsSource(values, name, context)
        layer = algorithm.parameterAsVectorLayer(values, name, context)
        self._own = _own_file(layer) if layer is not None and _whole(self._source, layer) else None
        self._transforms = context.transformContext()
        self.given = self._source is not None
        self.name = self._source.sourceName() if self._source is not None else ""

    def path(self, copy: Path, feedback: QgsProcessingFeedback) -> str:
        """Give `file|layername=x`: the layer's own, or `copy` (.gpkg), written now with all fields in the layer's CRS.

        Selection, filter and edits that are not saved count. Raises OutputError where the copy cannot be written.
        """
        if self._own is not None:
            return self._own
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GPKG"
        options.layerName = copy.stem
        options.datasourceOptions = ["VERSION=1.2"]
        source = self._source
        fields = QgsFields()
        for field in source.fields():
            if field.name().casefold() != "fid":  # the copy numbers its features itself
                fields.append(field)
        writer = QgsVectorFileWriter.create(
            str(copy), fields, source.wkbType(), source.sourceCrs(), self._transforms, options
        )
        if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
            raise OutputError(self._sentence(writer.errorMessage()))
        kept = [source.fields().lookupField(field.name()) for field in fields]
        for feature in source.getFeatures():
            if feedback.isCanceled():
                break
            attributes = feature.attributes()
            feature.setFields(fields, True)
            feature.setAttributes([attributes[index] for index in kept])
            if not writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
                raise OutputError(self._sentence(writer.errorMessage()))
        del writer  # closes the file
        return f"{copy}|layername={copy.stem}"

    def _sentence(self, why: str) -> str:
        return tr("The layer '{name}' cannot be written for the worker: {why}").format(name=self.name, why=why)


def _whole(source: QgsProcessingFeatureSource | None, layer: QgsVectorLayer) -> bool:
    """Tell whether the file holds what the source gives: no selection, filter or edit lies between them."""
    if source is None or layer.isEditable() or layer.subsetString() or layer.providerType() != "ogr":
        return False
    return source.featureCount() == layer.featureCount()


def _own_file(layer: QgsVectorLayer) -> str | None:
    """`file|layername=x` of a layer; None where it is no file, or one that goes when QGIS closes."""
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    path, name = parts.get("path", ""), parts.get("layerName")
    if not path or not Path(path).exists() or Path(QgsProcessingUtils.tempFolder()) in Path(path).parents:
        return None
    return f"{Path(path).absolute()}|layername={name}" if name else str(Path(path).absolute())
