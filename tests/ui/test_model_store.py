"""Models come into the user's folder from files, folders and web addresses, and nothing else does."""

import hashlib
import http.server
import threading
from functools import partial
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from tilehawk.core.job.environment.downloads import fetch_url
from tilehawk.core.job.errors import ModelError
from tilehawk.ui.get_models_dialog import ADDRESS, FOLDER, GetModelsDialog
from tilehawk.ui.model_store import add_models, fetch_model, user_folder
from tilehawk.ui.models import model_files
from tilehawk.ui.settings import Settings, write_settings

from tests.ui.scenery import wait_until


@pytest.fixture
def folder(qgis_app, tmp_path):
    write_settings(Settings(model_folder=str(tmp_path / "mine")))
    return user_folder()


@pytest.fixture
def served(model):
    """Address of the folder that the model lies in."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(Path(model).parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def quiet(done, total):
    pass


def test_a_file_is_copied_once(folder, model):
    (path,) = add_models([Path(model)], folder)
    assert path.parent == folder
    assert digest(path) == digest(model)
    assert add_models([Path(model)], folder) == [path]
    assert path in model_files()


def test_another_model_of_the_name_is_kept_beside(folder, model):
    add_models([Path(model)], folder)
    Path(model).write_bytes(Path(model).read_bytes() + b"\0")
    (path,) = add_models([Path(model)], folder)
    assert path.name == "pools-and-trees-2.safetensors"
    assert len(list(folder.iterdir())) == 2


def test_what_is_no_model_is_refused(folder, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"no model")
    with pytest.raises(ModelError):
        add_models([other], folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match="There is no model file"):
        add_models([empty], folder)
    assert not folder.exists()


def test_an_address_with_its_hash(folder, model, served):
    path = fetch_model(fetch_url, f"{served}/{Path(model).name}", digest(model).upper(), folder, quiet)
    assert digest(path) == digest(model)


@pytest.mark.parametrize(
    ("name", "sha256", "sentence"),
    [
        ("pools-and-trees.safetensors", "0" * 64, "is not the file that the hash belongs to"),
        ("nothing.safetensors", "0" * 64, "The model cannot be fetched: HTTP Error 404"),
        ("pools-and-trees.safetensors", "abc", "Give the file's SHA-256"),
    ],
)
def test_nothing_is_kept_of_what_is_not_right(folder, model, served, name, sha256, sentence):
    with pytest.raises(ModelError, match=sentence):
        fetch_model(fetch_url, f"{served}/{name}", sha256, folder, quiet)
    assert not folder.exists()


def test_other_addresses_are_refused(folder):
    with pytest.raises(ModelError, match="is no web address"):
        fetch_model(fetch_url, "file:///etc/passwd", "0" * 64, folder, quiet)


def test_the_dialog_fetches_and_tells(folder, model, served):
    dialog = GetModelsDialog()
    added = []
    dialog.added.connect(added.extend)
    dialog.show()
    dialog.origin.setCurrentIndex(ADDRESS)
    assert not dialog.file.isVisible()
    QTest.keyClicks(dialog.address, f"{served}/{Path(model).name}")
    QTest.keyClicks(dialog.hash, digest(model))
    QTest.mouseClick(dialog.get, Qt.MouseButton.LeftButton)
    wait_until(lambda: bool(added))
    assert Path(added[0]).parent == folder
    assert not dialog.isVisible()


def test_the_dialog_says_what_is_wrong(folder, tmp_path):
    dialog = GetModelsDialog()
    dialog.show()
    dialog.origin.setCurrentIndex(FOLDER)
    QTest.mouseClick(dialog.get, Qt.MouseButton.LeftButton)
    assert dialog.messages.currentItem().text() == "Choose where the models are."
    assert dialog.isVisible()
    dialog.close()
