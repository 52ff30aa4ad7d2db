"""The widgets that Processing's own dialogs use, for forms of our own."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsProcessingAlgorithm, QgsProcessingContext, QgsProject
from qgis.gui import (
    QgsAbstractProcessingParameterWidgetWrapper,
    QgsGui,
    QgsMapCanvas,
    QgsProcessingContextGenerator,
    QgsProcessingGui,
    QgsProcessingParameterWidgetContext,
)
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QWidget


class _ProjectContexts(QgsProcessingContextGenerator):
    """How a widget finds the layer that another one has chosen."""

    def __init__(self) -> None:
        super().__init__()
        self._context = project_context()

    def processingContext(self) -> QgsProcessingContext:
        """Give the project's context; called by QGIS, which does not keep it alive."""
        return self._context


class ParameterWidgets:
    """A widget for each of some parameters of an algorithm; those that depend on each other know each other."""

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, names: list[str], canvas: QgsMapCanvas, owner: QObject
    ) -> None:
        """`algorithm` must live as long as the widgets; `owner` takes them with it: they may own layers."""
        self._algorithm = algorithm
        self._contexts = _ProjectContexts()
        self._wrappers = {name: _wrapper(algorithm, name, canvas, owner) for name in names}
        self._widgets = {name: self._make(name) for name in names}
        for wrapper in self._wrappers.values():
            wrapper.registerProcessingContextGenerator(self._contexts)
            wrapper.postInitialize(list(self._wrappers.values()))

    def __getitem__(self, name: str) -> QWidget:
        """Give the widget of a parameter."""
        return self._widgets[name]

    def label(self, name: str) -> str:
        """What the parameter is called."""
        return self._algorithm.parameterDefinition(name).description()

    def values(self) -> dict[str, Any]:
        """Values of all parameters, as the algorithm takes them."""
        return {name: wrapper.parameterValue() for name, wrapper in self._wrappers.items()}

    def value(self, name: str) -> Any:
        """Value of one parameter."""
        return self._wrappers[name].parameterValue()

    def set(self, name: str, value: Any) -> None:
        """Set one parameter."""
        self._wrappers[name].setParameterValue(value, project_context())

    def fill(self, values: dict[str, Any]) -> None:
        """Set all parameters; one that is not among the values takes its default."""
        for name in self._wrappers:
            self.set(name, values.get(name, self._algorithm.parameterDefinition(name).defaultValue()))

    def changed(self, name: str, slot: Any) -> None:
        """Have a slot called, with the wrapper, when the value of a parameter changes."""
        self._wrappers[name].widgetValueHasChanged.connect(slot)

    def _make(self, name: str) -> QWidget:
        widget = self._wrappers[name].createWrappedWidget(project_context())
        widget.setToolTip(self._algorithm.parameterDefinition(name).help())
        return widget


def advanced_names(algorithm: QgsProcessingAlgorithm) -> list[str]:
    """Names of the parameters that are marked as advanced."""
    advanced = Qgis.ProcessingParameterFlag.Advanced
    return [each.name() for each in algorithm.parameterDefinitions() if each.flags() & advanced]


def project_context() -> QgsProcessingContext:
    """Make a context that knows the project's layers."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


def _wrapper(
    algorithm: QgsProcessingAlgorithm, name: str, canvas: QgsMapCanvas, owner: QObject
) -> QgsAbstractProcessingParameterWidgetWrapper:
    registry = QgsGui.processingGuiRegistry()
    definition = algorithm.parameterDefinition(name)
    wrapper = registry.createParameterWidgetWrapper(definition, QgsProcessingGui.WidgetType.Standard)
    wrapper.setParent(owner)
    context = QgsProcessingParameterWidgetContext()
    context.setProject(QgsProject.instance())
    context.setMapCanvas(canvas)
    wrapper.setWidgetContext(context)
    return wrapper
