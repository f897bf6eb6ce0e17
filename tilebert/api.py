"""The public API: what `from tilebert import ...` offers, from the packages that define it.

Names that are not in `__all__` may change without notice. Docstrings are those of the definitions.
"""

from golden.bert.calibration import calibration_sentences, quantize_model
from golden.bert.checkpoint import load as load_checkpoint
from golden.bert.checkpoint import save as save_checkpoint
from golden.bert.encoder import Encoder, cosine, float_encoder
from golden.bert.quantized import QuantizedModel, quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.bert.weights import Weights, read_weights
from golden.numeric.gemm import gemm
from golden.numeric.quantize import dequantize, quantize
from golden.numeric.requantize import encode_factors, requantize
from golden.schedule.backend import golden_backend
from golden.schedule.job import Epilogue, Job
from golden.schedule.scheduler import Schedule, schedule
from golden.spec.commands import Geometry
from golden.spec.commands import encode as encode_command
from golden.spec.formats import Linear, Log2, Piecewise
from golden.spec.modes import MODE_NAMES, Mode, mode
from hw.config import Config
from hw.gateware.core.core import Core, geometry
from hw.gateware.output.requantizer import Requantizer
from hw.verilog.design import Design, emit, generate
from sim.backend import RtlBackend, Tally
from sim.build import Build, build
from sim.compare import Comparison, compare
from sim.simulation import GroupResult, Run, simulate

__all__ = [
    "MODE_NAMES",
    "Build",
    "Comparison",
    "Config",
    "Core",
    "Design",
    "Encoder",
    "Epilogue",
    "Geometry",
    "GroupResult",
    "Job",
    "Linear",
    "Log2",
    "Mode",
    "Piecewise",
    "QuantizedModel",
    "Requantizer",
    "RtlBackend",
    "Run",
    "Schedule",
    "Tally",
    "Tokenizer",
    "Weights",
    "build",
    "calibration_sentences",
    "compare",
    "cosine",
    "dequantize",
    "emit",
    "encode_command",
    "encode_factors",
    "float_encoder",
    "gemm",
    "generate",
    "geometry",
    "golden_backend",
    "load_checkpoint",
    "mode",
    "quantize",
    "quantize_model",
    "quantized_encoder",
    "read_weights",
    "requantize",
    "save_checkpoint",
    "schedule",
    "simulate",
]
