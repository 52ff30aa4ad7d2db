"""What is written down of an address holds neither a login nor a key."""

import pytest

from core.job.addresses import without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/vsicurl/https://me:hidden@host:8080/x.tif", "/vsicurl/https://host:8080/x.tif"),  # pragma: allowlist secret
        ("/vsicurl/https://host/x.tif?X-Amz-Signature=hidden&b=1", "/vsicurl/https://host/x.tif"),
        ("/vsicurl?use_head=no&userpwd=me:hidden&url=https%3A%2F%2Fhost%2Fx.tif", "/vsicurl"),
        (
            "HTTP 403 on 'https://me:hid@den@host/x.tif?key=hidden', sorry",  # pragma: allowlist secret
            "HTTP 403 on 'https://host/x.tif', sorry",
        ),
        ("/data/what?/me@home.tif", "/data/what?/me@home.tif"),
        ("GPKG:/data/two.gpkg:one", "GPKG:/data/two.gpkg:one"),
        ("C:\\data\\x.tif", "C:\\data\\x.tif"),
    ],
)
def test_logins_and_queries_are_left_out(text, shown):
    assert without_secrets(text) == shown
