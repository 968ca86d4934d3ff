#!/usr/bin/env python3
"""Writes tests/fixtures/models/NAME/: tiny random checkpoints and the logits another implementation gives for them.

Sizes are chosen so that no two of them coincide, and every norm weight and bias is random, because a swapped
dimension or a forgotten term must change the numbers. See README.md for what vouches for what.
"""

import argparse
import json
import pathlib
import platform
import shutil

import numpy as np

from checkpoint_io import read_checkpoint, round_to, write_json, write_safetensors
from zebra import Zebra

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "models"
# A single token, fewer tokens than the convolution is wide, a few dozen, and more than two chunks of 64.
LENGTHS = (1, 3, 37, 300)
# One fixture of each family keeps every row of every case. Of the others' long cases these rows are kept: the ends,
# both sides of powers of two, and some in between.
EVERY_ROW = {
    "llama_tiny", "mistral_tiny", "qwen2_tiny", "qwen3_tiny", "nemotron_tiny", "zebra_tiny", "x_ecomla_tiny",
    "mamba_in_llama_tiny", "mamba2_in_llama_tiny", "llamba_tiny", "mamba2_tiny",
}  # fmt: skip
LONG_POSITIONS = [0, 3, 15, 16, 31, 33, 63, 64, 65, 127, 128, 129, 200, 255, 256, 257, 298, 299]
FAR = 5000


def case_ids(rng, vocabulary):
    cases = [rng.integers(0, vocabulary, size=length) for length in LENGTHS]
    cases[1][:] = [vocabulary - 1, 0, vocabulary - 1]
    cases[2][10:16] = cases[2][10]
    return [[int(i) for i in ids] for ids in cases]


def write_logits(folder, seed, made_by, ids_of_cases, logits_of, notes, offset=0):
    """logits_of(ids, first): first is the position of the first token. With an offset there is one more case, the
    ids of the third one that far out."""
    cases = []
    runs = [(ids, 0) for ids in ids_of_cases] + ([(ids_of_cases[2], offset)] if offset else [])
    for number, (ids, first) in enumerate(runs):
        logits = np.asarray(logits_of(ids, first), dtype="<f4")
        case = {"ids": ids, "logits_file": f"case{number}.npy"}
        if first:
            case["first_position"] = first
        if folder.name not in EVERY_ROW and (first or len(ids) > 64):
            case["positions"] = list(range(0, len(ids), 4)) if first else LONG_POSITIONS
            logits = logits[case["positions"]]
        np.save(folder / case["logits_file"], np.ascontiguousarray(logits))
        cases.append(case)
    write_json_compact(folder / "logits.json", {"made_by": made_by, "seed": seed, **notes, "cases": cases})


def write_json_compact(path, value):
    """One line for each case, so that a page of ids does not become a thousand lines."""
    cases = value.pop("cases")
    text = json.dumps(value, indent=2)[:-2] + ',\n  "cases": [\n'
    text += ",\n".join("    " + json.dumps(case) for case in cases) + "\n  ]\n}\n"
    path.write_text(text)


def fresh_folder(name):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# The transformers class is the truth.


def fill_randomly(model, tied, offset_norms):
    """Weights that exercise every term; norms around 1, or around 0 where the class adds the 1."""
    import torch

    width = model.config.hidden_size
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if key.endswith("norm.weight") or key.endswith("norm_f.weight"):
                weight.uniform_(-0.5, 0.5) if offset_norms else weight.uniform_(0.5, 1.5)
            elif key.endswith(".bias"):
                weight.normal_(0, 0.3)
            elif "embed" in key:
                weight.normal_(0, 3 * width**-0.5 if tied else 1)
            elif "lm_head" in key:
                weight.normal_(0, 3 * width**-0.5)
            elif key.endswith("conv1d.weight"):
                weight.normal_(0, 0.5)
            elif key.endswith("dt_bias"):
                weight.uniform_(-4, 1)
                weight[0] = 25.0
            elif key.endswith("A_log"):
                weight.uniform_(0.5, 16).log_()
            elif key.endswith(".D"):
                weight.normal_(1, 0.3)
            else:
                weight.normal_(0, weight.shape[1] ** -0.5)


