"""A detection on a real Dask cluster: a scheduler and two machines, each a process of its own on this computer."""

import dataclasses
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from distributed import Client

from core import cluster, gathering, machine
from core.cluster import shares_of
from core.detect import detect
from core.imagery.tiles import TilePlan
from core.job.errors import Cancelled, ClusterError, InvalidJob, RasterError
from core.job.jobs import DetectJob
from core.job.unfinished import partial_path
from core.retinanet.network import build_network
from core.retinanet.weights import save_model
from tests.core.squares import TINY_SHAPE
from tests.core.test_detect import CARD, Scene, never
from tests.core.test_resume import content

ROOT = Path(__file__).parents[2]
AREA = (500_010.0, 3_999_760.0, 500_300.0, 3_999_990.0)


@contextmanager
def running(*command, pythonpath=ROOT):
    """A command of Dask's in a process of its own; gives the process and the address that it tells."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(pythonpath)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *command], stderr=subprocess.PIPE, text=True, env=environment, cwd="/"
    )
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"(?:Scheduler|Registered to): +(tcp://\S+)|Scheduler at: +(tcp://\S+)", line):
                Thread(target=process.stderr.read, daemon=True).start()
                yield process, found[1] or found[2]
                return
        raise AssertionError("".join(said))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def scheduler():
    return running("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")


def worker(address, folder, threads=1, **options):
    here = [
        "--host",
        "127.0.0.1",
        "--nthreads",
        str(threads),
        "--no-nanny",
        "--no-dashboard",
        "--local-directory",
        str(folder),
    ]
    return running("worker", address, *here, **options)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Address of a cluster of two machines."""
    folder = tmp_path_factory.mktemp("machines")
    with scheduler() as (_, told), worker(told, folder), worker(told, folder):
        yield told


@pytest.fixture
def job(tmp_path):
    """Ground with a hole, within an area, and a network that finds something everywhere."""
    scene = Scene(520, 420, count=160)
    scene.image[:, 150:290, 100:330] = 0
    torch.manual_seed(0)
    card = dataclasses.replace(CARD, architecture=TINY_SHAPE)
    network = build_network(card.architecture, len(card.classes), len(card.bands))
    save_model(tmp_path / "untrained.safetensors", card, network.state_dict())
    (tmp_path / "out").mkdir()
    return DetectJob(
        raster=scene.write(tmp_path / "scene.tif", nodata=0, tiled=True, blockxsize=128, blockysize=128),
        model=str(tmp_path / "untrained.safetensors"),
        output=str(tmp_path / "out" / "found.gpkg"),
        threshold=0.0,
        score_floor=0.0,
        tile_px=64,
        overlap_px=32,
        extent=AREA,
        device="cpu",
    )


def run(job, report=lambda event: None, cancelled=never):
    return detect(job, report, cancelled)


def open_works():
    """How many works a machine has open; for the machine itself."""
    return len(sys.modules["core.machine"]._kept)


def left_by(job):
    return sorted(path.name for path in Path(job.output).parent.iterdir())


@pytest.fixture
def expected(job, tmp_path):
    """What one machine finds: this one."""
    alone = dataclasses.replace(job, output=str(tmp_path / "alone.gpkg"))
    run(alone)
    return content(alone.output)


def test_a_cluster_finds_what_one_machine_finds_to_the_last_byte(job, address, expected):
    told = []
    result = run(dataclasses.replace(job, cluster=address), lambda event: told.append(event["event"]))
    assert content(job.output) == expected
    assert len(expected[0][1]) > 100
    assert len(expected[1][1]) > 0  # ground that was not examined
    assert result["device"].startswith(f"Dask cluster {address}: 2 × processor ")
    assert result["backend"].startswith("dask, cpu ")
    assert told.count("boxes") > 3
    assert left_by(job) == ["found.gpkg"]


def test_what_a_machine_leaves_undone_another_one_does(job, expected, tmp_path):
    with scheduler() as (_, told), worker(told, tmp_path) as (doomed, _), worker(told, tmp_path):

        def kill_one(event):
            if event["event"] == "boxes":
                doomed.kill()

        run(dataclasses.replace(job, cluster=told), kill_one)
    assert doomed.wait() != 0
    assert content(job.output) == expected


def test_a_cluster_that_goes_leaves_parts_from_which_another_one_goes_on(job, address, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "PART_SECONDS", 0.0)
    with scheduler() as (process, told), worker(told, tmp_path):

        def kill_it(event):
            if event["event"] == "boxes":
                process.kill()

        with pytest.raises(ClusterError, match=r"connection to the cluster at .* was lost"):
            run(dataclasses.replace(job, cluster=told), kill_it)
    assert partial_path(job.output).is_dir()
    result = run(dataclasses.replace(job, cluster=address, resume=True))
    assert any(sentence.startswith("Going on") for sentence in result["notices"])
    assert content(job.output) == expected


