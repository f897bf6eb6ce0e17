// Behaviour of the ECP5's 18 x 18 multiplier as this project instantiates it, for simulation only.
//
// P = A * B; an operand is signed if its SIGNED input is 1. Optional registers: on A (and SIGNEDA),
// on B (and SIGNEDB), after the multiplier array (pipeline) and on P. Latency: the number of
// clocked stages among operands, pipeline and P, in cycles.
//
// Sources:
// - function: ECP5 and ECP5-5G sysDSP Usage Guide, FPGA-TN-02205 (formerly TN1267), MULT18X18D;
// - names and defaults of ports and attributes: Yosys, techlibs/lattice/cells_bb_ecp5.v;
// - SIGNEDA and SIGNEDB pass through the operands' registers: Project Trellis' cell timings, where
//   both have a setup time to CLK0 if the input registers are on;
// - clock, enable and reset: nextpnr, ecp5/bitstream.cc. It writes no enable and not every reset of
//   the output register, so all of them must be CE0 and RST0 here, and the clock CLK0.
//
// A use that is not modelled ends the simulation: other values of attributes and operands from a
// neighbour. Shift, cascade and C ports do not exist here.

/* verilator lint_off PROCASSINIT */ // registers are zero from configuration on
/* verilator lint_off UNUSEDSIGNAL */ // the top bits of a product of 18 x 18 bits are its sign
/* verilator lint_off DECLFILENAME */ // one file may hold several models

`default_nettype none

module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE",
    parameter REG_INPUTA_CE = "CE0",
    parameter REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE",
    parameter REG_INPUTB_CE = "CE0",
    parameter REG_INPUTB_RST = "RST0",
    parameter REG_INPUTC_CLK = "NONE",
    parameter REG_INPUTC_CE = "CE0",
    parameter REG_INPUTC_RST = "RST0",
    parameter REG_PIPELINE_CLK = "NONE",
    parameter REG_PIPELINE_CE = "CE0",
    parameter REG_PIPELINE_RST = "RST0",
    parameter REG_OUTPUT_CLK = "NONE",
    parameter REG_OUTPUT_CE = "CE0",
    parameter REG_OUTPUT_RST = "RST0",
    parameter CLK0_DIV = "ENABLED",
    parameter CLK1_DIV = "ENABLED",
    parameter CLK2_DIV = "ENABLED",
    parameter CLK3_DIV = "ENABLED",
    parameter HIGHSPEED_CLK = "NONE",
    parameter GSR = "ENABLED",
    parameter CAS_MATCH_REG = "FALSE",
    parameter SOURCEB_MODE = "B_SHIFT",
    parameter MULT_BYPASS = "DISABLED",
    parameter RESETMODE = "SYNC"
) (
    input wire A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input wire B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input wire SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input wire CLK0, CE0, RST0,
    output wire P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    output wire P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};

    // An operand with the bit above it that makes signed and unsigned ones alike.
    reg signed [18:0] a_registered = 0, b_registered = 0;
    wire signed [18:0] a_direct = {SIGNEDA & a[17], a};
    wire signed [18:0] b_direct = {SIGNEDB & b[17], b};
    wire signed [18:0] a_operand = REG_INPUTA_CLK == "NONE" ? a_direct : a_registered;
    wire signed [18:0] b_operand = REG_INPUTB_CLK == "NONE" ? b_direct : b_registered;

    reg signed [37:0] pipeline_registered = 0, output_registered = 0;
    wire signed [37:0] product = a_operand * b_operand;
    wire signed [37:0] pipelined = REG_PIPELINE_CLK == "NONE" ? product : pipeline_registered;
    wire signed [37:0] result = REG_OUTPUT_CLK == "NONE" ? pipelined : output_registered;

    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
            P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = result[35:0];

    always @(posedge CLK0) begin
        if (SOURCEA !== 1'b0 || SOURCEB !== 1'b0)
            $fatal(1, "MULT18X18D: operands from a neighbour are not modelled (SOURCEA, SOURCEB)");
        // The vendor's reset and enable: neither may be unknown, or the registers would be.
        if ((^{CE0, RST0, SIGNEDA, SIGNEDB}) === 1'bx)
            $fatal(1, "MULT18X18D: CE0, RST0, SIGNEDA or SIGNEDB is not connected");
        if (RST0) begin
            a_registered <= 0;
            b_registered <= 0;
            pipeline_registered <= 0;
            output_registered <= 0;
        end else if (CE0) begin
            a_registered <= a_direct;
            b_registered <= b_direct;
            pipeline_registered <= product;
            output_registered <= pipelined;
        end
    end

    initial begin
        if ((REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0")
            || (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0")
            || (REG_PIPELINE_CLK != "NONE" && REG_PIPELINE_CLK != "CLK0")
            || (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0"))
            $fatal(1, "MULT18X18D: a register's clock is not modelled (expected NONE or CLK0)");
        if (REG_INPUTA_CE != "CE0" || REG_INPUTB_CE != "CE0" || REG_PIPELINE_CE != "CE0" || REG_OUTPUT_CE != "CE0")
            $fatal(1, "MULT18X18D: a register's enable is not modelled (expected CE0)");
        if (REG_INPUTA_RST != "RST0" || REG_INPUTB_RST != "RST0" || REG_PIPELINE_RST != "RST0"
            || REG_OUTPUT_RST != "RST0")
            $fatal(1, "MULT18X18D: a register's reset is not modelled (expected RST0)");
        if (RESETMODE != "SYNC")
            $fatal(1, "MULT18X18D: RESETMODE %0s is not modelled (expected SYNC)", RESETMODE);
        if (GSR != "DISABLED")
            $fatal(1, "MULT18X18D: GSR %0s is not modelled (expected DISABLED)", GSR);
        if (REG_INPUTC_CLK != "NONE" || REG_INPUTC_CE != "CE0" || REG_INPUTC_RST != "RST0"
            || SOURCEB_MODE != "B_SHIFT")
            $fatal(1, "MULT18X18D: the C operand is not modelled");
        if (CLK0_DIV != "ENABLED" || CLK1_DIV != "ENABLED" || CLK2_DIV != "ENABLED" || CLK3_DIV != "ENABLED"
            || HIGHSPEED_CLK != "NONE" || CAS_MATCH_REG != "FALSE" || MULT_BYPASS != "DISABLED")
            $fatal(1, "MULT18X18D: an attribute differs from its default, which alone is modelled");
    end
endmodule

`default_nettype wire
