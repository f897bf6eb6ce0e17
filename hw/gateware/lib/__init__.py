"""Units for any Amaranth design: registers, counters, FIFOs, reset, carry-cell adders, multipliers.

Nothing here depends on a build's configuration. All units use the clock domain `sync`. Those that
instantiate a family's primitives look at the attribute `family` of the platform given to
`elaborate`, and use plain operators without it.
"""
