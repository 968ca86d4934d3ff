"""Runs lm-evaluation-harness itself over local copies of the data sets and compares every document with a zeval run:
prompt, log-likelihood of each choice, greedy flag, metrics.

    python3 tests/oracle/live_lm_eval.py results.db MODEL_FOLDER DATASETS_FOLDER TASK[,TASK...] LIMIT [NUM_FEWSHOT]

Run with lm-eval 0.4.9.2, datasets 3.6, transformers 4.50 (pip). Nothing is fetched: load_dataset is replaced by a
reader of DATASETS_FOLDER/ORG/NAME/CONFIG/SPLIT.jsonl.gz. A split that is not there is left out
(zero-shot, a missing train split is stood in by validation: nothing is drawn from it).
"""
import gzip
import json
import pathlib
import sqlite3
import sys

import datasets

db, model, root, tasks, limit = sys.argv[1:6]
num_fewshot = int(sys.argv[6]) if len(sys.argv) > 6 else None
root = pathlib.Path(root)


def load_local(path, name=None, **_):
    if "/" not in path:  # older task files name some data sets without their organisation
        path = next(root.glob(f"*/{path}"), root / path).relative_to(root)
    folder = root / path / (name or "default")
    splits = {}
    for file in sorted(folder.glob("*.jsonl.gz")):
        rows = [json.loads(line) for line in gzip.open(file, "rt", encoding="utf-8")]
        splits[file.name.removesuffix(".jsonl.gz")] = datasets.Dataset.from_list(rows)
    if not splits:
        raise FileNotFoundError(folder)
    if not num_fewshot:
        splits.setdefault("train", splits.get("validation"))  # lm-eval asks for the pool even where it draws nothing
    return datasets.DatasetDict(splits)


datasets.load_dataset = load_local

import lm_eval  # noqa: E402  (after the replacement)
import torch  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

network = AutoModelForCausalLM.from_pretrained(model, torch_dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(model)
lm = HFLM(pretrained=network, tokenizer=tokenizer, device="cpu", batch_size=1, add_bos_token=True)
result = lm_eval.simple_evaluate(
    model=lm, tasks=tasks.split(","), limit=float(limit), num_fewshot=num_fewshot, bootstrap_iters=0, log_samples=True
)

stored = {}
query = "SELECT task, doc_id, idx, context, continuation, loglikelihood, is_greedy FROM v_requests"
for task, doc, idx, *rest in sqlite3.connect(db).execute(query):
    stored[task, doc, idx] = rest
n = prompts = greedy = 0
worst = 0.0
for task, samples in result["samples"].items():
    for sample in samples:
        for idx, (asked, answer) in enumerate(zip(sample["arguments"], sample["resps"], strict=True)):
            context, continuation, found, is_greedy = stored[task, sample["doc_id"], idx]
            n += 1
            if (context, continuation) != tuple(asked):
                prompts += 1
                print(f"{task} {sample['doc_id']} {idx}: prompt differs\n  {asked!r}\n  {(context, continuation)!r}")
            (expected, expected_greedy), = answer
            worst = max(worst, abs(float(expected) - found))
            greedy += bool(is_greedy) != (str(expected_greedy) == "True")
metrics = 0
connection = sqlite3.connect(db)
for name, values in result["results"].items():
    for key, value in values.items():
        if "," not in key or "stderr" in key:
            continue
        metric, filter_name = key.split(",")
        row = connection.execute(
            "SELECT value FROM results WHERE name = ? AND metric = ? AND filter = ?", (name, metric, filter_name)
        ).fetchone()
        if row is None or abs(row[0] - value) > 1e-12:
            metrics += 1
            print(f"{name} {key}: expected {value!r}, found {row}")
print(f"{n} requests: {prompts} other prompts, {greedy} other greedy flags, {metrics} other metrics, largest difference {worst:.3g}")
sys.exit(prompts + greedy + metrics > 0 or worst > 1e-4)
