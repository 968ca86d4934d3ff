#!/usr/bin/env python3
"""Generated texts by lm-evaluation-harness itself: tests/fixtures/generation.json.

Each entry is a prompt, its generation_kwargs and the text that HFLM.generate_until returns for it alone (float32,
batches of one). The model is the small real one of the optional shared data.

    python3 tests/oracle/generation.py SHARED/models/stories260K-hf >tests/fixtures/generation.json
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = ["Once upon a time", "Lily and Tom went to the park.\nThey", "The dog said, \"", "One day, a little girl named",
           "x", "Tim was sad. He wanted to", "</s>Once", "Question: what is it?\nAnswer:", "long " * 150 + "end. The",
           "<s>Once upon a time"]
KWARGS = [{"until": ["\n\n"], "max_gen_toks": 40},
          {"until": [".", "!"], "max_gen_toks": 60},
          {"until": "Lily", "max_gen_toks": 50, "do_sample": False, "temperature": 0.0},
          {"until": ["was very", ", there"], "max_gen_toks": 30},
          {"until": ["e"], "max_gen_toks": 20},
          {"until": [" the p", "the"], "max_gen_toks": 24},
          {"until": ["</s>", "\n"], "max_gen_toks": 250},
          {"until": [], "max_gen_toks": 10},
          {"until": ["", "ing"], "max_gen_toks": 400},
          {"until": [], "max_gen_toks": 80, "repetition_penalty": 1.3},
          {"until": ["\n\n"], "max_gen_toks": 120, "repetition_penalty": 1.05}]


def main():
    torch.set_num_threads(2)
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], torch_dtype=torch.float32)
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(sys.argv[1]), device="cpu", batch_size=1)
    entries = []
    for kwargs in KWARGS:
        requests = [Instance("generate_until", {}, (prompt, kwargs), i) for i, prompt in enumerate(PROMPTS)]
        for prompt, text in zip(PROMPTS, lm.generate_until(requests, disable_tqdm=True)):
            entries.append({"prompt": prompt, "kwargs": json.dumps(kwargs), "text": text})
    json.dump(entries, sys.stdout, indent=0, ensure_ascii=False)


main()
