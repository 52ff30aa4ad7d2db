"""The sentences of core that reach people in QGIS, found in its source: what the catalogues of core's words hold.

A sentence with values in it becomes a template with numbered gaps: f"The raster '{name}' has no CRS." is "The raster
'{0}' has no CRS.". What can be known of a gap is put in its place: both branches of a condition, the constants that
are handed to a parameter, the values of a table; so that each language says each of them as it needs to.
"""

import ast
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from tests.ui.core_source import Module, is_name

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core"
GAP = "\0"
MOST_FORMS = 32  # of one expression; beyond it, a gap stays a gap
MOST_COMBINED = 6  # of several choices in one text; beyond it, what can be chosen becomes texts of its own

# Rooms and files whose texts nobody meets in QGIS, and why.
LEFT_OUT = {
    "scene": "draws the suburbs of demo and tests",
    "accuracy": "writes pages of HTML, which have catalogues of their own",
    "__main__.py": "the command line",
    "arguments.py": "the command line",
    "terminal.py": "the command line",
    "import_weights.py": "a command of the command line",
    "job/environment/wheelhouse.py": "a command of the command line",
    "retinanet/foreign.py": "serves the command `import`",
    "learn.py": "for Python",
    "labelled_data.py": "for Python",
    "prediction.py": "for Python",
    "job/codec.py": "says what is wrong with JSON that a program has written",
    "job/environment/__main__.py": "the command line",
    "detections/metadata.py": "writes what stands in files",
}
SPOKEN = {"progress": (1,), "notice": (0,), "step": (0,)}  # calls whose arguments people read, by place
PARTS = {  # texts that come into the gaps of sentences by ways that are not followed, by file: what holds them
    "cluster.py": ("name_of", "device"),
    "identity.py": ("identity",),
    "imagery/bands.py": ("guessed",),
    "job/card.py": ("BAND_ROLES",),
    "job/environment/hardware.py": ("CPU", "CUDA", "APPLE"),
    "job/environment/progress.py": ("STEPS",),
    "job/environment/remedies.py": ("source",),
    "retinanet/device.py": ("name", "Backend"),
    "training/formats/checking.py": ("repairs",),
    "training/formats/coco.py": ("repairs", "where"),
    "training/formats/kitti.py": ("repairs", "where"),
    "training/formats/layers.py": ("repairs", "where"),
    "training/formats/tables.py": ("repairs", "where"),
    "training/formats/voc.py": ("repairs", "where"),
    "training/formats/yolo.py": ("repairs", "where"),
}
REASONS = (  # what the system and GDAL often say, which core passes on
    "{0}: No such file or directory",
    "No such file or directory",
    "'{0}' not recognized as being in a supported file format",
    "'{0}' not recognized as being in a supported file format.; It might help to specify the correct driver explicitly "
    "by prefixing the file path with '<DRIVER>:', e.g. 'CSV:path'",
    "Layer '{0}' could not be opened",
    "Permission denied",
    "No space left on device",
    "Read-only file system",
    "Is a directory",
    "Not a directory",
)
UNFOLLOWED = {"misfit"}  # details of damaged files, for those who made them

Form = str  # literal text with GAP for each gap


