"""Names in generated Verilog: plain identifiers alone, and modules that two builds do not share by accident."""

import re

_NAME = r"\\\S+ |\w+"
_MODULE = re.compile(rf"^module ({_NAME})", re.MULTILINE)
_INSTANCE = re.compile(rf"^  ({_NAME})(?= (?:#\(|(?:{_NAME}) ?\())", re.MULTILINE)
_ESCAPED = re.compile(r"(\.?)\\(\S+) ")
_HEADER = re.compile(r"^module \w+\((.*?)\);", re.DOTALL)
_PLAIN = re.compile(r"(?<![\\\w$'])[A-Za-z_]\w*")


def with_plain_names(text: str) -> str:
    """Verilog as Yosys writes it, with every escaped identifier replaced by a plain one.

    A name keeps its letters, digits and underscores; what else it had becomes an underscore, a keyword gets one at its
    end, and a number tells equal results apart. Ports take no such number, so that instances agree with their module.
    Raises ValueError where two ports of a module would have one name.
    """
    names: dict[str, str] = {}
    for name in _modules(text):
        plain = name if f"module {name}(" in text else _plain(name)
        names[name] = _distinct(plain, set(names.values()))
    return "".join(_localised(part) for part in re.split(r"(?=^module )", _renamed(text, names), flags=re.M))


def with_module_prefix(text: str, top: str, new_top: str, prefix: str) -> str:
    """Plain-named Verilog whose top module is called `new_top` and every other one `prefix` and its old name."""
    return _renamed(text, {name: new_top if name == top else f"{prefix}{name}" for name in _modules(text)})


def _modules(text: str) -> list[str]:
    return [name.strip().lstrip("\\") for name in _MODULE.findall(text)]


def _renamed(text: str, names: dict[str, str]) -> str:
    """Modules under new names, where they are defined and where they are placed."""

    def placed(match: re.Match[str]) -> str:
        name = match[1].strip().lstrip("\\")
        return f"  {names[name]}" if name in names else match[0]

    text = _MODULE.sub(lambda match: f"module {names[match[1].strip().lstrip(chr(92))]}", text)
    return _INSTANCE.sub(placed, text)


def _localised(module: str) -> str:
    """One module with plain names for its nets and instances, and for the ports that it connects."""
    header = _HEADER.match(module)
    if header is None:
        return module
    ports = [name.strip() for name in header[1].split(",") if name.strip()]
    mapping = {name[1:]: _plain(name[1:]) for name in ports if name.startswith("\\")}
    listed = [mapping.get(name.lstrip("\\"), name) for name in ports]
    if len(set(listed)) != len(listed):
        raise ValueError(f"ports: expected distinct names, got {', '.join(listed)}")
    taken = set(_PLAIN.findall(_ESCAPED.sub(" ", module))) | set(listed)
    for dot, name in _ESCAPED.findall(module):
        if not dot and name not in mapping:
            mapping[name] = _distinct(_plain(name), taken)
            taken.add(mapping[name])
    return _ESCAPED.sub(lambda match: f".{_plain(match[2])}" if match[1] else mapping[match[2]], module)


def _plain(name: str) -> str:
    """An escaped name's letters, digits and underscores, without Amaranth's number; of only these it is a keyword."""
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
