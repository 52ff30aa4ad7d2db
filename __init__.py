"""Tilehawk: finds objects on aerial and satellite imagery with RetinaNet, inside QGIS."""


def classFactory(iface):
    """Make the plugin; called by QGIS, where `iface` is None in qgis_process."""
    from .plugin import TilehawkPlugin

    return TilehawkPlugin(iface)
