"""Addresses as they may be written down and shown: without what they hold of logins and keys."""

from __future__ import annotations

import re

QUERY = re.compile(r"(://[^\s'?]+)\?[^\s']*")
LOGIN = re.compile(r"://[^\s'/]*@")
OPTIONS = re.compile(r"(/vsi\w+)\?[^\s']*")  # `/vsicurl?url=…&userpwd=…`


def without_secrets(text: str) -> str:
    """Take the logins and queries of URLs out of a text, or of a raster's name; a path stays as it is."""
    return LOGIN.sub("://", QUERY.sub(r"\1", OPTIONS.sub(r"\1", text)))
