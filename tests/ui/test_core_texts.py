"""Core's sentences are found in its source as people will read them."""

import textwrap

import pytest

from tests.ui.core_texts import LEFT_OUT, PARTS, REASONS, Core, core


@pytest.fixture
def found(tmp_path):
    """Templates of a small core, given as the text of its files."""

    def read(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return [text for text in Core(tmp_path).templates if text not in REASONS]

    return read


@pytest.mark.parametrize(
    ("code", "templates"),
    [
        ("raise RasterError(f\"The raster '{name}' has no CRS.\")", ["The raster '{0}' has no CRS."]),
        ('raise InvalidJob("Choose a raster.")', ["Choose a raster."]),
        ('f"{a} of {b:.0%} and {a} are left."', ["{0} of {1} and {2} are left."]),
        ("f\"{n} tile{'s' if n > 1 else ''} are seen.\"", ["{0} tiles are seen.", "{0} tile are seen."]),
        ("f\"It has {', '.join(x) or 'none'} of it.\"", ["It has {0} of it.", "It has none of it."]),
        ('TEXT.format(size=3)\nTEXT = "About {size:,} MB are needed."', ["About {0} MB are needed."]),
        ('report(progress(0.1, "Reading"))', ["Reading"]),
        ('f"This cannot be made. {problems[0]}"', ["This cannot be made."]),
        ("f\"{sentence} The log lies in '{path}'.\"", ["The log lies in '{0}'."]),
        ('"""A docstring of a module, in a sentence."""', []),
        ('re.compile("not a sentence for people")', []),
    ],
)
def test_what_is_told(found, code, templates):
    assert found(a=code) == templates


def test_a_name_stands_for_what_was_set_last(found):
    code = """
    def look(x):
        if x:
            how = "darker" if x < 1 else "brighter"
            return f"The picture is {how} than others."
        how = "flat"
        return f"The picture is too {how} for that."
    """
    told = ["The picture is darker than others.", "The picture is brighter than others."]
    assert found(a=code) == [*told, "The picture is too flat for that."]


def test_a_name_within_another_loop_is_another(found):
    code = """
    def bands(roles):
        if any(role in known for role in ("red", "green")):
            for role in roles:
                raise RasterError(f"Which band is {role} cannot be told.")
    """
    assert found(a=code) == ["Which band is {0} cannot be told."]


def test_what_a_parameter_is_given_anywhere(found):
    checks = 'def require(path, what):\n    raise InvalidJob(f"Choose a {what} first.")'
    jobs = 'require(a, "raster")\nrequire(b, what="model")'
    assert found(checks=checks, jobs=jobs) == ["Choose a raster first.", "Choose a model first."]


def test_tables_and_loops(found):
    code = """
    DEATHS = {9: "the memory ran out", 11: "a library crashed"}

    def die(code):
        for what, value in (("mirror", a), ("proxy", b)):
            raise WorkerError(f"The {what} is not known here.")
        reason = None
        if code:
            reason = DEATHS.get(code)
        return f"The worker ended: {reason}."
    """
    assert found(a=code) == [
        "The mirror is not known here.",
        "The proxy is not known here.",
        "The worker ended: the memory ran out.",
        "The worker ended: a library crashed.",
    ]


def test_too_many_choices_become_texts_of_their_own(found):
    code = """
    def words(x):
        a = "better than" if x > 1 else "worse than" if x < 1 else "as good as"
        b = "three more" if x > 2 else "four fewer" if x < 2 else "as many"
        return f"It is {a} the old one and finds {b} of them."
    """
    assert found(a=code) == [
        "It is {0} the old one and finds three more of them.",
        "It is {0} the old one and finds four fewer of them.",
        "It is {0} the old one and finds as many of them.",
        "better than",
        "worse than",
        "as good as",
    ]


def test_a_sentence_that_may_follow_another_is_known_by_itself(found):
    code = 'text = "It is a little better."\nx = text + " The difference may be chance."'
    code = f"def say():\n    {code.replace(chr(10), chr(10) + '    ')}"
    assert found(a=code) == ["It is a little better.", "The difference may be chance."]


def test_every_rule_concerns_something():
    names = {module.name for module in core().modules}
    rooms = {name.partition("/")[0] for name in names}
    assert LEFT_OUT.keys() - names - rooms == set()
    held = {(name, holder) for name, holders in PARTS.items() for holder in holders}
    modules = {module.name: module for module in core().modules}
    assert [(name, holder) for name, holder in sorted(held) if not list(modules[name].held(holder))] == []
