// Moves whole streams through a core that Verilator compiled: payloads in, payloads out, cycles counted.
// Verilator writes the two underscores inside a name as ___05F.

#include <cstdint>
#include <cstring>
#include <memory>

#include "Vtop.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

// Mirrors sim/compiled.py. Counts go on from call to call.
struct Streams {
    const uint8_t* commands;
    const uint8_t* loads;
    uint8_t* status;
    uint8_t* results;
    int64_t command_bytes, load_bytes, result_bytes;
    int64_t commands_end, loads_end, status_end, results_end;
    int64_t commands_done, loads_done, status_done, results_done;
    int64_t cycle, first, last, idle;
    uint32_t stalls[4];
    int64_t pause_from[4], pause_to[4];
    uint32_t offered[2];
    uint64_t random;
};

namespace {

struct Model {
    VerilatedContext context;
    Vtop top;
    Model() : top(&context) {
        // The first evaluation sees no edge.
        top.clk = 0;
        top.eval();
    }

    void edge() {
        top.clk = 1;
        top.eval();
        top.clk = 0;
        top.eval();
    }
};

// Xorshift: the same stalls for the same seed, everywhere.
bool pauses(Streams& s, int stream) {
    if (s.cycle >= s.pause_from[stream] && s.cycle < s.pause_to[stream]) return true;
    if (!s.stalls[stream]) return false;
    s.random ^= s.random << 13;
    s.random ^= s.random >> 7;
    s.random ^= s.random << 17;
    return static_cast<uint32_t>(s.random >> 32) < s.stalls[stream];
}

}  // namespace

extern "C" {

void* core_new() { return new Model; }

void core_delete(void* model) { delete static_cast<Model*>(model); }

void core_reset(void* model) {
    Vtop& top = static_cast<Model*>(model)->top;
    top.commands___05Fvalid = 0;
    top.loads___05Fvalid = 0;
    top.status___05Fready = 0;
    top.results___05Fready = 0;
    top.rst = 1;
    static_cast<Model*>(model)->edge();
    top.rst = 0;
}

// Runs until the ends of status and results are reached, or for so many cycles, or until nothing moves for `patience`.
void core_run(void* model, Streams* streams, int64_t cycles, int64_t patience) {
    Model& core = *static_cast<Model*>(model);
    Vtop& top = core.top;
    Streams& s = *streams;
    for (int64_t count = 0; count < cycles && s.idle <= patience; count++) {
        if (s.status_done >= s.status_end && s.results_done >= s.results_end) break;
        if (!s.offered[0] && s.commands_done < s.commands_end && !pauses(s, 0)) {
            std::memcpy(&top.commands___05Fpayload, s.commands + s.commands_done * s.command_bytes, s.command_bytes);
            s.offered[0] = 1;
        }
        if (!s.offered[1] && s.loads_done < s.loads_end && !pauses(s, 1)) {
            std::memcpy(&top.loads___05Fpayload, s.loads + s.loads_done * s.load_bytes, s.load_bytes);
            s.offered[1] = 1;
        }
        top.commands___05Fvalid = s.offered[0];
        top.loads___05Fvalid = s.offered[1];
        top.status___05Fready = s.status_done < s.status_end && !pauses(s, 2);
        top.results___05Fready = s.results_done < s.results_end && !pauses(s, 3);
        bool moved = false;
        // Ready and valid depend on registers alone: what they are now holds at the edge.
        if (s.offered[0] && top.commands___05Fready) {
            if (s.first < 0) s.first = s.cycle;
            s.commands_done++;
            s.offered[0] = 0;
            moved = true;
        }
        if (s.offered[1] && top.loads___05Fready) {
            s.loads_done++;
            s.offered[1] = 0;
            moved = true;
        }
        if (top.status___05Fready && top.status___05Fvalid) {
            s.status[s.status_done++] = top.status___05Fpayload;
            moved = true;
        }
        if (top.results___05Fready && top.results___05Fvalid) {
            std::memcpy(s.results + s.results_done++ * s.result_bytes, &top.results___05Fpayload, s.result_bytes);
            s.last = s.cycle;
            moved = true;
        }
        core.edge();
        s.cycle++;
        s.idle = moved ? 0 : s.idle + 1;
    }
}
// Whether the core offers anything in so many further cycles, though nothing more was asked for.
int core_offers(void* model, int64_t cycles) {
    Model& core = *static_cast<Model*>(model);
    core.top.commands___05Fvalid = 0;
    core.top.loads___05Fvalid = 0;
    core.top.status___05Fready = 0;
    core.top.results___05Fready = 0;
    for (int64_t count = 0; count < cycles; count++) {
        core.edge();
        if (core.top.status___05Fvalid || core.top.results___05Fvalid) return 1;
    }
    return 0;
}
}
