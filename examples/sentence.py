"""Two sentences through the first layer of a quantized BERT, its GEMMs on the simulated core.

The model is all-MiniLM-L6-v2, cut to one of its six layers and quantized to four bits without
training, so the similarity is a rough one. `tilebert bert --backend rtl` runs a whole model.
"""

from dataclasses import replace

from tilebert import (
    Config,
    RtlBackend,
    Tokenizer,
    build,
    calibration_sentences,
    cosine,
    mode,
    quantize_model,
    quantized_encoder,
    read_weights,
)

SENTENCES = ["A student multiplies matrices.", "Somebody computes a product."]

weights = read_weights()
weights = replace(weights, config=replace(weights.config, layers=1), layers=weights.layers[:1])
tokenizer = Tokenizer()
model = quantize_model(weights, mode("w4a4"), tokenizer.encode_all(calibration_sentences()[:8]))

# Linear layers run in w4a4, the products of attention in w8a8, both on one core.
config = Config(modes=(mode("w4a4"), mode("w8a8")), rows=4, cols=4, k_max=1536)
backend = RtlBackend(build(config))
encoder = quantized_encoder(model, backend)
first, second = (encoder.sentence_vectors([ids])[0] for ids in tokenizer.encode_all(SENTENCES))

tally = backend.tally
print(f"similarity {cosine(first, second):.3f} after one layer")
print(f"{tally.results - tally.mismatches:,} of {tally.results:,} results equal the golden model")
print(f"{tally.jobs} GEMMs, {tally.cycles:,} cycles, utilization {tally.utilization:.1%}")
if tally.mismatches:
    raise SystemExit(1)
