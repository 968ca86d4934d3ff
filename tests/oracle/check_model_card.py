#!/usr/bin/env python3
"""Reads a model card's results as the public hub's Python client does, and holds them against a run's JSON report.

    zeval export-run --run 1 --format model-card --output card.yaml; zeval report --run 1 --json >report.json
    tests/oracle/check_model_card.py card.yaml report.json          (huggingface_hub)
"""
import json
import sys

from huggingface_hub import ModelCard

card = ModelCard("---\n" + open(sys.argv[1], encoding="utf-8").read() + "---\nText\n")
found = {(r.dataset_name, r.metric_type, (r.metric_args or {}).get("filter", "none")): r for r in card.data.eval_results}
run = json.load(open(sys.argv[2], encoding="utf-8"))["runs"][0]
if card.data.model_name != run["model"]:
    raise SystemExit(f"model {card.data.model_name}, expected {run['model']}")
n = 0
for entry in run["results"]:
    key = (entry["name"], entry["metric"], entry["filter"])
    if key not in found:
        continue  # a subject of a large group
    n += 1
    if abs(found[key].metric_value - entry["value"]) > 0.5e-4 + 1e-12:
        raise SystemExit(f"{key}: {found[key].metric_value}, expected {entry['value']}")
if n != len(found):
    raise SystemExit(f"{len(found) - n} results are of no entry of the report")
print(f"{n} results agree")
