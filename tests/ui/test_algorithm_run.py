"""A run of an algorithm in the background, and who keeps it."""

import gc
import weakref

from tilehawk.ui import algorithm_run
from tilehawk.ui.algorithm_run import AlgorithmRun

from tests.ui.scenery import wait_until


def test_a_run_lives_until_its_task_has_ended(plugin, values, stand_in, monkeypatch):
    """Also where the plugin is taken away and nobody waits: QGIS would go on with what is deleted."""
    monkeypatch.setattr(algorithm_run, "LAST_WAIT_MS", 0)
    stand_in.plan(seconds=60, deaf=True)
    run = weakref.ref(plugin.runs.start(values))
    wait_until(lambda: stand_in.pid() is not None)
    plugin.unload()
    gc.collect()
    assert run().running
    wait_until(lambda: run() is None)
    assert not list(stand_in.folder.parent.glob("*found.gpkg*"))


def test_nobody_keeps_a_run_that_has_ended(plugin, values, stand_in):
    started = AlgorithmRun("tilehawk:detect", values)
    started.start()
    run = weakref.ref(started)
    del started
    gc.collect()
    assert run().running
    wait_until(lambda: run() is None)
