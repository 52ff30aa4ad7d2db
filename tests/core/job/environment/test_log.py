import pytest

from core.job.environment import log as log_module
from core.job.environment.log import Log, scrub


@pytest.mark.parametrize(
    "text",
    [
        "https://ada:s3cret@mirror/simple",  # pragma: allowlist secret
        "fetching http://s3cret@host:8080/x and more",
        "https://ada:p@ss-s3cret@mirror/simple",
        "UV_PUBLISH_TOKEN=s3cret",
        "password: s3cret",
        "Proxy-Authorization: Basic s3cret",
        "https://files/x.whl?signature=s3cret&expires=1",
        '"api_key": "s3cret"',  # pragma: allowlist secret
    ],
)
def test_secrets_are_hidden(text):
    assert "s3cret" not in scrub(text)
    assert "****" in scrub(text)


@pytest.mark.parametrize("text", ["https://pypi.org/simple/torch/", "mail ada@example.org", "Resolved 32 packages"])
def test_the_rest_stays(text):
    assert scrub(text) == text


def test_known_secrets_are_hidden_wherever_they_stand():
    assert scrub("it said lovelace-1815!", ("lovelace", "lovelace-1815")) == "it said ****!"


def test_lines_are_appended_and_scrubbed(tmp_path):
    for word in ("one", "two lovelace"):
        Log(tmp_path / "install.log", ("lovelace",)).write(word)
    assert Log(tmp_path / "install.log").tail(5) == ["one", "two ****"]
    assert Log(tmp_path / "install.log").tail(1) == ["two ****"]


def test_a_large_log_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "BYTES_KEPT", 20)
    log = Log(tmp_path / "install.log")
    for word in ("a" * 30, "b", "c"):
        log.write(word)
    assert log.tail(5) == ["b", "c"]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    for log in (Log(tmp_path), Log(tmp_path / "none" / "x.log"), Log()):
        log.write("word")
        assert log.tail(3) == []
