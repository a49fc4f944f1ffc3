"""The reference: a page for each room of the package, from signatures and docstrings.

griffe reads the source and Sphinx's napoleon the docstrings; nothing is imported, so torch is not
needed. A public name stands under the file that defines it, as ``nst_utils.transfer``, which is
what users write.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import indent

import griffe
from sphinx.ext.napoleon import Config, GoogleDocstring

PACKAGE = "nst_utils"
GOOGLE = Config(napoleon_use_rtype=False, napoleon_use_ivar=True)
DEEPER = "   "  # what belongs to a directive
LONGEST = 60  # characters of a default that is shown by its value instead of its name
# From what a user calls to what lies below it; as docs/architecture.md has the rooms.
ROOMS = ["experiments", "losses", "style_statistics", "networks", "objective", "optimize"]
ROOMS += ["images", "plots", "many", "teaching", "app", "memory", "support", "cli"]


def read_package(root: Path) -> griffe.Module:
    """The package in that folder, unimported."""
    package = griffe.load(
        PACKAGE,
        search_paths=[root],
        try_relative_path=False,
        resolve_aliases=True,
        allow_inspection=False,
    )
    assert isinstance(package, griffe.Module)
    return package


def public_names(package: griffe.Module) -> dict[str, griffe.Object]:
    """Each name of ``__all__``, and what it is, in the order of the source."""
    found = {str(name): package[str(name)] for name in package.exports or ()}
    objects = {name: x.final_target if x.is_alias else x for name, x in found.items()}
    return dict(sorted(objects.items(), key=lambda pair: (pair[1].module.path, pair[1].lineno)))


class Docstring(GoogleDocstring):
    """As napoleon reads it, but that several attributes can share a line, as parameters can.

    And what is returned is never taken for a type: types stand in the signature.
    """

    def _consume_fields(
        self, parse_type: bool = True, prefer_type: bool = False, multiple: bool = False
    ) -> list[tuple[str, str, list[str]]]:
        return super()._consume_fields(parse_type, prefer_type, multiple or not prefer_type)

    def _consume_returns_section(
        self, preprocess_types: bool = False
    ) -> list[tuple[str, str, list[str]]]:
        lines = self._dedent(self._consume_to_next_section())
        return [("", "", lines)] if lines else []


def _one_a_line(text: str, names: set[str]) -> str:
    """``seed: of the noise. device: "auto", ...`` is two entries in one line."""
    second = rf"(?m)^( +)(?=\w[\w, ]*: )(.*\.) ({'|'.join(map(re.escape, names))}): "
    return re.sub(second, r"\1\2\n\1\3: ", text) if names else text


def _docstring(of: griffe.Object) -> str:
    text = of.docstring.value if of.docstring else ""
    # |G - A| is a norm to us and would be a substitution to Sphinx.
    plain = re.sub(r"``.*?``|>>>.*|\|", lambda x: r"\|" if x[0] == "|" else x[0], text)
    names = {x.name for x in getattr(of, "parameters", ())}
    names |= set(of.members) if isinstance(of, griffe.Class) else set()
    return str(Docstring(_one_a_line(plain, names), GOOGLE)).strip()


def _fields(of: griffe.Class) -> list[griffe.Attribute]:
    """Of a named tuple or dataclass; other classes have none."""
    if "dataclass" not in of.labels and "NamedTuple" not in map(str, of.bases):
        return []
    annotated = [x for x in of.attributes.values() if x.annotation and "property" not in x.labels]
    return [x for x in annotated if x.is_public]


def _item(values: str, item: str) -> str:
    """What the source text of a tuple holds there; "" where only running it would tell."""
    try:
        return repr(ast.literal_eval(values)[ast.literal_eval(item)])
    except (ValueError, SyntaxError, LookupError, TypeError):
        return ""


def _show_values(function: griffe.Object, package: griffe.Module) -> None:
    """``content_weight = 0.005`` tells more than ``content_weight = CONTENT_WEIGHT``."""
    for parameter in getattr(function, "parameters", ()):
        named, item = parameter.default, None
        if isinstance(named, griffe.ExprSubscript):  # LAYERS[0]
            named, item = named.left, str(named.slice)
        path = getattr(named, "canonical_path", "")
        if path.startswith(f"{PACKAGE}."):
            value = str(getattr(package.modules_collection[path], "value", ""))
            if value and item:
                value = _item(value, item)
            if value and len(value) <= LONGEST:
                parameter.default = value


def _signature(of: griffe.Object, package: griffe.Module) -> str:
    if isinstance(of, griffe.Function):
        _show_values(of, package)
        return of.signature()
    if not isinstance(of, griffe.Class):
        return of.name
    for method in (x for x in of.functions.values() if x.name == "__init__"):
        _show_values(method, package)
    _show_values(of, package)
    if len(of.parameters):
        return of.signature()
    fields = [
        f"{x.name}: {x.annotation}" + (f" = {x.value}" if x.value else "") for x in _fields(of)
    ]
    return f"{of.name}({', '.join(fields)})" if fields else of.name


def _directive(kind: str, signature: str, body: list[str], options: str = "") -> str:
    head = f".. py:{kind}:: {signature}\n" + (indent(options, DEEPER) + "\n" if options else "")
    return head + "\n" + "".join(indent(part, DEEPER) + "\n\n" for part in body if part)


def _members(of: griffe.Class, package: griffe.Module) -> list[str]:
    """Fields with the comments behind them, then what can be called or asked for."""
    described = of.docstring.value if of.docstring else ""
    parts = []
    for field in _fields(of):
        comment = field.source.partition("  # ")[2].strip()
        if comment and f"{field.name}:" not in described:
            type_of = f":type: {field.annotation}"
            parts.append(_directive("attribute", field.name, [comment], type_of))
    for member in of.members.values():
        if not member.is_public or not member.docstring or member.name.startswith("__"):
            continue
        if isinstance(member, griffe.Function):
            signature = _signature(member, package)
            parts.append(_directive("method", signature, [_docstring(member)]))
        elif isinstance(member, griffe.Attribute):
            type_of = f":type: {member.annotation}" if member.annotation else ""
            parts.append(_directive("property", member.name, [_docstring(member)], type_of))
    return parts


def _entry(name: str, of: griffe.Object, package: griffe.Module) -> str:
    options = f":canonical: {of.path}" if of.path != f"{PACKAGE}.{name}" else ""
    body = [_docstring(of)]
    if isinstance(of, griffe.Class):
        return _directive("class", _signature(of, package), body + _members(of, package), options)
    kind = "function" if isinstance(of, griffe.Function) else "data"
    return _directive(kind, _signature(of, package), body, options)


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n\n"


def _module(module: griffe.Module, package: griffe.Module, line: str) -> str:
    """A file: its title, what it says of itself, and its public names."""
    path = "/".join(module.path.split(".")[1:]) + ".py"
    source = f":doc:`Source of {path} </source/{PACKAGE}/{path}>`"
    here = [(n, x) for n, x in public_names(package).items() if x.module.path == module.path]
    entries = [_entry(name, of, package) for name, of in here]
    return "\n".join(
        [
            _title(f"``{path}``" if line == "-" else f"``{module.path}``", line),
            f".. py:module:: {module.path}\n",
            _docstring(module) + "\n",
            source + "\n",
            f".. py:currentmodule:: {PACKAGE}\n",
            *entries,
        ]
    )


def room_page(room: str, package: griffe.Module) -> str:
    """The page of a folder of the package, or of a file beside the folders."""
    module = package[room]
    if not module.is_init_module:
        return _module(module, package, "=")
    head = _title(f"``{module.path}``", "=") + f".. py:module:: {module.path}\n\n"
    files = [x for x in module.modules.values() if not x.is_init_module]
    with_names = {x.module.path for x in public_names(package).values()}
    files.sort(key=lambda x: (x.path not in with_names, x.name))
    return head + _docstring(module) + "\n\n" + "\n".join(_module(x, package, "-") for x in files)


def index_page(package: griffe.Module) -> str:
    """All public names with what they do in a line, and the rooms."""
    rows = []
    for name, of in sorted(public_names(package).items(), key=lambda pair: pair[0].lower()):
        role = "func" if of.is_function else "class" if of.is_class else "data"
        described = of if of.docstring else of.module  # data has none: its file tells
        summary = " ".join(_docstring(described).split("\n\n")[0].split())
        rows.append(f":py:{role}:`{name} <{PACKAGE}.{name}>`\n{indent(summary, DEEPER)}\n")
    return "\n".join(
        [
            _title("Reference", "="),
            f".. py:module:: {PACKAGE}\n",
            "What ``import nst_utils as nst`` offers, and below it the package, room by room. Made",
            "from the docstrings; :doc:`how the package is built </docs/architecture>` tells how",
            "the rooms hang together.\n",
            _title("Names", "-"),
            *rows,
            _title("Rooms", "-"),
            ".. toctree::\n   :maxdepth: 1\n",
            *(f"   {room}" for room in ROOMS),
            "",
        ]
    )


def write_pages(root: Path, folder: Path) -> None:
    """The pages of the package in ``root``, into ``folder``."""
    package = read_package(root)
    present = {name for name, x in package.modules.items() if not name.startswith("_")}
    if missing := present ^ set(ROOMS):
        raise SystemExit(f"docs/site/api.py: ROOMS and {PACKAGE}/ differ by {sorted(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.rst").write_text(index_page(package), encoding="utf-8")
    for room in ROOMS:
        (folder / f"{room}.rst").write_text(room_page(room, package), encoding="utf-8")
