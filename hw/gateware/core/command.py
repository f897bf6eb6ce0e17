"""Commands and their status as Amaranth shapes, built from golden.spec.commands."""

from amaranth import Value
from amaranth.lib import data, enum
from amaranth.utils import bits_for

from golden.spec.commands import COMMAND_WIDTH, FIELDS, Opcode, Status

__all__ = ["OPCODE_WIDTH", "STATUS_WIDTH", "StatusCode", "command_layout", "view"]

OPCODE_WIDTH = 8
"""Bits of the opcode, the lowest of a command."""

STATUS_WIDTH = bits_for(max(Status))
"""Bits of a status."""


class StatusCode(enum.IntEnum, shape=STATUS_WIDTH):  # type: ignore[call-arg]
    """golden.spec.commands.Status as an Amaranth shape: the same names and numbers."""

    locals().update(Status.__members__)


def command_layout(opcode: Opcode) -> data.FlexibleLayout:
    """All COMMAND_WIDTH bits of a command: `opcode` and the fields of that opcode.

    All other bits are padding.
    """
    fields = {"opcode": data.Field(OPCODE_WIDTH, 0)}
    fields |= {name: data.Field(width, start) for name, (start, width) in FIELDS[opcode].items()}
    return data.FlexibleLayout(COMMAND_WIDTH, fields)


def view(opcode: Opcode, command: Value) -> data.View:
    """A command of COMMAND_WIDTH bits, read as one of that opcode."""
    return data.View(command_layout(opcode), command)
