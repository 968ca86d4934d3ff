"""Writes tests/fixtures/checkpoints/: the tiny checkpoints of tests/fixtures/models as torch.save writes them.

The weights are the same numbers as in the safetensors files, so a runtime must give the same logits bit for bit.
Between them the files have: parameters and plain tensors, float32 storages (as the published MambaInLlama files),
bfloat16 and float16 ones, an OrderedDict with _metadata and a plain dict, names that share one tensor, many tensors
in one storage (one of them at an odd place), shards with an index.

    python make_bin_fixtures.py       (torch, safetensors; the versions in requirements.txt)
"""

import collections
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
MODELS, OUT = FIXTURES / "models", FIXTURES / "checkpoints"


def read(name):
    tensors = collections.OrderedDict()
    for path in sorted((MODELS / name).glob("*.safetensors")):
        tensors.update(load_file(path))
    return collections.OrderedDict(sorted(tensors.items()))


def begin(name, out_name):
    folder = OUT / out_name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (MODELS / name).glob("*config.json"):
        shutil.copy(path, folder)
    return folder


def with_metadata(tensors):
    """What Module.state_dict() returns: versions of modules in an attribute."""
    tensors._metadata = collections.OrderedDict({"": {"version": 1}, "model": {"version": 1}})
    return tensors


def in_one_storage(tensors):
    """All tensors as views of one flat tensor, after 3 elements that belong to none."""
    flat = torch.cat([torch.full((3,), float("nan"), dtype=torch.bfloat16)] + [t.reshape(-1) for t in tensors.values()])
    at, views = 3, collections.OrderedDict()
    for name, tensor in tensors.items():
        views[name] = flat[at : at + tensor.numel()].view(tensor.shape)
        at += tensor.numel()
    return views


def main():
    for name in ("llama_tiny", "mamba_in_llama_tiny"):
        parameters = collections.OrderedDict((k, torch.nn.Parameter(v.float())) for k, v in read(name).items())
        torch.save(with_metadata(parameters), begin(name, f"{name}_bin") / "pytorch_model.bin")

    folder = begin("zebra_tiny", "zebra_tiny_bin")
    torch.save(dict(in_one_storage(read("zebra_tiny"))), folder / "pytorch_model.bin")

    torch.save(read("llama_tiny_f16"), begin("llama_tiny_f16", "llama_tiny_f16_bin") / "pytorch_model.bin")

    tensors = read("llama_tiny_tied_bf16")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    folder = begin("llama_tiny_tied_bf16", "llama_tiny_tied_bf16_bin")
    shards = [collections.OrderedDict(), collections.OrderedDict()]
    weight_map = {}
    for name, tensor in tensors.items():
        shard = 1 if ".layers.1." in name else 0
        shards[shard][name] = tensor
        weight_map[name] = f"pytorch_model-{shard + 1:05}-of-00002.bin"
    for i, shard in enumerate(shards):
        torch.save(with_metadata(shard), folder / f"pytorch_model-{i + 1:05}-of-00002.bin")
    index = {"metadata": {"total_size": sum(t.numel() * 2 for t in tensors.values())}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


main()
