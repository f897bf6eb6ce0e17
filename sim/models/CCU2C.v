// Behaviour of the ECP5's carry cell as this project instantiates it, for simulation only.
//
// The cell adds two bits. In each, LUT4 of A, B, C, D is the sum without its carry. If LUT4 is 1, the carry propagates; otherwise LUT2 of A and B (LUT4 at C = D = 0) is the next
// carry. Both INJECT1 parameters must be "NO".
//
// Sources: ECP5 and ECP5-5G Family Data Sheet, FPGA-DS-02012, ripple mode of a slice; names of
// ports and parameters from Yosys, techlibs/lattice. A use that is not modelled ends the simulation.

/* verilator lint_off DECLFILENAME */ // one file may hold several models

`default_nettype none

module CCU2C #(
    parameter [15:0] INIT0 = 16'h0000,
    parameter [15:0] INIT1 = 16'h0000,
    parameter INJECT1_0 = "YES",
    parameter INJECT1_1 = "YES"
) (
    input wire CIN,
    input wire A0, B0, C0, D0, A1, B1, C1, D1,
    output wire S0, S1, COUT
);
    // Select level by level: an unknown input on which the result does not depend leaves the output
    // known, as in the device.
    wire [7:0] d_0 = D0 ? INIT0[15:8] : INIT0[7:0], d_1 = D1 ? INIT1[15:8] : INIT1[7:0];
    wire [3:0] c_0 = C0 ? d_0[7:4] : d_0[3:0], c_1 = C1 ? d_1[7:4] : d_1[3:0];
    wire [1:0] b_0 = B0 ? c_0[3:2] : c_0[1:0], b_1 = B1 ? c_1[3:2] : c_1[1:0];
    wire passes_0 = A0 ? b_0[1] : b_0[0], passes_1 = A1 ? b_1[1] : b_1[0];

    wire [1:0] next_0 = B0 ? INIT0[3:2] : INIT0[1:0], next_1 = B1 ? INIT1[3:2] : INIT1[1:0];
    wire carry = passes_0 ? CIN : (A0 ? next_0[1] : next_0[0]);

    assign S0 = passes_0 ^ CIN;
    assign S1 = passes_1 ^ carry;
    assign COUT = passes_1 ? carry : (A1 ? next_1[1] : next_1[0]);

    initial if (INJECT1_0 != "NO" || INJECT1_1 != "NO")
        $fatal(1, "CCU2C: an injected carry is not modelled (expected INJECT1_0 and INJECT1_1 NO)");
endmodule

`default_nettype wire
