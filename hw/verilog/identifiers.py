"""Names in generated Verilog: plain identifiers, and module names that differ between builds."""

import re

_NAME = r"\\\S+ |\w+"
_MODULE = re.compile(rf"^module ({_NAME})", re.MULTILINE)
_INSTANCE = re.compile(rf"^  ({_NAME})(?= (?:#\(|(?:{_NAME}) ?\())", re.MULTILINE)
_ESCAPED = re.compile(r"(\.?)\\(\S+) ")
_PLAIN = re.compile(r"(?<![\\\w$'])[A-Za-z_]\w*")


def with_plain_names(text: str) -> str:
    """Verilog as Yosys writes it, with every escaped identifier replaced by a plain one.

    A name keeps its letters, digits and underscores; what else it had becomes an underscore, a
    keyword gets one at its end, and a number tells equal results apart.
    """
    names: dict[str, str] = {}
    for name in _modules(text):
        plain = name if f"module {name}(" in text else _plain(name)
        names[name] = _distinct(plain, set(names.values()))
    modules = re.split(r"(?=^module )", _renamed(text, names), flags=re.MULTILINE)
    mappings = {
        match[1]: _mapping(module) for module in modules if (match := _MODULE.match(module))
    }
    return "".join(_localised(module, mappings) for module in modules)


def with_module_prefix(text: str, top: str, new_top: str, prefix: str) -> str:
    """Plain-named Verilog with the top module called `new_top` and `prefix` before the others."""
    return _renamed(
        text, {name: new_top if name == top else f"{prefix}{name}" for name in _modules(text)}
    )


def _modules(text: str) -> list[str]:
    return [name.strip().lstrip("\\") for name in _MODULE.findall(text)]


def _renamed(text: str, names: dict[str, str]) -> str:
    """Modules under new names, where they are defined and where they are placed."""

    def placed(match: re.Match[str]) -> str:
        name = match[1].strip().lstrip("\\")
        return f"  {names[name]}" if name in names else match[0]

    text = _MODULE.sub(lambda match: f"module {names[match[1].strip().lstrip(chr(92))]}", text)
    return _INSTANCE.sub(placed, text)


def _mapping(module: str) -> dict[str, str]:
    """A plain name for each escaped one of a module, ports first: their names matter most."""
    taken = set(_PLAIN.findall(_ESCAPED.sub(" ", module)))
    header = module.partition(");")[0]
    mapping: dict[str, str] = {}
    for dot, name in [*_ESCAPED.findall(header), *_ESCAPED.findall(module)]:
        if not dot and name not in mapping:
            mapping[name] = _distinct(_plain(name), taken)
            taken.add(mapping[name])
    return mapping


def _localised(module: str, mappings: dict[str, dict[str, str]]) -> str:
    """One module with plain names of its nets, its instances, and the ports of these."""
    header = _MODULE.match(module)
    if header is None:
        return module
    own = mappings[header[1]]
    placed: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        return f".{placed.get(match[2]) or _plain(match[2])}" if match[1] else own[match[2]]

    lines = []
    for line in module.splitlines(keepends=True):
        if instance := _INSTANCE.match(line):
            placed = mappings.get(instance[1], {})
        lines.append(_ESCAPED.sub(plain, line))
    return "".join(lines)


def _plain(name: str) -> str:
    """An escaped name's letters, digits and underscores, without the number that Amaranth appends.

    A name of only these characters is escaped because it is a keyword, and gets an underscore.
    """
    plain = re.sub(r"\W+", "_", re.sub(r"\$\d+$", "", name)).strip("_")
    if plain == name:
        return f"{name}_"
    return plain if re.match(r"[A-Za-z]", plain) else f"n_{plain}"


def _distinct(name: str, taken: set[str]) -> str:
    """The name, or the first with a number behind it that is not taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
