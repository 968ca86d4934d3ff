"""Counts the distinct token prefixes of a task's requests, independently of the planner.

    zeval requests --tasks mmlu --num-fewshot 5 --data ./datasets |
        python3 tests/oracle/count_prefixes.py MODEL_FOLDER [--max-length N] [--expect PLAN.json]

Reads requests as JSON Lines on standard input, encodes them with the `tokenizers` package and lm-evaluation-harness's
pair rule (lm_eval/api/model.py, TemplateLM._encode_pair; HFLM._loglikelihood_tokens for the cut on the left), and counts

    tokens_alone     the sum of the inputs' lengths: what feeding each request on its own computes
    tokens_distinct  the number of different prefixes of all inputs: the least that can be computed

An input is a request without its last token, which is only ever a target. The count sorts the inputs and adds what
each does not have in common with the one before it. With --expect, the numbers are held against what
`zeval run --dry-run --json` printed, and a difference ends the program with exit code 1.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
from tokenizers import Tokenizer

parser = argparse.ArgumentParser()
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("--max-length", type=int, default=1 << 30)
parser.add_argument("--expect", type=pathlib.Path)
arguments = parser.parse_args()

tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
config = json.loads((arguments.model / "tokenizer_config.json").read_text())
bos = config.get("bos_token")
bos = bos.get("content") if isinstance(bos, dict) else bos
bos_id = tokenizer.token_to_id(bos) if bos else None
add_bos = bool(bos and tokenizer.encode("a").ids[0] == bos_id)


def encode(texts):
    """Ids with the tokenizer's own BOS policy; a text that begins with BOS gets no second one."""
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [([bos_id] if add_bos and not text.startswith(bos) else []) + e.ids for text, e in zip(texts, encoded)]


def pairs(requests):
    """Yields (ids, length of the context) of requests with a context."""
    stripped, whole = [], []
    for request in requests:
        context = request["context"]
        stripped.append(context.rstrip())
        whole.append(context + request["continuation"])
    known = {text: ids for text, ids in zip(set(stripped), encode(list(set(stripped))))}
    for text, ids in zip(stripped, encode(whole)):
        yield known[text] + ids[len(known[text]):], len(known[text])


inputs, n_requests, tokens_alone = set(), 0, 0


def take(requests):
    global n_requests, tokens_alone
    for ids, _ in pairs(requests):
        ids = ids[-(arguments.max_length + 1):][:-1]
        n_requests += 1
        tokens_alone += len(ids)
        inputs.add(np.array(ids, dtype=">i4").tobytes())  # big-endian: bytes sort as the ids do


batch = []
for line in sys.stdin:
    batch.append(json.loads(line))
    if not batch[-1]["context"]:
        sys.exit("a request has no context, which this script does not encode")
    if len(batch) == 2000:
        take(batch)
        batch = []
take(batch)

tokens_distinct, former = 0, np.empty(0, dtype=">i4")
for data in sorted(inputs):
    ids = np.frombuffer(data, dtype=">i4")
    n = min(len(ids), len(former))
    differing = np.flatnonzero(ids[:n] != former[:n])
    tokens_distinct += len(ids) - (differing[0] if len(differing) else n)
    former = ids

found = {"requests": n_requests, "tokens_alone": tokens_alone, "tokens_distinct": int(tokens_distinct)}
print(json.dumps(found))
if arguments.expect:
    expected = json.loads(arguments.expect.read_text())
    wrong = [f"{key}: counted {value}, the plan says {expected[key]}" for key, value in found.items()
             if value != expected[key]]
    if wrong:
        sys.exit("\n".join(wrong))
    print("the plan agrees")
