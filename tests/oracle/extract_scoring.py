"""Makes tests/fixtures/scoring.json out of lm_eval_golden.json (values that lm-evaluation-harness computed on invented
rows): for each document the choices, the right one, the responses, and the metrics upstream gives them.

    python3 tests/oracle/extract_scoring.py lm_eval_golden.json > tests/fixtures/scoring.json
"""
import json
import sys

GOLD = {
    "arc_easy": ("allenai/ai2_arc|ARC-Easy", "test", lambda d: d["choices"]["label"].index(d["answerKey"])),
    "arc_challenge": ("allenai/ai2_arc|ARC-Challenge", "test", lambda d: d["choices"]["label"].index(d["answerKey"])),
    "hellaswag": ("Rowan/hellaswag|None", "validation", lambda d: int(d["label"])),
    "mmlu_abstract_algebra": ("cais/mmlu|abstract_algebra", "test", lambda d: d["answer"]),
    "openbookqa": ("allenai/openbookqa|main", "test", lambda d: d["choices"]["label"].index(d["answerKey"].lstrip())),
    "piqa": ("baber/piqa|None", "validation", lambda d: d["label"]),
    "winogrande": ("allenai/winogrande|winogrande_xl", "validation", lambda d: int(d["answer"]) - 1),
}

golden = json.load(open(sys.argv[1], encoding="utf-8"))
out = {"group": golden["group_examples"], "tasks": []}
for task, (dataset, split, gold) in GOLD.items():
    expected, rows = golden["expected"][task], golden["rows"][dataset][split]
    docs = []
    for row, request, scored in zip(rows, expected["text_0shot"], expected["scoring"]["docs"], strict=True):
        choices = [c[1:] for c in request["arg1"]]  # without the delimiter
        docs.append({"choices": choices, "gold": gold(row), "resps": scored["resps"], "metrics": scored["metrics"]["none"]})
    out["tasks"].append({"task": task, "docs": docs, "aggregate": expected["scoring"]["aggregate_bootstrap_iters_2000"]})
json.dump(out, sys.stdout, ensure_ascii=False, separators=(",", ":"))
