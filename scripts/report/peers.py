"""Figures of other projects, with their sources, for comparison in the report."""

ARRAYS = (
    ("OpenTPU (UCSBarchlab/OpenTPU)", "38", "53", "363", "63-71"),
    ("Gemmini mesh (ucb-bar/gemmini)", "46.5", "78", "401", "62"),
    ("hps_accel 8 x 8 (google/CFU-Playground)", "64", "96", "400", "82-90"),
    ("hps_accel 4 x 4, 4-wide (google/CFU-Playground)", "55", "46", "387", "101"),
    ("axis-systolic-array (abarajithan11/axis-systolic-array)", "98", "102", "402", "90-91"),
    ("tiny-xpu (avikde/tiny-xpu)", "72", "48", "455", "66"),
    ("NVDLA nv_small CMAC + CACC (ucb-bar/nvdla-wrapper)", "116", "53", "377", "51"),
    ("ITA sum of dot products (pulp-platform/ITA)", "42", "19", "444", "44"),
    ("systars 4 x 4", "144", "112", "not measured", "91"),
)
"""64 int8 MACs each: name, COMB per MAC with DSP, FF per MAC, COMB per MAC without DSP, MHz.

Measured with Yosys 0.70 and nextpnr-ecp5 0.11 on LFE5U-85F, speed 6.
"""

PUBLISHED = (
    (
        "utilization, BERT FFN1 512 x 768 x 3072, 16 x 16 int8",
        "98.6 %, HLS estimate",
        "allo PR #124",
    ),
    ("utilization, RedMulE", "98.8 % (31.6 of 32 MAC a cycle)", "DATE 2022"),
    ("cost of packing", "LUTs 97,833 to 231,234 for 128 DSPs saved", "allo PR #125"),
    (
        "power-of-two weights against int8, Z7020",
        "-31 % LUT, timing failed by 2.06 ns",
        "PoTAcc, routed reports",
    ),
    ("open-tool designs on small boards", "75 MHz on Arty", "hps_accel's repository"),
    (
        "8-bit BERT-base, GLUE, relative error",
        "-1.3 % (RTE) to +0.4 %",
        "Q8BERT, arXiv:1910.06188, table 1",
    ),
    ("log2, 5 bits, MRPC F1", "81.22: one class predicted", "Ding et al., table 2"),
)
"""Figure, value, source."""