class Core:
    """All files of core, and the calls between them."""

    def __init__(self, folder: Path = CORE) -> None:
        self._folder = folder
        self._chosen: dict[Form, str] = {}

    @cached_property
    def modules(self) -> list[Module]:
        return [Module(path, self._folder) for path in sorted(self._folder.rglob("*.py"))]

    @cached_property
    def calls(self) -> dict[str, list[tuple[Module, ast.Call]]]:
        """Calls by the name of what is called."""
        found = defaultdict(list)
        for module in self.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                    found[name].append((module, node))
        return found

    @cached_property
    def constants(self) -> dict[str, tuple[Module, ast.expr]]:
        """Constants of all files by name."""
        return {name: (module, value) for module in self.modules for name, value in module.constants.items()}

    def forms(self, module: Module, node: ast.AST, seen: tuple[ast.AST, ...] = ()) -> list[Form]:
        """All that an expression may say, with a gap for what cannot be known."""
        if node in seen or len(seen) > 12:
            return [GAP]
        known = self._forms(module, node, (*seen, node))
        known = list(dict.fromkeys(re.sub(f"{GAP}+", GAP, form) for form in known))
        return known if len(known) <= MOST_FORMS else [GAP]

    def _forms(self, module: Module, node: ast.AST, seen: tuple[ast.AST, ...]) -> list[Form]:
        if isinstance(node, ast.Constant):
            return [] if node.value is None else [node.value if isinstance(node.value, str) else GAP]
        if isinstance(node, ast.JoinedStr):
            return ["".join(chosen) for chosen in itertools.product(*self._choices(module, node, seen))]
        if isinstance(node, ast.FormattedValue):
            fixed = node.format_spec is None and node.conversion == -1
            return self.forms(module, node.value, seen) if fixed else [GAP]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = itertools.product(self.forms(module, node.left, seen), self.forms(module, node.right, seen))
            return [left + right for left, right in sides]
        if isinstance(node, ast.IfExp):
            return self.forms(module, node.body, seen) + self.forms(module, node.orelse, seen)
        if isinstance(node, ast.BoolOp):
            return [form for value in node.values for form in self.forms(module, value, seen)]
        if isinstance(node, ast.Dict):
            return [form for value in node.values for form in self.forms(module, value, seen)]
        if isinstance(node, ast.Name):
            return self._named(module, node, seen)
        if isinstance(node, ast.Subscript):
            return self.forms(module, node.value, seen) if self._table(module, node.value) else [GAP]
        if isinstance(node, ast.Call):
            return self._called(module, node, seen)
        return [GAP]

    def _choices(self, module: Module, node: ast.JoinedStr, seen: tuple[ast.AST, ...]) -> list[list[Form]]:
        """What each part of a text may be; of too many choices the widest become gaps."""
        parts = [self.forms(module, part, seen) or [GAP] for part in node.values]
        while math.prod(map(len, parts)) > MOST_COMBINED and sum(len(part) > 1 for part in parts) > 1:
            widest = max(range(len(parts)), key=lambda i: len(parts[i]))
            self._chosen.update(dict.fromkeys(parts[widest], module.name))
            parts[widest] = [GAP]
        return parts

    def _table(self, module: Module, node: ast.AST) -> bool:
        known = module.constants.get(node.id) if isinstance(node, ast.Name) else None
        return isinstance(known, ast.Dict)

    def _called(self, module: Module, node: ast.Call, seen: tuple[ast.AST, ...]) -> list[Form]:
        """A value out of a table, a text that is filled in, or what a function of the same file gives."""
        if isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr in ("get", "format") and (self._table(module, owner) or node.func.attr == "format"):
                return self.forms(module, owner, seen)
            return [GAP]
        function = module.functions.get(getattr(node.func, "id", ""))
        if function is None or function.name in UNFOLLOWED:
            return [GAP]
        given = [step.value for step in ast.walk(function) if isinstance(step, ast.Return) and step.value is not None]
        known = [form for value in given for form in self.forms(module, value, seen)]
        return known if any(re.search(rf"^{GAP} [a-z]+ {GAP}$|\w\w.* .*\w\w", form) for form in known) else [GAP]

    def _named(self, module: Module, node: ast.Name, seen: tuple[ast.AST, ...]) -> list[Form]:
        """What a name stands for: set in its function, walked over, handed in, or a constant."""
        function = module.function_of(node)
        found: list[Form] = []
        for step in module.settings(function, node) if function else ():
            if isinstance(step, ast.Assign):
                plain = any(is_name(target, node.id) for target in step.targets)
                found += self.forms(module, step.value, seen) if plain else [GAP]
            elif isinstance(step, ast.AugAssign):
                found += [form + more for form in found for more in self.forms(module, step.value, seen)]
            else:
                found += [form for value in _walked(step, node.id) for form in self.forms(module, value, seen)]
        if found:
            return found
        names = [argument.arg for argument in function.args.args] if function else []
        if node.id in names:
            return self._handed(function, names.index(node.id), node.id, seen)
        if node.id in module.constants:
            return self.forms(module, module.constants[node.id], seen)
        if node.id in self.constants and node.id.isupper():
            return self.forms(*self.constants[node.id], seen)
        return [GAP]

    def _handed(self, function: ast.FunctionDef, place: int, name: str, seen: tuple[ast.AST, ...]) -> list[Form]:
        """What all calls of a function hand to one of its parameters."""
        if function.args.args[0].arg == "self":
            return [GAP]
        found: list[Form] = []
        for module, call in self.calls[function.name]:
            if left_out(module) or not isinstance(call.func, ast.Name):
                continue
            named = [keyword.value for keyword in call.keywords if keyword.arg == name]
            for value in named or call.args[place : place + 1]:
                found += self.forms(module, value, seen)
        return found

    @cached_property
    def templates(self) -> dict[str, str]:
        """Every template with the file it was found in first, in the order of the files; reasons come last."""
        found: dict[str, str] = {}
        for module in self.modules:
            if left_out(module):
                continue
            said = set(self._said(module))
            for node in sorted({*module.spoken(), *said}, key=lambda node: (node.lineno, node.col_offset)):
                for form in self.forms(module, node):
                    text = known_part(form)
                    if is_sentence(text) or (node in said and letters(text) > 1):
                        found.setdefault(text, module.name)
        found |= {form: name for form, name in self._chosen.items() if " " in form and letters(form) > 1}
        return {numbered(text): name for text, name in parted(found).items()} | dict.fromkeys(REASONS, "")

    def _said(self, module: Module) -> Iterator[ast.AST]:
        """Expressions that people read though they are no sentences."""
        for name, places in SPOKEN.items():
            calls = (call for owner, call in self.calls[name] if owner is module)
            yield from (call.args[place] for call in calls for place in places if len(call.args) > place)
        texts = set(module.spoken())
        for name in PARTS.get(module.name, ()):
            yield from (node for node in module.held(name) if node in texts or isinstance(node, ast.Name))


