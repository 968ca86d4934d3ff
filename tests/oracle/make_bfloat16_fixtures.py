#!/usr/bin/env python3
"""Writes tests/fixtures/models/NAME/bfloat16.json and bfloat16_caseN.npy: what another implementation, running in
bfloat16 on the same checkpoint and ids, gives for some positions of a fixture's cases.

The classes of transformers run with torch_dtype=bfloat16; the hybrids, whose own code needs a GPU, as
hybrids_bfloat16.py. `error` is what the rounding does to the other implementation: the root of the mean square of its
difference from logits.json's logits, which are exact to 1e-6, in units of the largest logit.
"""

import argparse
import json
import platform

import numpy as np

from make_model_fixtures import OUT, write_json_compact

TRANSFORMERS = (
    "llama_tiny", "llama_tiny_tied_bf16", "llama_tiny_f16", "mistral_tiny", "qwen2_tiny", "qwen3_tiny",
    "nemotron_tiny", "mamba2_hf_tiny",
)  # fmt: skip
HYBRIDS = {
    "zebra_tiny": "Zebra", "zebra_tiny_lora_norm": "Zebra", "zebra_tiny_full_kv": "Zebra",
    "x_ecomla_tiny": "XEcoMla", "x_ecomla_tiny_plain": "XEcoMla",
    "mamba_in_llama_tiny": "MambaInLlama", "mamba_in_llama_tiny_bf16": "MambaInLlama",
    "mamba2_in_llama_tiny": "MambaInLlama", "mamba2_in_llama_tiny_all": "MambaInLlama",
    "llamba_tiny": "Llamba", "llamba_tiny_bias": "Llamba",
    "mamba2_tiny": "StateSpaces", "mamba2_tiny_wide_skip": "StateSpaces", "mamba2_tiny_attention": "StateSpaces",
}  # fmt: skip


def transformers_logits(folder):
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, attn_implementation="eager")
    if getattr(config, "use_sliding_window", None) is False:
        config.sliding_window = None  # the eager mask would apply it
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config, torch_dtype=torch.bfloat16).eval()

    def run(ids, first):
        where = {"position_ids": torch.arange(first, first + len(ids))[None]} if first else {}
        with torch.no_grad():
            return model(torch.tensor([ids]), use_cache=False, **where).logits[0].float().numpy()

    return run, f"transformers {type(model).__name__}, eager attention, bfloat16", transformers.__version__


def make(name):
    import torch

    torch.set_num_threads(1)
    folder = OUT / name
    made_by = {"torch": torch.__version__.split("+")[0], "python": platform.python_version()}
    if name in HYBRIDS:
        import hybrids_bfloat16

        model = getattr(hybrids_bfloat16, HYBRIDS[name])(folder)
        run = model.logits
        made_by["implementation"] = "tests/oracle/hybrids_bfloat16.py"
    else:
        run, made_by["implementation"], made_by["transformers"] = transformers_logits(folder)
    cases = []
    for number, case in enumerate(json.loads((folder / "logits.json").read_text())["cases"]):
        rows = case.get("positions", range(len(case["ids"])))
        step = 1 if len(rows) <= 3 else 3 if len(rows) <= 37 else 13
        exact = np.load(folder / case["logits_file"])[::step]
        case["positions"] = list(rows)[::step]
        logits = run(case["ids"], case.get("first_position", 0)).astype("<f4")[case["positions"]]
        case["logits_file"] = f"bfloat16_case{number}.npy"
        np.save(folder / case["logits_file"], np.ascontiguousarray(logits))
        error = float(np.sqrt(np.mean((logits - exact) ** 2)) / np.abs(exact).max())
        case["error"] = float(f"{error:.3e}")
        cases.append(case)
    write_json_compact(folder / "bfloat16.json", {"made_by": made_by, "cases": cases})
    return max(case["error"] for case in cases)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*TRANSFORMERS, *HYBRIDS])
    for name in parser.parse_args().names:
        print(f"{name}: error {make(name):.1e}", flush=True)
