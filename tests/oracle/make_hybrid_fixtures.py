#!/usr/bin/env python3
"""Writes the fixtures of X-EcoMLA, MambaInLlama, Llamba and state-spaces Mamba2: tiny random checkpoints and the
logits that hybrids.py gives for them in float64. See README.md for what vouches for it."""

import argparse
import platform

import numpy as np

from checkpoint_io import write_json, write_safetensors
from hybrids import Llamba, MambaInLlama, StateSpaces, XEcoMla
from make_model_fixtures import FAR, LLAMA3, OUT, case_ids, fresh_folder, relative_gap, short
from make_model_fixtures import write_logits, zebra_config

# How a tensor is drawn: (rng, shape) -> values. Every kind is such that its term cannot be forgotten unnoticed.
KINDS = {
    "linear": lambda rng, shape: rng.normal(0, shape[-1] ** -0.5, shape),
    "embedding": lambda rng, shape: rng.normal(0, 1, shape),
    "head": lambda rng, shape: rng.normal(0, 3 * shape[-1] ** -0.5, shape),
    "norm": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
    "bias": lambda rng, shape: rng.normal(0, 0.3, shape),
    "taps": lambda rng, shape: rng.normal(0, 0.5, shape),
    "gate": lambda rng, shape: rng.normal(0, 0.5, shape),
    "decay": lambda rng, shape: np.log(rng.uniform(0.5, 16, shape)),
    "step": lambda rng, shape: np.concatenate([[25.0, -6.0], rng.uniform(-4, 1, shape[0] - 2)]),
    # Mamba1's, which is added twice: one channel beyond the point where softplus(x) becomes x.
    "half step": lambda rng, shape: np.concatenate([[10.5, -3.0], rng.uniform(-2, 0.5, shape[0] - 2)]),
    "skip": lambda rng, shape: rng.normal(1, 0.3, shape),
}


def draw(rng, tensors):
    return {name: KINDS[kind](rng, shape) for name, (kind, *shape) in tensors.items()}


def with_prefix(prefix, tensors):
    return {prefix + name: entry for name, entry in tensors.items()}


def block(d, wide):
    return {
        "input_layernorm.weight": ("norm", d),
        "post_attention_layernorm.weight": ("norm", d),
        "mlp.gate_proj.weight": ("linear", wide, d),
        "mlp.up_proj.weight": ("linear", wide, d),
        "mlp.down_proj.weight": ("linear", d, wide),
    }


