"""How long lm-evaluation-harness with transformers takes for what `bench/sharing.sh` lets zeval score.

    python3 bench/lm_eval_time.py MODEL_FOLDER DATASETS_FOLDER THREADS TASK:SHOTS:LIMIT...      (LIMIT 0: every document)

Run with lm-eval 0.4.9.2, datasets 3.6, transformers 4.50, torch 2.2 (pip). Nothing is fetched: load_dataset is replaced
by a reader of DATASETS_FOLDER/ORG/NAME/CONFIG/SPLIT.jsonl[.gz], and a training split that is not there is stood in by the
validation split, as zeval's side must have it too. The model is loaded once, which is told apart; a task's time is that
of lm_eval.simple_evaluate, in float32, batches of 8, nothing cut off.
"""
import gzip
import json
import os
import pathlib
import sys
import time

if len(sys.argv) < 5:
    sys.exit(__doc__)
model, root, threads, works = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", DISABLE_MULTIPROC="1", TOKENIZERS_PARALLELISM="false",
                  OMP_NUM_THREADS=str(threads))

import datasets  # noqa: E402


def load_local(path, name=None, **_):
    if "/" not in path:
        path = next(root.glob(f"*/{path}"), root / path).relative_to(root)
    splits = {}
    for file in sorted((root / path / (name or "default")).glob("*.jsonl*")):
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
            splits[file.name.split(".jsonl")[0]] = datasets.Dataset.from_list([json.loads(line) for line in lines])
    if not splits:
        raise FileNotFoundError(root / path)
    splits.setdefault("train", splits.get("validation") or splits.get("test"))
    return datasets.DatasetDict(splits)


datasets.load_dataset = load_local

import lm_eval  # noqa: E402  (after the replacement)
import torch  # noqa: E402
import transformers  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

plain = transformers.AutoModelForCausalLM.from_pretrained  # which knows "dtype" by another name
transformers.AutoModelForCausalLM.from_pretrained = lambda *a, dtype=None, **k: plain(*a, torch_dtype=dtype, **k)
torch.set_num_threads(threads)
start = time.time()
lm = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=8, max_length=1 << 20)
print(f"model loaded in {time.time() - start:.1f} s", flush=True)
for work in works:
    task, shots, limit = work.split(":")
    start = time.time()
    results = lm_eval.simple_evaluate(model=lm, tasks=[task], num_fewshot=int(shots), limit=int(limit) or None,
                                      log_samples=False, bootstrap_iters=0,
                                      task_manager=TaskManager(metadata={"pretrained": model}))
    print(f"lm-eval {work}: {time.time() - start:.2f} s, acc {results['results'][task]['acc,none']:.4f}", flush=True)
