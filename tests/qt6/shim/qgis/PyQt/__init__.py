"""As QGIS 4 does it: the names of PyQt6."""

import sys

from PyQt6 import QtCore, QtGui, QtTest, QtWidgets

for module in (QtCore, QtGui, QtTest, QtWidgets):
    sys.modules[f"{__name__}.{module.__name__.split('.')[1]}"] = module
