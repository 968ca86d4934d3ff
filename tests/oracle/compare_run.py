"""Scores the requests of a run again with transformers and compares every log-likelihood.

    python3 tests/oracle/compare_run.py results.db MODEL_FOLDER [--every N] [--tasks a,b]

The pair encoding and the left truncation are written here from lm-evaluation-harness's huggingface.py (HFLM
._encode_pair, ._loglikelihood_tokens), with the model's own BOS policy. float32, eager attention, one request at a time.
"""
import argparse
import sqlite3
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("db")
parser.add_argument("model")
parser.add_argument("--every", type=int, default=1, help="take every Nth request")
parser.add_argument("--tasks", default="")
arguments = parser.parse_args()

tokenizer = AutoTokenizer.from_pretrained(arguments.model)
model = AutoModelForCausalLM.from_pretrained(arguments.model, torch_dtype=torch.float32, attn_implementation="eager").eval()
max_length = model.config.max_position_embeddings


def encode(text):
    special = not (tokenizer.bos_token and text.startswith(tokenizer.bos_token))
    return tokenizer.encode(text, add_special_tokens=special)


def encode_pair(context, continuation):
    if not context:
        prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        return [prefix], tokenizer.encode(continuation, add_special_tokens=False)
    spaces = len(context) - len(context.rstrip())
    if spaces:
        continuation = context[-spaces:] + continuation
        context = context[:-spaces]
    whole, head = encode(context + continuation), encode(context)
    return head, whole[len(head):]


@torch.no_grad()
def score(context, continuation):
    head, tail = encode_pair(context, continuation)
    ids = (head + tail)[-(max_length + 1):]
    logprobs = torch.log_softmax(model(torch.tensor([ids[:-1]])).logits[0].float(), -1)[-len(tail):]
    total = float(logprobs[torch.arange(len(tail)), torch.tensor(tail)].sum())
    return total, bool((logprobs.argmax(-1) == torch.tensor(tail)).all()), max(len(head) + len(tail) - max_length - 1, 0)


query = """SELECT task, doc_id, idx, context, continuation, loglikelihood, is_greedy, n_truncated
           FROM v_requests ORDER BY run_id, task, doc_id, idx"""
rows = list(sqlite3.connect(arguments.db).execute(query))
if arguments.tasks:
    rows = [r for r in rows if r[0] in arguments.tasks.split(",")]
worst, greedy, truncated, n = 0.0, 0, 0, 0
for task, doc_id, idx, context, continuation, found, is_greedy, n_truncated in rows[:: arguments.every]:
    expected, expected_greedy, expected_truncated = score(context, continuation)
    n += 1
    greedy += bool(is_greedy) != expected_greedy
    truncated += n_truncated != expected_truncated
    if abs(found - expected) > 1e-4:
        print(f"{task} {doc_id} {idx}: found {found!r}, expected {expected!r}")
    worst = max(worst, abs(found - expected))
print(f"{n} requests of {len(rows)}: largest difference {worst:.3g}, {greedy} other greedy flags, {truncated} other truncations")
sys.exit(worst > 1e-4 or greedy > 0 or truncated > 0)
