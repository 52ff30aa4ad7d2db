from dataclasses import replace

import pytest

from core.job.codec import decode, encode
from core.job.environment.state import READY, InstallOptions, Plan, State
from core.job.errors import InvalidJob


def test_a_state_survives_the_round_trip():
    state = State(READY, "Ready.", "/x/python", "a card", {"torch": "2.15.0"}, 5_800_000_000)
    assert decode(State, encode(state)) == state


@pytest.mark.parametrize(
    "options",
    [
        InstallOptions(),
        InstallOptions("https://ada:x@mirror/simple", None, "http://proxy:3128", None, "cu128"),
        InstallOptions("file:///wheels/simple", torch_backend="rocm6.4"),
        InstallOptions(proxy="socks5h://proxy:1080", torch_backend="default"),
    ],
)
def test_what_can_be_meant_is_taken(options):
    options.validate()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (InstallOptions(index_url="mirror/simple"), "address of the mirror"),
        (InstallOptions(proxy="proxy:3128"), "address of the proxy"),
        (InstallOptions(offline_folder="/nowhere"), "holds no Python packages"),
        (InstallOptions(python="/nowhere/python"), "does not exist"),
        (InstallOptions(torch_backend="--index-url=x"), "is no build of PyTorch"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, sentence):
    with pytest.raises(InvalidJob, match=sentence):
        options.validate()


def test_passwords_are_known_as_written_and_decoded():
    options = InstallOptions("https://ada:l%40ve@mirror/simple", proxy="http://ada:lace@proxy")
    assert set(options.secrets) == {"l%40ve", "l@ve", "lace"}
    assert InstallOptions().secrets == ()


def test_a_plan_without_a_download_does_not_speak_of_one():
    plan = Plan(("torch",), ("pypi.org",), "for the processor", "/data", 320, 1300, 50_000)
    assert "about 320 MB to download (1 min at 50 Mbit/s), 1,300 MB on disk, where 50,000 MB are free" in plan.sentence
    assert "download" not in replace(plan, download_mb=0).sentence
