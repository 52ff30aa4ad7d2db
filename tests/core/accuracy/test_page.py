import pytest

from core.accuracy.page import facts, page, paragraph, section, table, write_page
from core.job.errors import OutputError


def test_text_is_never_markup():
    text = page("<a>", [paragraph("1 < 2"), table(["<b>"], [["&"]]), facts({"<c>": "<d>", "absent": ""})])
    for word in ("<a>", "<b>", "<c>", "<d>", "1 < 2", "absent"):
        assert word not in text
    assert "1 &lt; 2" in text


def test_an_empty_section_leaves_no_heading():
    assert section("Samples", "", "") == ""
    assert "<h2>Samples</h2>" in section("Samples", "", "<p></p>")


def test_a_page_replaces_another_when_it_is_whole(tmp_path):
    (tmp_path / "r.html").write_text("old")
    write_page(tmp_path / "r.html", "nëw")
    assert (tmp_path / "r.html").read_text("utf-8") == "nëw"
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_a_page_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match=r"The report '.*r\.html' cannot be written"):
        write_page(tmp_path / "nowhere" / "r.html", "")
