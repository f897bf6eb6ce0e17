"""Ports of a processing element: links to its neighbours in the mesh."""

from typing import Any, NamedTuple

from amaranth import C, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.gateware.lib.delay import register

__all__ = [
    "Operands",
    "column_link",
    "forwarded",
    "pe_inputs",
    "pe_signature",
    "row_link",
    "tag_layout",
]


def tag_layout(config: Config) -> data.StructLayout:
    """Return the layout of the tag that travels with x.

    Members:
        last: These are the tile's last operands.
        pair, quad: The product holds two or four products. Each exists only in builds that also
            have modes of another number of products.
    """
    fields = {"last": 1}
    if config.has_pair and (config.has_full or config.has_quad):
        fields["pair"] = 1
    if config.has_quad and (config.has_full or config.has_pair):
        fields["quad"] = 1
    return data.StructLayout(fields)


def row_link(config: Config) -> wiring.Signature:
    """Return the signature of the link from a PE to its right neighbour.

    Members:
        x: Out(signed `x_width`). Operand of the row.
        tag: Out(`tag_layout`). Control of the products of `x`.
    """
    return wiring.Signature({"x": Out(signed(config.x_width)), "tag": Out(tag_layout(config))})


def column_link(config: Config) -> wiring.Signature:
    """Return the signature of the link from a PE to the one below.

    Members:
        w: Out(signed `w_width`). Operand of the column.
        region: Out(1). Region of a piece-wise code: the products of `w` go to the lower (0) or the
            upper (1) half of the accumulators. Only in builds with piece-wise codes.
    """
    members: dict[str, wiring.Member] = {"w": Out(signed(config.w_width))}
    if config.has_regions:
        members["region"] = Out(1)
    return wiring.Signature(members)


def pe_signature(config: Config) -> wiring.Signature:
    """Return the ports of every kind of PE.

    Members:
        west: In(`row_link`). x and tag from the left neighbour.
        east: Out(`row_link`). The same one cycle later, for the right neighbour.
        north: In(`column_link`). w and region from above.
        south: Out(`column_link`). The same one cycle later, for the PE below.
        drain_i: In(`sum_width`). Drain chain, from the PE below.
        drain_o: Out(`sum_width`). Drain chain, to the PE above.
    """
    row, column = row_link(config), column_link(config)
    return wiring.Signature(
        {
            "west": In(row),
            "east": Out(row),
            "north": In(column),
            "south": Out(column),
            "drain_i": In(config.sum_width),
            "drain_o": Out(config.sum_width),
        }
    )


def pe_inputs(config: Config) -> list[str]:
    """Return the names of a PE's input ports in the generated Verilog, without clock and reset."""
    signature = pe_signature(config)
    ports = signature.flatten(signature.create())
    return ["__".join(map(str, path)) for path, member, _ in ports if member.flow == In]


class Operands(NamedTuple):
    """Operands of a PE, one cycle after its ports; `region` is 0 in builds without it."""

    x: Signal
    w: Signal
    tag: data.View
    region: Value


def forwarded(m: Module, config: Config, pe: Any) -> Operands:
    """Register the operands of `pe` and pass them on to `pe.east` and `pe.south`.

    The tag resets as if a tile ended in every cycle, so operands in flight at a reset enter no sum.
    """
    x, w = register(m, pe.west.x, "x"), register(m, pe.north.w, "w")
    tag = Signal(tag_layout(config), init={"last": 1})
    m.d.sync += tag.eq(pe.west.tag)
    m.d.comb += [pe.east.x.eq(x), pe.south.w.eq(w), pe.east.tag.eq(tag)]
    region: Value = C(0)
    if config.has_regions:
        region = register(m, pe.north.region, "region")
        m.d.comb += pe.south.region.eq(region)
    return Operands(x, w, tag, region)
