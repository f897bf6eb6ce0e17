// Moves whole streams through a core that Verilator compiled: payloads in, payloads out, cycles counted.
// Verilator writes the two underscores inside a name as ___05F.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "Vtop.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

// A field of the streams for each of commands, loads, status and results.
using Each = int64_t[4];

// The fields of Streams, in order. sim/native/compiled.py has the same list and compares it with core_layout's.
// Counts go on from call to call; `pauses` holds 4 x `period` flags, or is null.
#define STREAMS(FIELD) \
    FIELD(const uint8_t*, commands) \
    FIELD(const uint8_t*, loads) \
    FIELD(uint8_t*, status) \
    FIELD(uint8_t*, results) \
    FIELD(int64_t, command_bytes) \
    FIELD(int64_t, load_bytes) \
    FIELD(int64_t, result_bytes) \
    FIELD(int64_t, commands_end) \
    FIELD(int64_t, loads_end) \
    FIELD(int64_t, status_end) \
    FIELD(int64_t, results_end) \
    FIELD(int64_t, commands_done) \
    FIELD(int64_t, loads_done) \
    FIELD(int64_t, status_done) \
    FIELD(int64_t, results_done) \
    FIELD(int64_t, cycle) \
    FIELD(int64_t, first) \
    FIELD(int64_t, last) \
    FIELD(int64_t, idle) \
    FIELD(const uint8_t*, pauses) \
    FIELD(int64_t, period) \
    FIELD(Each, pause_from) \
    FIELD(Each, pause_to) \
    FIELD(int64_t, command_offered) \
    FIELD(int64_t, load_offered)

struct Streams {
#define DECLARED(type, name) type name;
    STREAMS(DECLARED)
#undef DECLARED
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

// The pauses come from sim/stalls.py, by cycle: looking or not looking at one changes no other.
bool pauses(const Streams& s, int stream) {
    if (s.cycle >= s.pause_from[stream] && s.cycle < s.pause_to[stream]) return true;
    return s.pauses && s.pauses[stream * s.period + s.cycle % s.period];
}

}  // namespace

extern "C" {

// Name, offset and size of every field of Streams, and the size of the whole.
const char* core_layout() {
    static const std::string layout = [] {
        std::string text;
#define DESCRIBED(type, name) \
    text += #name ":" + std::to_string(offsetof(Streams, name)) + ":" + std::to_string(sizeof(Streams::name)) + " ";
        STREAMS(DESCRIBED)
#undef DESCRIBED
        return text + std::to_string(sizeof(Streams));
    }();
    return layout.c_str();
}

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
        if (!s.command_offered && s.commands_done < s.commands_end && !pauses(s, 0)) {
            std::memcpy(&top.commands___05Fpayload, s.commands + s.commands_done * s.command_bytes, s.command_bytes);
            s.command_offered = 1;
        }
        if (!s.load_offered && s.loads_done < s.loads_end && !pauses(s, 1)) {
            std::memcpy(&top.loads___05Fpayload, s.loads + s.loads_done * s.load_bytes, s.load_bytes);
            s.load_offered = 1;
        }
        top.commands___05Fvalid = s.command_offered;
        top.loads___05Fvalid = s.load_offered;
        top.status___05Fready = s.status_done < s.status_end && !pauses(s, 2);
        top.results___05Fready = s.results_done < s.results_end && !pauses(s, 3);
        bool moved = false;
        // Ready and valid depend on registers alone: what they are now holds at the edge.
        if (s.command_offered && top.commands___05Fready) {
            if (s.first < 0) s.first = s.cycle;
            s.commands_done++;
            s.command_offered = 0;
            moved = true;
        }
        if (s.load_offered && top.loads___05Fready) {
            s.loads_done++;
            s.load_offered = 0;
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

}  // extern "C"
