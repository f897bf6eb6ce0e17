// Behaviour of the 7 series' DSP block as this project instantiates it, for simulation only.
//
// P = A[24:0] * B, signed, with one register on A, on B and on P. Latency 2 cycles.
//
// Source: 7 Series DSP48E1 Slice, UG479. The multiplier takes the lower 25 bits of A. OPMODE
// 0000101 feeds both halves of the product to the adder, and zero as its third operand. ALUMODE 0000 adds.
// A use that is not modelled ends the simulation.

/* verilator lint_off PROCASSINIT */ // registers are zero from configuration on
/* verilator lint_off UNUSEDSIGNAL */ // ports of what is not modelled
/* verilator lint_off WIDTHEXPAND */ // parameters are compared with numbers
/* verilator lint_off DECLFILENAME */ // one file may hold several models

`default_nettype none

module DSP48E1 #(
    parameter integer AREG = 1, ACASCREG = 1, BREG = 1, BCASCREG = 1, MREG = 1, PREG = 1,
    parameter integer ADREG = 1, ALUMODEREG = 1, CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1,
    parameter integer INMODEREG = 1, OPMODEREG = 1,
    parameter USE_DPORT = "FALSE",
    parameter USE_MULT = "MULTIPLY"
) (
    input wire CLK,
    input wire [29:0] A, ACIN,
    input wire [17:0] B, BCIN,
    input wire [47:0] C, PCIN,
    input wire [24:0] D,
    input wire CARRYCASCIN, MULTSIGNIN, CARRYIN,
    input wire [2:0] CARRYINSEL,
    input wire [4:0] INMODE,
    input wire [6:0] OPMODE,
    input wire [3:0] ALUMODE,
    input wire CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP,
    input wire RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
    output wire [47:0] P
);
    reg signed [24:0] a = 0;
    reg signed [17:0] b = 0;
    reg signed [47:0] product = 0;

    assign P = product;

    always @(posedge CLK) begin
        if (OPMODE !== 7'b0000101 || ALUMODE !== 4'b0000 || INMODE !== 5'b00000 || CARRYINSEL !== 3'b000
            || CARRYIN !== 1'b0)
            $fatal(1, "DSP48E1: expected OPMODE 0000101 and zero on ALUMODE, INMODE, CARRYINSEL and CARRYIN");
        if ({RSTA, RSTB, RSTP, CEA2, CEB2, CEP} !== 6'b000111)
            $fatal(1, "DSP48E1: expected CEA2, CEB2 and CEP 1, RSTA, RSTB and RSTP 0");
        a <= A[24:0];
        b <= B;
        product <= a * b;
    end

    initial begin
        if (AREG != 1 || BREG != 1 || MREG != 0 || PREG != 1 || ACASCREG != 1 || BCASCREG != 1)
            $fatal(1, "DSP48E1: expected one register on A, B and P and none on M");
        if (ADREG != 0 || ALUMODEREG != 0 || CARRYINREG != 0 || CARRYINSELREG != 0 || CREG != 0 || DREG != 0
            || INMODEREG != 0 || OPMODEREG != 0)
            $fatal(1, "DSP48E1: other registers are not modelled (expected none)");
        if (USE_DPORT != "FALSE" || USE_MULT != "MULTIPLY")
            $fatal(1, "DSP48E1: expected USE_DPORT FALSE and USE_MULT MULTIPLY");
    end
endmodule

`default_nettype wire