def test_a_cancelled_run_leaves_nothing_here_and_the_cluster_free(job, address):
    asked = []

    def cancelled():
        return bool(asked)

    def report(event):
        if event["event"] == "boxes":
            asked.append(time.monotonic())

    with pytest.raises(Cancelled):
        run(dataclasses.replace(job, cluster=address), report, cancelled)
    assert time.monotonic() - asked[0] < 10
    assert left_by(job) == []
    with Client(address, set_as_default=False) as client:
        deadline = time.monotonic() + 30
        while any(client.processing().values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(client.processing().values())


def test_a_machine_that_sees_another_raster_is_told_of(job, address, monkeypatch):
    monkeypatch.setattr(cluster, "seen_as", lambda raster: "another")
    with pytest.raises(RasterError, match=r"sees another raster under the name '.*scene.tif'"):
        run(dataclasses.replace(job, cluster=address))


def test_a_raster_that_only_this_computer_has_is_told_of(job, address, monkeypatch):
    """It is there while this computer opens it, and gone for the machines."""

    def last_look():
        Path(job.raster).rename(f"{job.raster}.away")
        return machine.code()

    monkeypatch.setattr(cluster, "code", last_look)
    with pytest.raises(RasterError, match=r"scene\.tif.* So says the machine .* under the same path"):
        run(dataclasses.replace(job, cluster=address))


def test_a_machine_with_another_version_is_told_of(job, address, monkeypatch):
    monkeypatch.setattr(cluster, "code", lambda: "older")
    with pytest.raises(ClusterError, match="has another version of Tilehawk"):
        run(dataclasses.replace(job, cluster=address))


def test_a_machine_without_tilehawk_is_told_of(job, tmp_path):
    lacking = pytest.raises(ClusterError, match=r"lacks the module 'core'.*PYTHONPATH")
    with scheduler() as (_, told), worker(told, tmp_path, pythonpath=tmp_path), lacking:
        run(dataclasses.replace(job, cluster=told))


def test_machines_of_several_threads_share_the_work_and_one_without_tilehawk_is_passed_over(job, expected, tmp_path):
    with ExitStack() as stack:
        _, told = stack.enter_context(scheduler())
        for threads, path in ((8, ROOT), (8, ROOT), (1, tmp_path)):
            stack.enter_context(worker(told, tmp_path, threads, pythonpath=path))
        result = run(dataclasses.replace(job, cluster=told))
    assert re.search(r": 2 × processor .*8 threads", result["device"])
    assert [len(layer[1]) for layer in content(job.output)] == [len(layer[1]) for layer in expected]


def test_a_machine_lets_go_of_what_is_over(job, address):
    run(dataclasses.replace(job, cluster=address))
    with Client(address, set_as_default=False) as client:
        deadline = time.monotonic() + 30
        while any(client.run(open_works).values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(client.run(open_works).values())


def test_a_cluster_with_certificates_is_told_of(job):
    with pytest.raises(ClusterError, match="reached with certificates"):
        run(dataclasses.replace(job, cluster="tls://127.0.0.1:9"))


def test_a_missing_package_is_told_of(job, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"needs the package 'distributed'\. Set the environment up again"):
        run(dataclasses.replace(job, cluster="tcp://127.0.0.1:9"))


def test_a_cluster_without_machines_is_told_of(job, monkeypatch):
    monkeypatch.setattr(cluster, "ALONE_SECONDS", 1)
    with scheduler() as (_, told), pytest.raises(ClusterError, match="No machine has been working for the cluster"):
        run(dataclasses.replace(job, cluster=told))


def test_an_address_where_nobody_answers_is_told_of(job, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match=r"No Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        run(dataclasses.replace(job, cluster="tcp://127.0.0.1:9"))
    assert left_by(job) == []


@pytest.mark.parametrize("address", ["", "cluster", "http://host:8786", "tcp://host", "tcp://host:port", "a b:1"])
def test_what_is_no_address_is_refused(job, address):
    with pytest.raises(InvalidJob, match="such as tcp://host:8786"):
        dataclasses.replace(job, cluster=address).validate()


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.5:8786", "tls://head.cluster.org:8786/", "node-1:8786", "tcp://[::1]:1"]
)
def test_addresses(job, address):
    dataclasses.replace(job, cluster=address).validate()


@pytest.mark.parametrize(("by_rows", "tall", "wide"), [(False, 4, 4), (True, 1, 16)])
def test_shares_hold_every_tile_that_is_to_be_looked_at_once(by_rows, tall, wide):
    active = np.random.default_rng(0).random((9, 23)) < 0.7
    done = np.random.default_rng(1).random(active.size) < 0.3
    shares = list(shares_of(TilePlan(0, 0, 1600, 700, 128, 64, active), done, by_rows))
    assert sorted(tile for share in shares for tile in share) == np.flatnonzero(active.ravel() & ~done).tolist()
    for share in shares:
        rows, cols = np.divmod(share, 23)
        assert rows.max() - rows.min() < tall
        assert cols.max() - cols.min() < wide
