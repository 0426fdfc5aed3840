"""A checkpoint folder before it is loaded: where it is, what keeps it from loading, and its fingerprint.

4B/ config.json · model-00001-of-00002.safetensors · … · tokenizer.json · preprocessor_config.json · chat_template.jinja
"""

from yanshou.engines.checkpoint.architecture import is_moe
from yanshou.engines.checkpoint.faults import check, faults, processor_faults
from yanshou.engines.checkpoint.fingerprint import fingerprint
from yanshou.engines.checkpoint.locate import DEMO, LOADED_FILES, inherit_permissions, locate
from yanshou.engines.checkpoint.quantization import QUANTIZATION_KEYS, UNQUANTIZE, fp8_scales, quantization
from yanshou.engines.checkpoint.source import Source, find
from yanshou.engines.checkpoint.weight_files import TensorHeader, read_headers, weight_files

__all__ = [
    "DEMO",
    "LOADED_FILES",
    "QUANTIZATION_KEYS",
    "UNQUANTIZE",
    "Source",
    "TensorHeader",
    "check",
    "faults",
    "find",
    "fingerprint",
    "fp8_scales",
    "inherit_permissions",
    "is_moe",
    "locate",
    "processor_faults",
    "quantization",
    "read_headers",
    "weight_files",
]
