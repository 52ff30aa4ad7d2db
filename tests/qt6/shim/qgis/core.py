"""The language, an icon of the theme, and settings, as QGIS has them."""

from PyQt6.QtCore import QSettings
from PyQt6.QtGui import QIcon


class QgsApplication:
    """Says English, unless a test says otherwise."""

    language = "en_US"

    @staticmethod
    def locale() -> str:
        return QgsApplication.language

    @staticmethod
    def getThemeIcon(_: str) -> QIcon:
        return QIcon()

    @staticmethod
    def qgisSettingsDirPath() -> str:
        return "/nowhere/"


class QgsSettings(QSettings):
    """Settings that are never written."""

    def value(self, _: str, default: object = None) -> object:
        return default
