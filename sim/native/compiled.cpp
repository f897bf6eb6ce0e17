// Driver of a core compiled by Verilator: it moves whole streams of payloads and counts cycles.
// Verilator spells two underscores inside a name as ___05F.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "Vtop.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

// One value each for commands, loads, status and results.
using Each = int64_t[4];

// Fields of Streams, in order. sim/native/compiled.py repeats the list and compares it with the
// result of core_layout. Counts continue from call to call. `pauses` points to 4 x `period` flags,
// or is null.
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
        // A first evaluation without a clock edge.
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

// The flags of sim/stalls.py are indexed by cycle, so evaluating one does not affect another.
bool pauses(const Streams& s, int stream) {
    if (s.cycle >= s.pause_from[stream] && s.cycle < s.pause_to[stream]) return true;
    return s.pauses && s.pauses[stream * s.period + s.cycle % s.period];
}

}  // namespace

extern "C" {

// Name, offset and size of every field of Streams, and its total size.
const char* core_layout() {
    static const std::string layout = [] {
        std::string text;
#define DESCRIBED(type, name) \
    text += #name ":" + std::to_string(offsetof(Streams, name)) + ":" + \
        std::to_string(sizeof(Streams::name)) + " ";
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

// Runs until all statuses and results have arrived, for `cycles` cycles, or until no transfer
// happens in `patience` cycles.
void core_run(void* model, Streams* streams, int64_t cycles, int64_t patience) {
    Model& core = *static_cast<Model*>(model);
    Vtop& top = core.top;
    Streams& s = *streams;
    for (int64_t count = 0; count < cycles && s.idle <= patience; count++) {
        if (s.status_done >= s.status_end && s.results_done >= s.results_end) break;
        if (!s.command_offered && s.commands_done < s.commands_end && !pauses(s, 0)) {
            const uint8_t* payload = s.commands + s.commands_done * s.command_bytes;
            std::memcpy(&top.commands___05Fpayload, payload, s.command_bytes);
            s.command_offered = 1;
        }
        if (!s.load_offered && s.loads_done < s.loads_end && !pauses(s, 1)) {
            const uint8_t* payload = s.loads + s.loads_done * s.load_bytes;
            std::memcpy(&top.loads___05Fpayload, payload, s.load_bytes);
            s.load_offered = 1;
        }
        top.commands___05Fvalid = s.command_offered;
        top.loads___05Fvalid = s.load_offered;
        top.status___05Fready = s.status_done < s.status_end && !pauses(s, 2);
        top.results___05Fready = s.results_done < s.results_end && !pauses(s, 3);
        bool moved = false;
        // Ready and valid depend on registers only, so their values now are those at the edge.
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
            uint8_t* payload = s.results + s.results_done++ * s.result_bytes;
            std::memcpy(payload, &top.results___05Fpayload, s.result_bytes);
            s.last = s.cycle;
            moved = true;
        }
        core.edge();
        s.cycle++;
        s.idle = moved ? 0 : s.idle + 1;
    }
}

// Whether the core offers a surplus status or result in the next `cycles` cycles.
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