def mla_tensors(d, mla, q_rank, rank):
    heads, n, r, v = (mla[k] for k in ("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    norms = {"q_a_layernorm.weight": ("norm", q_rank), "kv_a_layernorm.weight": ("norm", rank)}
    return {
        "q_a_proj.weight": ("linear", q_rank, d),
        "q_b_proj.weight": ("linear", heads * (n + r), q_rank),
        "kv_a_proj_with_mqa.weight": ("linear", rank + r, d),
        "kv_b_proj.weight": ("linear", heads * (n + v), rank),
        "out_proj.weight": ("linear", d, heads * v),
    } | (norms if mla["use_lora_layer_norm"] else {})


def attention_tensors(config):
    d, heads, groups, width = (
        config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim")
    )
    return {
        "q_proj.weight": ("linear", heads * width, d),
        "k_proj.weight": ("linear", groups * width, d),
        "v_proj.weight": ("linear", groups * width, d),
        "o_proj.weight": ("linear", d, heads * width),
    }


def fused_attention_tensors(d, options):
    heads, groups, width = (options[k] for k in ("num_heads", "num_heads_kv", "head_dim"))
    channels = (heads + 2 * groups) * width
    return {
        "in_proj.weight": ("linear", channels, d),
        "conv1d.weight": ("taps", channels, 1, 4),
        "conv1d.bias": ("bias", channels),
        "out_proj.weight": ("linear", d, heads * width),
    }


def mamba2_tensors(d, inner, channels, heads, skips):
    return {
        "in_proj.weight": ("linear", inner + channels + heads, d),
        "conv1d.weight": ("taps", channels, 1, 4),
        "conv1d.bias": ("bias", channels),
        "dt_bias": ("step", heads),
        "A_log": ("decay", heads),
        "D": ("skip", skips),
        "norm.weight": ("norm", inner),
        "out_proj.weight": ("linear", d, inner),
    }


def mamba1_tensors(d, inner, narrow, rank):
    return {
        "in_proj_z.weight": ("linear", inner, d),
        "in_proj_x.weight": ("linear", narrow, d),
        "B_proj.weight": ("linear", narrow, d),
        "C_proj.weight": ("linear", inner, d),
        "dt_proj_down.weight": ("linear", rank, d),
        "dt_proj.weight": ("linear", inner, rank),
        "dt_proj.bias": ("half step", inner),
        "conv1d.weight": ("taps", inner, 1, 4),
        "conv1d.bias": ("bias", inner),
        "A_log": ("decay", inner, 16),
        "D": ("skip", inner),
        "out_proj.weight": ("linear", d, inner),
    }


def llama_trunk(config, mixers):
    """mixers: each layer's mixer tensors, prefixed."""
    d, wide, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    tensors = {"model.embed_tokens.weight": ("head" if config["tie_word_embeddings"] else "embedding", vocabulary, d)}
    for i, mixer in enumerate(mixers):
        tensors |= with_prefix(f"model.layers.{i}.", block(d, wide) | mixer)
    tensors["model.norm.weight"] = ("norm", d)
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = ("head", vocabulary, d)
    return tensors


def make(name, seed, storage, oracle, files, tensors, offset=0, vocabulary=None):
    """Redraws the weights until float32 itself is well within the tests' tolerance."""
    folder = fresh_folder(name)
    for file, value in files.items():
        write_json(folder / file, value)
    vocabulary = vocabulary or files["config.json"]["vocab_size"]
    best = np.inf
    for attempt in range(30):
        rng = np.random.default_rng([seed, attempt])
        ids_of_cases = case_ids(rng, vocabulary)
        write_safetensors(folder / "model.safetensors", short(draw(rng, tensors)), storage)
        exact, rounded = oracle(folder), oracle(folder, np.float32)
        gap = max(relative_gap(rounded.logits(ids), exact.logits(ids)) for ids in ids_of_cases)
        best = min(best, gap)
        if gap < 2.5e-6:
            break
    else:
        raise SystemExit(f"{name}: no draw has a small float32 gap, the best has {best:.1e}")
    made_by = {
        "implementation": f"tests/oracle/hybrids.py {oracle.__name__}, float64",
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    notes = {"attempt": attempt, "float32_to_float64": f"{gap:.1e}"}
    write_logits(folder, seed, made_by, ids_of_cases, exact.logits, notes, offset)
    return gap


def mla_layer_config(config, ranks, **changes):
    return {
        "hidden_size": config["hidden_size"],
        "num_attention_heads": config["num_attention_heads"],
        "llama_num_key_value_heads": config["num_key_value_heads"],
        "mla_num_key_value_heads": config["num_attention_heads"],
        "q_lora_rank": ranks[-1][0],
        "kv_lora_rank": ranks[-1][1],
        "layer_rank_list": {str(i): {"q_rank": q, "kv_rank": kv} for i, (q, kv) in enumerate(ranks)},
        "use_lora_layer_norm": False,
        "attention_bias": False,
        "rope_theta": config["rope_theta"],
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
    } | changes


def make_x_ecomla(name, seed, storage, config, ranks, listed=None, **changes):
    mla = mla_layer_config(config, ranks, **changes)
    for i in range(len(ranks)):
        if listed is not None and i not in listed:
            del mla["layer_rank_list"][str(i)]
    blocks = {
        "d_model": config["hidden_size"],
        "rms_norm_eps": 1e-5,
        "vocab_size": None,
        "d_inner": None,
        "d_xb": 2560,
        "intermediate_size": config["intermediate_size"],
        "hidden_act": "silu",
        "n_layer": config["num_hidden_layers"],
        "attn_layers": [],
    }
    mixers = [with_prefix("mla.", mla_tensors(config["hidden_size"], mla, *pair)) for pair in ranks]
    files = {"config.json": config, "MLA_config.json": blocks, "mla_layer_config.json": mla}
    return make(name, seed, storage, XEcoMla, files, llama_trunk(config, mixers), offset=FAR)


def make_mamba_in_llama(name, seed, storage, config, attn_layers, ssm, inner=None, narrow=None, rank=None):
    d, heads, width = config["hidden_size"], config["num_attention_heads"], config["head_dim"]
    side = {
        "d_model": d,
        "ssm_cfg": ssm,
        "rms_norm_eps": 1e-5,
        "vocab_size": None,
        "d_inner": inner,
        "d_xb": narrow or config["num_key_value_heads"] * width,
        "intermediate_size": config["intermediate_size"],
        "hidden_act": "silu",
        "n_layer": config["num_hidden_layers"],
        "attn_layers": attn_layers,
    }
    inner = inner or d
    if "ngroups" in ssm:
        mamba = mamba2_tensors(d, inner, inner + 2 * side["d_xb"], ssm["ngroups"], ssm["ngroups"])
    else:
        mamba = mamba1_tensors(d, inner, side["d_xb"], rank)
    mixers = [
        with_prefix("self_attn.", attention_tensors(config)) if i in attn_layers else with_prefix("mamba.", mamba)
        for i in range(config["num_hidden_layers"])
    ]
    files = {"config.json": config, "mamba_config.json": side}
    return make(name, seed, storage, MambaInLlama, files, llama_trunk(config, mixers), FAR if attn_layers else 0)


def make_llamba(name, seed, storage, d, wide, layers, heads, groups, states, vocabulary, tied, bias=False):
    padded = -(-vocabulary // 8) * 8
    config = {
        "model_type": "llamba",
        "vocab_size": vocabulary,
        "pad_vocab_size_multiple": 8,
        "tie_embeddings": tied,
        "lm_head_bias": False,
        "d_model": d,
        "n_layer": layers,
        "norm_epsilon": 1e-4,
        "mlp_cfg": {"intermediate_size": wide, "bias": False, "act_fn": "silu"},
        "ssm_cfg": {
            "d_state": states, "n_v_heads": heads, "n_qk_heads": groups, "expand": 1, "chunk_size": 128,
            "activation": "identity", "bias": bias,
        },
    }  # fmt: skip
    channels = d + 2 * groups * states
    mixer = {
        "in_proj.weight": ("linear", channels + d + heads, d),
        "conv1d.weight": ("taps", channels, 1, 4),
        "conv1d.bias": ("bias", channels),
        "D": ("skip", heads),
        "out_proj.weight": ("linear", d, d),
    }
    if bias:
        mixer |= {"in_proj.bias": ("bias", channels + d + heads), "out_proj.bias": ("bias", d)}
    else:
        mixer["z_bias"] = ("gate", d)
    tensors = {"backbone.embedding.weight": ("head" if tied else "embedding", padded, d)}
    for i in range(layers):
        tensors |= with_prefix(f"backbone.layers.{i}.", block(d, wide) | with_prefix("mixer.", mixer))
    tensors["backbone.final_layernorm.weight"] = ("norm", d)
    if not tied:
        tensors["backbone.lm_head.weight"] = ("head", padded, d)
    return make(name, seed, storage, Llamba, {"config.json": config}, tensors, vocabulary=vocabulary)


def make_state_spaces(
    name, seed, storage, d, layers, width, groups, states, vocabulary, wide_skip=False, attention=None, attn_layers=()
):
    padded = -(-vocabulary // 16) * 16
    inner = 2 * d
    config = {
        "d_model": d,
        "d_intermediate": 0,
        "n_layer": layers,
        "vocab_size": vocabulary,
        "ssm_cfg": {"layer": "Mamba2", "d_state": states, "headdim": width, "ngroups": groups},
        "attn_layer_idx": list(attn_layers),
        "attn_cfg": attention or {},
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
        "pad_vocab_size_multiple": 16,
        "tie_embeddings": True,
    }
    heads = inner // width
    mixer = mamba2_tensors(d, inner, inner + 2 * groups * states, heads, inner if wide_skip else heads)
    tensors = {"backbone.embedding.weight": ("head", padded, d)}
    for i in range(layers):
        own = fused_attention_tensors(d, attention) if i in attn_layers else mixer
        tensors |= with_prefix(f"backbone.layers.{i}.", {"norm.weight": ("norm", d)} | with_prefix("mixer.", own))
    tensors["backbone.norm_f.weight"] = ("norm", d)
    offset = FAR if attn_layers else 0
    return make(name, seed, storage, StateSpaces, {"config.json": config}, tensors, offset, vocabulary=vocabulary)


def llama_base(**changes):
    return zebra_config(**changes) | {"rope_theta": 50.0, "rope_scaling": LLAMA3}


def mistral_base(**changes):
    return zebra_config(**changes) | {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "rope_theta": 10000.0, "rope_scaling": None,
        "sliding_window": 19,
    }  # fmt: skip


YARN = {"type": "yarn", "factor": 8.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}
MODELS = {
    "x_ecomla_tiny": lambda: make_x_ecomla(
        "x_ecomla_tiny", 31, "BF16",
        zebra_config(layers=3, d=36, wide=44, vocabulary=97, heads=6, groups=2, head_width=6),
        [(32, 24), (32, 24), (16, 8)], listed=(0, 2), rope_scaling=YARN, qk_nope_head_dim=7, qk_rope_head_dim=6,
        v_head_dim=5,
    ),
    "x_ecomla_tiny_plain": lambda: make_x_ecomla(
        "x_ecomla_tiny_plain", 32, "BF16",
        zebra_config(layers=2, d=40, wide=52, vocabulary=101, heads=5, groups=5, head_width=8, tied=True),
        [(24, 16), (24, 16)], use_lora_layer_norm=True, rope_scaling=None, qk_nope_head_dim=6, qk_rope_head_dim=4,
        v_head_dim=9, rope_theta=10000.0,
    ),
    "mamba_in_llama_tiny": lambda: make_mamba_in_llama(
        "mamba_in_llama_tiny", 33, "BF16",
        mistral_base(layers=2, d=40, wide=44, vocabulary=67, heads=6, groups=2, head_width=16),
        [1], {"expand": 1}, inner=96, rank=3,
    ),
    "mamba_in_llama_tiny_bf16": lambda: make_mamba_in_llama(
        "mamba_in_llama_tiny_bf16", 34, "BF16",
        llama_base(layers=2, d=64, wide=44, vocabulary=71, heads=2, groups=1, head_width=32),
        [0], {"expand": 1, "dt_rank": 5}, rank=5,
    ),
    "mamba2_in_llama_tiny": lambda: make_mamba_in_llama(
        "mamba2_in_llama_tiny", 35, "BF16",
        llama_base(layers=3, d=48, wide=36, vocabulary=83, heads=6, groups=2, head_width=8),
        [1], {"expand": 1, "ngroups": 6, "d_state": 8}, inner=48,
    ),
    "mamba2_in_llama_tiny_all": lambda: make_mamba_in_llama(
        "mamba2_in_llama_tiny_all", 36, "BF16",
        llama_base(layers=2, d=40, wide=52, vocabulary=89, heads=4, groups=2, head_width=10, tied=True),
        [], {"expand": 1, "ngroups": 4, "d_state": 10}, inner=40,
    ),
    "llamba_tiny": lambda: make_llamba("llamba_tiny", 37, "BF16", 48, 56, 2, 6, 3, 5, 90, tied=True),
    "llamba_tiny_bias": lambda: make_llamba("llamba_tiny_bias", 38, "F16", 40, 52, 2, 4, 4, 7, 91, False, bias=True),
    "mamba2_tiny": lambda: make_state_spaces("mamba2_tiny", 39, "F32", 24, 3, 8, 2, 5, 99),
    "mamba2_tiny_wide_skip": lambda: make_state_spaces(
        "mamba2_tiny_wide_skip", 40, "BF16", 28, 2, 14, 1, 6, 93, wide_skip=True
    ),
    "mamba2_tiny_attention": lambda: make_state_spaces(
        "mamba2_tiny_attention", 41, "BF16", 36, 3, 12, 1, 7, 95, attn_layers=[1],
        attention={
            "causal": True, "d_conv": 4, "head_dim": 10, "num_heads": 4, "num_heads_kv": 2, "out_proj_bias": False,
            "qkv_proj_bias": False, "rotary_emb_dim": 6,
        },
    ),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(MODELS)} (default: all)")
    for name in parser.parse_args().names or MODELS:
        gap = MODELS[name]()
        size = sum(f.stat().st_size for f in (OUT / name).iterdir())
        print(f"{name}: {size / 1000:.0f} kB, float32 differs from float64 by {gap:.1e} of the largest logit")


if __name__ == "__main__":
    main()
