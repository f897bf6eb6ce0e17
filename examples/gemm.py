"""One GEMM on the simulated core: random int8 codes, every result compared with golden."""

import numpy as np

from tilebert import Config, Job, build, compare, golden_backend, mode, simulate

rng = np.random.default_rng(1)
x = rng.integers(-127, 128, (12, 40), dtype=np.int8)  # activations, M x K
w = rng.integers(-127, 128, (40, 10), dtype=np.int8)  # weights, K x N
job = Job("gemm", mode("w8a8"), x, w)

# The first build takes some ten seconds. It is kept, so the next run starts at once.
core = build(Config(modes=(mode("w8a8"),), rows=4, cols=4, k_max=64))
result = simulate(core, [[job]]).groups[0]

comparison = compare(golden_backend([job])[0], result.y[0])
print(f"{comparison}; {result.cycles} cycles, utilization {result.utilization:.1%}")
if not comparison.exact:
    raise SystemExit(1)
