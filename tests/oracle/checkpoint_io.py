"""Reading and writing safetensors files with numpy alone, so that the oracles share no code with any runtime.

numpy has no bfloat16: such tensors are read as the float32 numbers they stand for, and written by
rounding float32 to nearest, ties to even, on the upper 16 bits.
"""

import json
import pathlib
import struct

import numpy as np

NUMPY_OF = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "F64": np.dtype("<f8")}


def to_bf16_bits(values):
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def from_bf16_bits(bits):
    return (bits.astype("<u4") << 16).view("<f4")


def round_to(dtype, values):
    """What a float array becomes after a trip through the storage type, as float32."""
    if dtype == "BF16":
        return from_bf16_bits(to_bf16_bits(values)).reshape(np.shape(values))
    return np.asarray(values).astype(NUMPY_OF[dtype]).astype(np.float32)


def write_safetensors(path, tensors, dtype="F32"):
    header, chunks, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, values in tensors.items():
        data = to_bf16_bits(values) if dtype == "BF16" else np.asarray(values).astype(NUMPY_OF[dtype])
        raw = data.tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [offset, offset + len(raw)]}
        chunks.append(raw)
        offset += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def read_safetensors(path):
    """All tensors of one file as float32, whatever they are stored as."""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            values = from_bf16_bits(np.frombuffer(raw[begin:end], "<u2"))
        else:
            values = np.frombuffer(raw[begin:end], NUMPY_OF[entry["dtype"]]).astype(np.float32)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def read_checkpoint(folder):
    folder = pathlib.Path(folder)
    index = folder / "model.safetensors.index.json"
    files = ["model.safetensors"]
    if index.exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    tensors = {}
    for name in files:
        tensors.update(read_safetensors(folder / name))
    return tensors


def write_json(path, value):
    pathlib.Path(path).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
