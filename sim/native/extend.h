// Sign extension by shifts, which g++ compiles to one instruction. Verilator's own expression takes
// five, and a systolic array extends both operands of every product.

#pragma once

#include "verilated.h"

static inline IData extended(int bits, IData value) {
    return static_cast<IData>(static_cast<int32_t>(value << (32 - bits)) >> (32 - bits));
}

static inline QData extended(int bits, QData value) {
    return static_cast<QData>(static_cast<int64_t>(value << (64 - bits)) >> (64 - bits));
}

#define VL_EXTENDS_II(to, from, value) extended(from, static_cast<IData>(value))
#define VL_EXTENDS_QI(to, from, value) extended(from, static_cast<QData>(value))
#define VL_EXTENDS_QQ(to, from, value) extended(from, static_cast<QData>(value))
#define VL_MULS_III(bits, a, b) \
    (extended(bits, static_cast<IData>(a)) * extended(bits, static_cast<IData>(b)))
#define VL_MULS_QQQ(bits, a, b) \
    (extended(bits, static_cast<QData>(a)) * extended(bits, static_cast<QData>(b)))