def _walked(step: ast.For | ast.comprehension, name: str) -> Iterator[ast.expr]:
    """Values that a loop over a written list gives to a name."""
    if not isinstance(step.iter, (ast.Tuple, ast.List)):
        return
    for item in step.iter.elts:
        if is_name(step.target, name):
            yield item
        elif isinstance(step.target, ast.Tuple) and isinstance(item, ast.Tuple):
            pairs = zip(step.target.elts, item.elts, strict=False)
            yield from (value for target, value in pairs if is_name(target, name))


def left_out(module: Module) -> bool:
    """Whether a rule leaves a file's texts out."""
    return bool({module.name, module.name.partition("/")[0]} & LEFT_OUT.keys())


def letters(form: Form) -> int:
    """Count the letters that are known."""
    return sum(character.isalpha() for character in form)


def known_part(form: Form) -> Form:
    """A text without the sentences in it of which nothing is known; blanks of `str.format` are gaps, too."""
    form = re.sub(r"\{\w+(:[^}]*)?\}", GAP, form)
    form = re.sub(rf"^{GAP} (?=[A-Z'])", "", form)
    form = re.sub(rf"(?<=[.!?]) {GAP}\.?$", "", form)
    return form.strip()


def parted(found: dict[Form, str]) -> dict[Form, str]:
    """Texts without those sentences that are known by themselves."""
    texts: dict[Form, str] = {}
    for form, name in found.items():
        known = [stop for stop in re.finditer(r"(?<=[.]) (?=[A-Z])", form) if form[: stop.start()] in found]
        texts.setdefault(form[known[-1].end() :] if known else form, name)
    return texts


def is_sentence(form: Form) -> bool:
    """Whether a text is a whole sentence for people."""
    return (
        bool(re.match(rf"[A-Z'{GAP}<]", form))
        and form.endswith(".")
        and " " in form
        and letters(form) > 8
        and "  " not in form
    )


def numbered(form: Form) -> str:
    """Give each gap its number."""
    numbers = itertools.count()
    return re.sub(GAP, lambda _: f"{{{next(numbers)}}}", form)


@lru_cache(maxsize=1)
def core() -> Core:
    """The source of core, read once."""
    return Core()
