#!/usr/bin/env python3
"""Writes what the demo must give: tests/fixtures/demo_expected.json, the log-likelihood of every choice of every
demo document, and tests/fixtures/models/demo, logits of two prompts, both by zebra.py in float64.

With --ablate it writes nothing and prints the accuracies with each layer's mixer silenced in turn.
"""

import argparse
import json
import pathlib
import platform

import numpy as np
import tokenizers

from make_model_fixtures import fresh_folder, relative_gap, write_logits
from zebra import Zebra

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = "zoo/demo/model"
TASKS = ("demo_recall", "demo_where", "demo_order")
PROMPTS = (
    "The old hat is red. The new hat is blue.\nQuestion: What colour is the old hat?\nAnswer: The old hat is",
    "Anna put the ball in the box. Ben put the key in the barn. Cara moved the ball to the tent.\n"
    "Question: Where is the ball now?\nAnswer: The ball is in the tent",
)


def load_documents(task, limit):
    lines = (ROOT / "zoo" / "demo" / "data" / "zeval" / task / "default" / "test.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[:limit]]


def encode_pair(tokenizer, context, continuation):
    context_ids = tokenizer.encode(context).ids
    return context_ids, tokenizer.encode(context + continuation).ids[len(context_ids) :]


def score(model, tokenizer, document):
    """Log-likelihood and greediness of each choice."""
    context = f"{document['story']}\nQuestion: {document['question']}\nAnswer: {document['lead']}"
    values, greedy = [], []
    for choice in document["choices"]:
        context_ids, wanted = encode_pair(tokenizer, context, " " + choice)
        logits = model.logits((context_ids + wanted)[:-1])[len(context_ids) - 1 :]
        peak = logits.max(axis=-1, keepdims=True)
        logp = logits - peak - np.log(np.exp(logits - peak).sum(axis=-1, keepdims=True))
        values.append(float(sum(row[i] for row, i in zip(logp, wanted))))
        greedy.append(all(int(row.argmax()) == i for row, i in zip(logp, wanted)))
    return values, greedy


def evaluate(model, tokenizer, task, limit=None):
    documents, right, right_norm = [], 0, 0
    for document in load_documents(task, limit):
        values, greedy = score(model, tokenizer, document)
        lengths = [len(choice) for choice in document["choices"]]
        right += int(np.argmax(values)) == document["label"]
        right_norm += int(np.argmax(np.array(values) / lengths)) == document["label"]
        documents.append({"loglikelihoods": [float(f"{v:.9g}") for v in values], "greedy": greedy})
    n = len(documents)
    return {"n": n, "acc": right / n, "acc_norm": right_norm / n, "documents": documents}


def write_expected(tokenizer):
    model = Zebra(ROOT / MODEL)
    results = {task: evaluate(model, tokenizer, task) for task in TASKS}
    made_by = {
        "implementation": "tests/oracle/zebra.py, float64",
        "numpy": np.__version__,
        "tokenizers": tokenizers.__version__,
        "python": platform.python_version(),
    }
    parts = []
    for task, result in results.items():
        documents = ",\n".join("      " + json.dumps(document) for document in result.pop("documents"))
        head = json.dumps(result)[:-1]
        parts.append(f'    "{task}": {head}, "documents": [\n{documents}\n    ]}}')
        print(task, result)
    text = json.dumps({"made_by": made_by, "model_folder": MODEL}, indent=2)[:-2]
    text += ',\n  "tasks": {\n' + ",\n".join(parts) + "\n  }\n}\n"
    (ROOT / "tests" / "fixtures" / "demo_expected.json").write_text(text)

    folder = fresh_folder("demo")
    ids_of_cases = [tokenizer.encode(prompt).ids for prompt in PROMPTS]
    rounded = Zebra(ROOT / MODEL, np.float32)
    gap = max(relative_gap(rounded.logits(ids), model.logits(ids)) for ids in ids_of_cases)
    notes = {"model_folder": MODEL, "prompts": list(PROMPTS), "float32_to_float64": f"{gap:.1e}"}
    write_logits(folder, None, made_by, ids_of_cases, model.logits, notes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument("--limit", type=int, help="documents of each task (with --ablate)")
    options = parser.parse_args()
    tokenizer = tokenizers.Tokenizer.from_file(str(ROOT / MODEL / "tokenizer.json"))
    if not options.ablate:
        write_expected(tokenizer)
        return
    layers = json.loads((ROOT / MODEL / "config.json").read_text())["num_hidden_layers"]
    for silenced in [(), *((i,) for i in range(layers))]:
        model = Zebra(ROOT / MODEL, np.float32, silenced)
        scores = " ".join(f"{task} {evaluate(model, tokenizer, task, options.limit)['acc']:.3f}" for task in TASKS)
        print(f"silenced {silenced or 'nothing'}: {scores}", flush=True)


if __name__ == "__main__":
    main()
