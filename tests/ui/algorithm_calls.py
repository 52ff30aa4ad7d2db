"""What the tests of all algorithms do: run one, ask why one is refused, and make a layer for it."""

from qgis.core import QgsFeature, QgsGeometry, QgsProcessingFeedback, QgsProject, QgsRectangle, QgsVectorLayer

from tests.ui.scenery import CRS


def run(algorithm, values, context, feedback=None):
    """Run an algorithm; gives its results and whether it went well."""
    return algorithm.run(values, context, feedback or QgsProcessingFeedback(), catchExceptions=False)


def refusal(algorithm, values, context):
    """Give the sentence with which an algorithm refuses its parameters."""
    ok, sentence = algorithm.checkParameterValues(values, context)
    assert not ok
    return sentence


def memory_layer(name, fields, rows, kind="Polygon"):
    """Make a layer of the project: `fields` as its address names them, rows of a geometry and attributes."""
    layer = QgsVectorLayer(f"{kind}?crs={CRS}&{fields}", name, "memory")
    for geometry, *attributes in rows:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(geometry)
        feature.setAttributes(attributes)
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def square(left, bottom, side):
    """Make a square, in metres."""
    return QgsGeometry.fromRect(QgsRectangle(left, bottom, left + side, bottom + side))