def make_transformer(family, name, seed, storage, shard_size=None, offset=0, window_off=False, **sizes):
    """family: "Llama" for LlamaConfig and LlamaForCausalLM, and so on. offset: a further case whose tokens stand that
    far from the sequence's start. window_off: transformers' eager mask applies sliding_window also where the
    config switches it off, so the class computes without the key that the stored config keeps."""
    import torch
    import transformers

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    config_class = getattr(transformers, f"{family}Config")
    model_class = getattr(transformers, f"{family}ForCausalLM")
    positions = {} if family == "Mamba2" else {"max_position_embeddings": 512}
    eager = {"attn_implementation": "eager"}
    config = config_class(bos_token_id=1, eos_token_id=2, **positions, **eager, **sizes)
    model = model_class(config)
    fill_randomly(model, config.tie_word_embeddings, offset_norms=family == "Nemotron")
    folder = fresh_folder(name)
    stored = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[storage]
    if storage == "F16":
        model.to(torch.float16)  # first, since it cannot hold every small number that bfloat16 can
    model.to(torch.bfloat16).to(stored).save_pretrained(folder, max_shard_size=shard_size or "1GB", safe_serialization=True)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)
    config = config_class.from_pretrained(folder, **eager)
    if window_off:
        config.sliding_window = None

    # What was stored, widened: the runtime sees the same rounding.
    model = model_class.from_pretrained(folder, config=config, torch_dtype=torch.float32).eval()
    exact = model_class.from_pretrained(folder, config=config, torch_dtype=torch.float64).eval()

    def run(which, ids, first=0):
        where = {"position_ids": torch.arange(first, first + len(ids))[None]} if first else {}
        with torch.no_grad():
            return which(torch.tensor([ids]), use_cache=False, **where).logits[0].numpy()

    rng = np.random.default_rng(seed)
    ids_of_cases = case_ids(rng, config.vocab_size)
    gap = max(relative_gap(run(model, ids), run(exact, ids)) for ids in ids_of_cases)
    # The class's scan loses digits in float32, in the differences of long cumulative sums.
    truth, precision = (exact, "float64") if family == "Mamba2" else (model, "float32")
    made_by = {
        "implementation": f"transformers {family}ForCausalLM, eager attention, {precision}",
        "transformers": transformers.__version__,
        "torch": torch.__version__.split("+")[0],
        "python": platform.python_version(),
    }
    notes = {"float32_to_float64": f"{gap:.1e}"}
    write_logits(folder, seed, made_by, ids_of_cases, lambda ids, first: run(truth, ids, first), notes, offset)
    return gap


# Zebra-Llama: zebra.py in float64 is the truth.


