"""The Train dialog, open over a worker's stand-in."""

import pytest
from tilehawk.ui.training.dialog import TrainDialog


@pytest.fixture
def train_dialog(plugin, stand_in, qgis_iface):
    dialog = TrainDialog(qgis_iface)
    dialog.show()
    yield dialog
    dialog.cancel_and_wait()
    dialog.close()
    dialog.deleteLater()
