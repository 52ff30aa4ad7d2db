import hashlib
from functools import partial

import pytest

from core.job.environment.downloads import fetch_checked, fetch_url
from core.job.environment.remedies import remedy
from core.job.errors import Cancelled

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def url(index):
    index.files["/files/uv.whl"] = CONTENT
    return f"{index.origin}/files/uv.whl"


def test_a_file_comes_whole_and_says_how_far_it_is(url, tmp_path):
    steps = []
    fetch_url(url, tmp_path / "file", lambda done, total: steps.append((done, total)))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert steps == sorted(steps)


def test_a_proxy_with_user_and_password(url, tmp_path, make_proxy):
    proxy = make_proxy(wants_user=True).url
    with pytest.raises(OSError, match="407") as refused:
        fetch_url(url, tmp_path / "file", lambda *_: None, proxy)
    assert remedy(str(refused.value), tmp_path)[0] == "proxy"
    fetch_url(url, tmp_path / "file", lambda *_: None, proxy.replace("//", "//ada:lovelace-1815@"))
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "cause"), [("refused", "blocked"), ("missing", "missing"), ("down", "server"), ("cut", "wrong hash")]
)
def test_a_file_that_is_not_right_leaves_nothing(url, index, tmp_path, fault, cause):
    index.fault = fault
    with pytest.raises(OSError) as problem:
        fetch_checked(fetch_url, url, tmp_path / "file", hashlib.sha256(CONTENT).hexdigest(), lambda *_: None)
    assert remedy(str(problem.value), tmp_path)[0] == cause
    assert list(tmp_path.iterdir()) == []
    index.fault = None
    fetch_checked(fetch_url, url, tmp_path / "file", hashlib.sha256(CONTENT).hexdigest(), lambda *_: None)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_connection_that_ends_early_is_noticed(tmp_path, url, monkeypatch):
    monkeypatch.setattr("http.client.HTTPResponse.read", lambda self, amount: b"")
    with pytest.raises(OSError, match="got only 0 out of 1024000") as problem:
        fetch_url(url, tmp_path / "file", lambda *_: None)
    assert remedy(str(problem.value), tmp_path)[0] == "damaged"


@pytest.mark.parametrize(
    ("origin", "cause"), [("http://127.0.0.1:9", "unreachable"), ("http://nowhere.invalid", "no network")]
)
def test_a_server_that_is_not_there(tmp_path, origin, cause):
    with pytest.raises(OSError) as problem:
        fetch_checked(fetch_url, f"{origin}/x.whl", tmp_path / "file", "", lambda *_: None)
    assert remedy(str(problem.value), tmp_path)[0] == cause


def test_a_certificate_nobody_knows(tmp_path, index, url, certificates):
    index.use_tls(certificates[1])
    fetch = partial(fetch_checked, fetch_url, url.replace("http:", "https:"), tmp_path / "file", "")
    with pytest.raises(OSError) as problem:
        fetch(lambda *_: None)
    assert remedy(str(problem.value), tmp_path)[0] == "certificate"


def test_what_the_caller_raises_cancels_and_leaves_nothing(tmp_path, url):
    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fetch_checked(fetch_url, url, tmp_path / "file", "", cancel)
    assert list(tmp_path.iterdir()) == []