def zebra_weights(rng, config, hybrid):
    d, wide, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads, groups = hybrid["num_attention_heads"], hybrid["num_key_value_heads"]
    n, r, v = (hybrid[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    q_rank, rank = hybrid["q_lora_rank"], hybrid["kv_lora_rank"]
    inner, narrow = hybrid["d_inner"], hybrid["d_xb"]

    def linear(rows, columns):
        return rng.normal(0, columns**-0.5, (rows, columns))

    def norm(size):
        return rng.uniform(0.5, 1.5, size)

    weights = {"model.embed_tokens.weight": rng.normal(0, 1, (vocabulary, d))}
    for i in range(config["num_hidden_layers"]):
        layer = {
            "input_layernorm.weight": norm(d),
            "post_attention_layernorm.weight": norm(d),
            "mlp.gate_proj.weight": linear(wide, d),
            "mlp.up_proj.weight": linear(wide, d),
            "mlp.down_proj.weight": linear(d, wide),
        }
        if i in hybrid["mla_layers"]:
            layer |= {
                "mla.q_a_proj.weight": linear(q_rank, d),
                "mla.q_b_proj.weight": linear(heads * (n + r), q_rank),
                "mla.kv_a_proj_with_mqa.weight": linear(rank + r, d),
                "mla.kv_b_proj.weight": linear(groups * (n + v), rank),
                "mla.out_proj.weight": linear(d, heads * v),
            }
            if hybrid["use_lora_layer_norm"]:
                layer |= {"mla.q_a_layernorm.weight": norm(q_rank), "mla.kv_a_layernorm.weight": norm(rank)}
            if hybrid["attention_bias"]:
                layer |= {
                    "mla.q_a_proj.bias": rng.normal(0, 0.3, q_rank),
                    "mla.kv_a_proj_with_mqa.bias": rng.normal(0, 0.3, rank + r),
                    "mla.out_proj.bias": rng.normal(0, 0.3, d),
                }
        else:
            channels = inner + 2 * narrow
            layer |= {
                "mamba.in_proj.weight": linear(2 * inner + 2 * narrow + heads, d),
                "mamba.conv1d.weight": rng.normal(0, 0.5, (channels, 1, 4)),
                "mamba.conv1d.bias": rng.normal(0, 0.3, channels),
                "mamba.dt_bias": rng.uniform(-4, 1, heads),
                "mamba.A_log": np.log(rng.uniform(0.5, 16, heads)),
                "mamba.D": rng.normal(1, 0.3, heads),
                "mamba.norm.weight": norm(inner),
                "mamba.out_proj.weight": linear(d, inner),
            }
            # One head far beyond the point where softplus(x) becomes x, one that hardly forgets.
            layer["mamba.dt_bias"][0] = 25.0
            layer["mamba.dt_bias"][1] = -6.0
        weights |= {f"model.layers.{i}.{key}": value for key, value in layer.items()}
    weights["model.norm.weight"] = norm(d)
    if config["tie_word_embeddings"]:
        weights["model.embed_tokens.weight"] *= 3 * d**-0.5
    else:
        weights["lm_head.weight"] = rng.normal(0, 3 * d**-0.5, (vocabulary, d))
    return weights


def short(weights):
    """Rounded to what float32, float16 and bfloat16 all hold exactly, so that a checkpoint means the same in each."""
    return {name: round_to("BF16", round_to("F16", values)) for name, values in weights.items()}


def relative_gap(low, high):
    return float(np.abs(low - high).max() / np.abs(high).max())


def make_zebra(name, seed, storage, config, hybrid):
    """Redraws the weights until float32 itself is well within the tests' tolerance: the norm of each Mamba2 head
    can amplify cancellation, and then a perfect float32 runtime would miss 1e-5."""
    folder = fresh_folder(name)
    write_json(folder / "config.json", config)
    write_json(folder / "hybrid_config.json", hybrid)
    for attempt in range(200):
        rng = np.random.default_rng([seed, attempt])
        ids_of_cases = case_ids(rng, config["vocab_size"])
        weights = zebra_weights(rng, config, hybrid)
        write_safetensors(folder / "model.safetensors", short(weights), storage)
        exact, rounded = Zebra(folder), Zebra(folder, np.float32)
        gap = max(relative_gap(rounded.logits(ids), exact.logits(ids)) for ids in ids_of_cases)
        if gap < 2.5e-6:
            break
    else:
        raise SystemExit(f"{name}: no draw has a small float32 gap")
    stored = read_checkpoint(folder)
    assert all(np.array_equal(stored[key], value) for key, value in short(weights).items())
    made_by = {
        "implementation": "tests/oracle/zebra.py, float64",
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    notes = {"attempt": attempt, "float32_to_float64": f"{gap:.1e}"}
    write_logits(folder, seed, made_by, ids_of_cases, exact.logits, notes, FAR)
    return gap


def zebra_config(layers, d, wide, vocabulary, heads, groups, head_width, tied=False):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": d,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "head_dim": head_width,
        "vocab_size": vocabulary,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 512,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32",
    }


def hybrid_config(config, mla_layers, q_rank, rank, n, r, v, **changes):
    heads, width = config["num_attention_heads"], config["head_dim"]
    return {
        "hidden_size": config["hidden_size"],
        "d_model": config["hidden_size"],
        "intermediate_size": config["intermediate_size"],
        "hidden_act": "silu",
        "n_layer": config["num_hidden_layers"],
        "mla_layers": mla_layers,
        "rms_norm_eps": config["rms_norm_eps"],
        "num_attention_heads": heads,
        "num_key_value_heads": config["num_key_value_heads"],
        "q_lora_rank": q_rank,
        "kv_lora_rank": rank,
        "qkv_rank_divisor": 8,
        "qk_rope_head_dim": r,
        "qk_nope_head_dim": n,
        "v_head_dim": v,
        "use_lora_layer_norm": False,
        "use_full_kv_head": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "max_position_embeddings": config["max_position_embeddings"],
        "rope_theta": 500000.0,
        "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 8192},
        "d_inner": heads * width,
        "d_xb": config["num_key_value_heads"] * width,
        "ssm_cfg": {"expand": 1, "ngroups": heads, "d_state": width, "repeat_kv_before_conv": False},
    } | changes


def zebra_tiny():
    config = zebra_config(layers=4, d=36, wide=52, vocabulary=97, heads=6, groups=2, head_width=8)
    return config, hybrid_config(config, [0, 2], q_rank=32, rank=24, n=10, r=6, v=7)


def zebra_tiny_lora_norm():
    """Other sizes, norms on both ranks, several Mamba2 layers in a row, everything stored in bfloat16."""
    config = zebra_config(layers=5, d=40, wide=60, vocabulary=103, heads=4, groups=2, head_width=12)
    config["torch_dtype"] = "bfloat16"
    return config, hybrid_config(config, [1, 4], q_rank=24, rank=16, n=6, r=14, v=9, use_lora_layer_norm=True)


def zebra_tiny_full_kv():
    """The rarer switches: as many key/value heads as query heads, biases, tied output, and the first published
    spelling of the rope settings with a softmax factor; Mamba2 keeps the narrow x and B of the base model."""
    config = zebra_config(layers=2, d=44, wide=60, vocabulary=91, heads=6, groups=2, head_width=8, tied=True)
    hybrid = hybrid_config(
        config, [1], q_rank=32, rank=24, n=9, r=8, v=5, use_full_kv_head=True, attention_bias=True,
        num_key_value_heads=6, rope_type="yarn",
        rope_scaling={
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
            "beta_fast": 64,
            "beta_slow": 2,
            "mscale": 0.7,
            "mscale_all_dim": 1.0,
        },
    )  # fmt: skip
    return config, hybrid


LLAMA3 = {
    # Base 50 and a short original context put some of the five frequencies in each band: kept, blended, divided.
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS = {
    "llama_tiny": lambda: make_transformer(
        "Llama", "llama_tiny", 11, "BF16", offset=FAR, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, head_dim=10, vocab_size=97, rms_norm_eps=1e-5, rope_theta=50.0, rope_scaling=LLAMA3,
        tie_word_embeddings=False,
    ),
    "llama_tiny_tied_bf16": lambda: make_transformer(
        "Llama", "llama_tiny_tied_bf16", 12, "BF16", shard_size="60KB", offset=FAR, hidden_size=40, intermediate_size=72,
        num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, vocab_size=101, rms_norm_eps=1e-6,
        rope_theta=10000.0, tie_word_embeddings=True, attention_bias=True, mlp_bias=True,
    ),
    "llama_tiny_f16": lambda: make_transformer(
        "Llama", "llama_tiny_f16", 13, "F16", offset=FAR, hidden_size=36, intermediate_size=52, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, head_dim=14, vocab_size=89, rms_norm_eps=1e-5,
        rope_theta=500000.0, tie_word_embeddings=False,
    ),
    "mistral_tiny": lambda: make_transformer(
        "Mistral", "mistral_tiny", 14, "BF16", offset=FAR, hidden_size=40, intermediate_size=52,
        num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=3, head_dim=12, vocab_size=99,
        rms_norm_eps=1e-5, rope_theta=10000.0, sliding_window=21, tie_word_embeddings=False,
    ),
    "qwen2_tiny": lambda: make_transformer(
        "Qwen2", "qwen2_tiny", 15, "BF16", offset=FAR, shard_size="50KB", window_off=True,
        hidden_size=48, intermediate_size=60, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
        vocab_size=101, rms_norm_eps=1e-6, rope_theta=1000000.0, use_sliding_window=False, sliding_window=13,
        max_window_layers=1, tie_word_embeddings=True,
    ),
    "qwen3_tiny": lambda: make_transformer(
        "Qwen3", "qwen3_tiny", 16, "BF16", offset=FAR, hidden_size=40, intermediate_size=52,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=14, vocab_size=97,
        rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True, sliding_window=None,
    ),
    "nemotron_tiny": lambda: make_transformer(
        "Nemotron", "nemotron_tiny", 17, "F16", offset=FAR, hidden_size=48, intermediate_size=76,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        partial_rotary_factor=0.375, vocab_size=95, norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False,
    ),
    "mamba2_hf_tiny": lambda: make_transformer(
        "Mamba2", "mamba2_hf_tiny", 18, "F32", hidden_size=32, num_hidden_layers=3, num_heads=8,
        head_dim=8, state_size=6, n_groups=1, expand=2, vocab_size=93, layer_norm_epsilon=1e-4, chunk_size=64,
        tie_word_embeddings=False,
    ),
    "zebra_tiny": lambda: make_zebra("zebra_tiny", 21, "BF16", *zebra_tiny()),
    "zebra_tiny_lora_norm": lambda: make_zebra("zebra_tiny_lora_norm", 22, "BF16", *zebra_tiny_lora_norm()),
    "zebra_tiny_full_kv": lambda: make_zebra("zebra_tiny_full_kv", 23, "BF16", *zebra_tiny_full_kv()),
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
