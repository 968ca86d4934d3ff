"""Makes tests/fixtures/lm_eval_v0_4_0/out: what lm-evaluation-harness at c9bbec6 asks of a model for the tasks and data beside it
(requests.jsonl, in the format of `zeval requests`, without generated texts), answers made up for it (answers.jsonl), and the tables
that it prints for them (tables.md).

    python3 tests/oracle/make_v0_4_0_tables.py LM_EVAL_AT_c9bbec6

In the environment of live_lm_eval.py. exact_match, which c9bbec6 fetches from the hub, is 4e7e0d4's own copy of it.
"""
import collections
import json
import pathlib
import random
import re
import sys

sys.path.insert(0, sys.argv[1])
import datasets  # noqa: E402
import evaluate  # noqa: E402
import numpy  # noqa: E402

FIXTURE = pathlib.Path(__file__).parent.parent / "fixtures/lm_eval_v0_4_0"
TASKS = ["ends", "pair", "picks", "whole"]


class ExactMatch:
    def compute(self, predictions, references, ignore_case=False):
        predictions, references = numpy.asarray(predictions), numpy.asarray(references)
        if ignore_case:
            predictions, references = numpy.char.lower(predictions), numpy.char.lower(references)
        return {"exact_match": numpy.mean(predictions == references)}


evaluate.load = lambda name, *_, **__: ExactMatch() if name == "exact_match" else None
datasets.load_metric = None


def load_dataset(path, name=None, **_):
    files = (FIXTURE / "data" / path / "default").glob("*.jsonl")
    return datasets.DatasetDict({f.stem: datasets.Dataset.from_list([json.loads(line) for line in open(f, encoding="utf-8")]) for f in files})


datasets.load_dataset = load_dataset
from lm_eval import evaluator, tasks  # noqa: E402  (after the replacements)
from lm_eval.api.model import LM  # noqa: E402


class MadeUp(LM):
    def loglikelihood(self, requests):
        made = [random.Random("\0".join(r.args)) for r in requests]
        return [(-m.randrange(40) / 4, m.random() < 0.4) for m in made]

    def loglikelihood_rolling(self, requests):
        return [-len(r.args[0]) * random.Random(r.args[0]).random() for r in requests]

    def generate_until(self, requests):
        words = re.findall(r"\w+", " ".join(open(f, encoding="utf-8").read() for f in FIXTURE.glob("data/*/*/*/test.jsonl")))
        made = [random.Random(r.args[0] + str(i)) for i, r in enumerate(requests)]
        return [m.choice(["The answer is {}.", " {} ", "{}"]).format(m.choice(words)) for m in made]


tasks.include_path(str(FIXTURE / "tasks"))
opened = tasks.get_task_dict(TASKS)
results = evaluator.evaluate(lm=MadeUp(), task_dict=opened)
asked, answers = [], []
for name, task in opened.items():
    task = task[1] if isinstance(task, tuple) else task
    counts = collections.Counter()
    for request in task.instances if task else []:
        place = {"task": name, "doc_id": request.doc_id, "idx": counts[request.doc_id]}
        counts[request.doc_id] += 1
        response = request.resps[0]
        answers.append({**place, "response": list(response) if isinstance(response, tuple) else response})
        texts = {"context": request.args[0], "continuation": request.args[1] if len(request.args) > 1 else None}
        if request.request_type != "generate_until":
            asked.append({**place, "request_type": request.request_type, **texts})
(FIXTURE / "out").mkdir(exist_ok=True)
for file, lines in (("requests", asked), ("answers", answers)):
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (FIXTURE / f"out/{file}.jsonl").write_text(text, encoding="utf-8")
tables = [evaluator.make_table(results), evaluator.make_table(results, "groups")]
(FIXTURE / "out/tables.md").write_text("\n".join(tables), encoding="utf-8")
