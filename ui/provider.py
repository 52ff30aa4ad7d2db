"""Tilehawk's algorithms in QGIS's Processing."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider, QgsVectorFileWriter
from qgis.PyQt.QtGui import QIcon

from ..core.job.jobs import VECTOR_SUFFIXES
from .algorithms.detect import DetectAlgorithm
from .algorithms.evaluate import EvaluateAlgorithm
from .algorithms.export_training_data import ExportTrainingDataAlgorithm
from .algorithms.suppress import SuppressAlgorithm
from .algorithms.train import TrainAlgorithm
from .branding import icon
from .wording import tr


class TilehawkProvider(QgsProcessingProvider):
    """Lists the algorithms under `tilehawk:`; their results are always files."""

    def id(self) -> str:
        """Identifier of the provider."""
        return "tilehawk"

    def name(self) -> str:
        """Name in the toolbox."""
        return "Tilehawk"

    def longName(self) -> str:
        """Name with what it does."""
        return tr("Tilehawk: objects on imagery")

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return icon()

    def loadAlgorithms(self) -> None:
        """Add the algorithms; called by QGIS."""
        self.addAlgorithm(DetectAlgorithm())
        self.addAlgorithm(SuppressAlgorithm())
        self.addAlgorithm(TrainAlgorithm())
        self.addAlgorithm(EvaluateAlgorithm())
        self.addAlgorithm(ExportTrainingDataAlgorithm())

    def supportsNonFileBasedOutput(self) -> bool:
        """Results are files: the worker is another process."""
        return False

    def defaultVectorFileExtension(self, hasGeometry: bool = True) -> str:
        """GeoPackage: the one format that keeps everything."""
        return "gpkg"

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """Formats that the worker writes and this QGIS can show."""
        shown = QgsVectorFileWriter.supportedFormatExtensions()
        return [suffix[1:] for suffix in VECTOR_SUFFIXES if suffix[1:] in shown]

    def supportedOutputTableExtensions(self) -> list[str]:
        """Formats of tables, which QGIS writes itself."""
        written = QgsVectorFileWriter.supportedFormatExtensions()
        return [suffix for suffix in ("gpkg", "csv", "xlsx", "ods") if suffix in written]
