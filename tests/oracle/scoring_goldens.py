"""Makes tests/fixtures/scoring_upstream.json: filters, matching, per-document metrics, aggregates and standard errors
on invented answers, each computed by lm-evaluation-harness's own functions (a checkout of 4e7e0d4 for the profile
main, one of c9bbec6 for v0.4.0), regular expressions by Python's re.

    PYTHONPATH=LM_EVAL_AT_4e7e0d4 python3 tests/oracle/scoring_goldens.py LM_EVAL_AT_c9bbec6 > tests/fixtures/scoring_upstream.json
"""
import importlib.util
import json
import os
import random
import re
import sys
import types

os.environ["DISABLE_MULTIPROC"] = "1"
old = sys.argv[1]
from lm_eval.api import metrics as new_metrics  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.filters import build_filter_ensemble  # noqa: E402
from lm_eval.tasks.truthfulqa import utils as truthfulqa  # noqa: E402


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, f"{old}/{path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


old_filters = {
    "regex": load("lm_eval/filters/extraction.py", "old_extraction").RegexFilter,
    "remove_whitespace": load("lm_eval/filters/extraction.py", "old_extraction").WhitespaceFilter,
    "take_first": load("lm_eval/filters/selection.py", "old_selection").TakeFirstFilter,
    "lowercase": load("lm_eval/filters/transformation.py", "old_transformation").LowercaseFilter,
}

TEXTS = ["", " ", "7", " The answer is 42.", "The answer is 1,002. ok", "so 3 + 4 = 7\n#### 7 or 14.", "#### -3",
         "#### $5.50\n#### 6", "no number", "a $1,000.50 b -7 c", "The answer is 5", "The answer is 5\n", "\u00a0(B)\u2003",
         "I choose: C", "The best answer is (A) because", "river stone", "River, stone!", "Ｓｔｅｉｎ ß İ Σας", "answer: Ｂ",
         "x" * 40 + "#### 12", "--5", "-$9,1.", "...", "\x1c tab\x1f"]
PATTERNS = [r"#### (\-?[0-9\.\,]+)", r"The answer is (\-?[0-9\.\,]+).", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"(\([A-Z]\))", r"",
            r"(a)|(b)", r"(?s).*#### ", r"\b(?:The |the |An |A |The |a |an )", r"\.$", r"[^\W\d_]+", r"(?i)ANSWER(?P<n>\s+)is",
            r"(?<=is )(.*)(?=.)", r"[[(]\w", r"x{,3}", r"\d+|\s", r"(?a)\w+", r"\u2003|\x1c", r"a*", r"$", r"^", r"\Z", r"(x)?y|z*"]
PIPELINES = [
    [["take_first", {}]],
    [["regex", {}], ["take_first", {}]],
    [["regex", {"regex_pattern": PATTERNS[1]}], ["take_first", {}]],
    [["regex", {"regex_pattern": PATTERNS[2], "group_select": -1}], ["take_first", {}]],
    [["regex", {"regex_pattern": PATTERNS[2], "group_select": -1, "fallback": "none"}], ["lowercase", {}], ["take_first", {}]],
    [["remove_whitespace", {}], ["take_first", {}]],
    [["lowercase", {}], ["uppercase", {}], ["remove_whitespace", {}], ["take_first", {}]],
    [["remove_whitespace", {}], ["map", {"mapping_dict": {"7": "seven", "": "empty"}, "default_value": "other"}], ["take_first", {}]],
    [["majority_vote", {}], ["take_first", {}]],
    [["take_first_k", {"k": 1}], ["majority_vote", {}], ["take_first", {}]],
    [["multi_choice_regex", {"regex_pattern": r"(\([A-Z]\))", "group_select": 0, "ignore_case": True, "ignore_punctuation": True}], ["take_first", {}]],
    [["multi_choice_regex", {"regex_pattern": r"(\([A-Z]\))", "group_select": -1, "regexes_to_ignore": ["the "]}], ["take_first", {}]],
]
OLD_PIPELINES = [0, 1, 2, 5]
SAID = {"regex_pattern": r"The answer is (\-?[0-9\.\,]*[0-9]+)"}
# what self-consistency tasks do with the repeats of a generated text
OF_SEVERAL = [
    [["regex", SAID], ["take_first", {}]],
    [["regex", SAID], ["majority_vote", {}], ["take_first", {}]],
    [["take_first_k", {"k": 3}], ["regex", SAID], ["majority_vote", {}], ["take_first", {}]],
    [["take_first_k", {"k": 4}], ["remove_whitespace", {}], ["lowercase", {}], ["majority_vote", {}], ["take_first", {}]],
    [["regex", {**SAID, "group_select": -1}], ["map", {"mapping_dict": {"5": "five", "42": "many"}, "default_value": "?"}],
     ["majority_vote", {}], ["take_first", {}]],
]
CHOICES = ["River, stone", "stone", "the number", "Σας"]


def filtered(pipeline, texts, profile):
    docs = [{"choices": CHOICES} for _ in texts]
    resps = [[t] for t in texts]
    if profile == "main":
        instances = [types.SimpleNamespace(resps=r, doc=d, filtered_resps={}) for r, d in zip(resps, docs)]
        build_filter_ensemble("x", pipeline).apply(instances)
        return [i.filtered_resps["x"] for i in instances]
    for name, kwargs in pipeline:
        resps = list(old_filters[name](**kwargs).apply(resps, docs))
    return resps


def of_several(pipeline, texts):
    instance = types.SimpleNamespace(resps=texts, doc={}, filtered_resps={})
    build_filter_ensemble("x", pipeline).apply([instance])
    return instance.filtered_resps["x"]


def filters():
    out = []
    for profile, which in (("main", range(len(PIPELINES))), ("v0.4.0", OLD_PIPELINES)):
        for i in which:
            steps = [{"function": f, **k} for f, k in PIPELINES[i]]
            out.append({"profile": profile, "steps": steps, "results": filtered(PIPELINES[i], TEXTS, profile)})
    votes = [["a", "b", "b"], ["b", "a"], ["x"], ["c", "a", "a", "c"]]
    instances = [types.SimpleNamespace(resps=v, doc={}, filtered_resps={}) for v in votes]
    build_filter_ensemble("x", [["majority_vote", {}], ["take_first", {}]]).apply(instances)
    rnd = random.Random(8)
    said = ["The answer is 42.", "The answer is 5.", " The answer is 5, or The answer is 42!", "The answer is 1,000.", "none", "NONE ", ""]
    lists = [rnd.choices(said, k=rnd.randint(4, 9)) for _ in range(40)]
    several = [{"steps": [{"function": f, **k} for f, k in p], "results": [of_several(p, texts) for texts in lists]} for p in OF_SEVERAL]
    return {"lists": lists, "several": several, "texts": TEXTS, "choices": CHOICES, "pipelines": out, "votes": votes,
            "winners": [i.filtered_resps["x"] for i in instances]}


def matching():
    targets = [["7"], ["42.", "-3"], ["river stone", "River Stone"], ["The answer"], ["#### 5"], ["Ｓｔｅｉｎ ẞ i̇ σας"], [""]]
    options = [{}, {"ignore_case": True}, {"ignore_case": True, "ignore_punctuation": True}, {"ignore_numbers": True},
               {"ignore_case": True, "ignore_punctuation": False, "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]},
               {"ignore_case": True, "ignore_punctuation": True, "regexes_to_ignore": [r"\b(?:The |the |An |A |The |a |an )"]}]
    cases = []
    for option in options:
        for refs in targets:
            found = [new_metrics.exact_match_fn(references=refs, predictions=[t] * len(refs), **option)["exact_match"] for t in TEXTS]
            cases.append({"options": option, "targets": refs, "right": [int(f > 0) for f in found]})
    return cases


def expressions():
    out = []
    for pattern in PATTERNS:
        rows = [{"removed": re.sub(pattern, "", t), "spans": [[m.start(), m.end()] for m in re.finditer(pattern, t)]} for t in TEXTS]
        out.append({"pattern": pattern, "rows": rows})
    return out


def multiple_choice():
    rnd = random.Random(5)
    names = ["acc", "f1", "mcc", "acc_norm", "acc_bytes", "exact_match", "acc_mutual_info"]
    docs = []
    for i in range(24):
        choices = rnd.sample(["no", "yes", "Straße", "a much longer answer", "x y", "ÄÖÜ", "ten"], rnd.randint(2, 5))
        lls = [round(-rnd.random() * 20, 2) for _ in choices * 2]
        if i % 6 == 0:
            lls[1] = lls[0]
        greedy = [rnd.random() < 0.3 for _ in lls]
        gold = rnd.randrange(len(choices)) if i % 5 else len(choices)
        several = i % 4 == 3
        if several:
            gold = [gold, 0]
        task = ConfigurableTask.__new__(ConfigurableTask)
        task.OUTPUT_TYPE = "multiple_choice"
        task._config = types.SimpleNamespace(process_results=None)
        task._metric_fn_list = {n: None for n in names if not (several and n in ("f1", "mcc", "acc_mutual_info"))}
        task.multiple_input, task.multiple_target = 0, len(gold) if several else 0
        task.doc_to_choice = lambda doc: choices
        task.doc_to_target = lambda doc: gold
        n = len(lls) if not several else len(choices)
        metrics = task.process_results({}, list(zip(lls, greedy))[:n])
        docs.append({"choices": choices, "gold": gold, "lls": lls[:n], "greedy": greedy[:n],
                     "metrics": {k: [int(x) for x in v] if isinstance(v, tuple) else float(v) for k, v in metrics.items()}})
    return docs


def mc2():
    rnd = random.Random(6)
    spec = importlib.util.spec_from_loader("old_truthfulqa", loader=None)
    source = open(f"{old}/lm_eval/tasks/truthfulqa/utils.py").read()
    module = importlib.util.module_from_spec(spec)
    exec(source[: source.index("def process_docs_gen")], module.__dict__)
    out = []
    for n in (2, 5, 9, 13, 20):
        labels = [1] + [rnd.randint(0, 1) for _ in range(n - 2)] + [0]
        lls = [-rnd.random() * 9 for _ in labels]
        doc = {"mc2_targets": {"labels": labels}}
        results = [(ll, False) for ll in lls]
        out.append({"labels": labels, "lls": lls, "main": float(truthfulqa.process_results_mc2(doc, results)["acc"]),
                    "v0.4.0": float(module.process_results_mc2(doc, results)["acc"])})
    return out


def aggregates():
    rnd = random.Random(7)
    numbers = [rnd.gauss(-3, 2) for _ in range(57)]
    flags = [float(rnd.random() < 0.4) for _ in range(131)]
    pairs = [(rnd.gauss(-100, 9), rnd.randint(5, 90)) for _ in range(19)]
    binary = [(rnd.randint(0, 1), rnd.randint(0, 1)) for _ in range(41)]
    classes = [(rnd.randint(0, 3), rnd.randint(0, 3)) for _ in range(41)]
    m = new_metrics
    cases = [("mean", numbers, 100000), ("mean", flags, 100000), ("median", numbers, 1500), ("nanmean", numbers, 1500),
             ("perplexity", numbers, 100000),
             ("perplexity", numbers[:3], 999), ("weighted_perplexity", pairs, 10), ("bits_per_byte", pairs, 10), ("f1", binary, 1200),
             ("matthews_corrcoef", binary, 1200), ("matthews_corrcoef", classes, 1000), ("f1", [(0, 0), (0, 0)], 10)]
    functions = {"f1": m.f1_score, "median": m.median}
    out = []
    for name, items, iterations in cases:
        function = functions.get(name) or getattr(m, name)
        stderr = m.stderr_for_metric(function, iterations)
        error = float(stderr(items)) if stderr else None
        out.append({"aggregation": name, "items": items, "iterations": iterations, "value": float(function(items)), "stderr": error})
    return out


def groups():
    rnd = random.Random(8)
    out = []
    for n in (1, 2, 5):
        values = [rnd.random() for _ in range(n)]
        errors = [rnd.random() / 10 for _ in range(n)]
        sizes = [rnd.randint(2, 900) for _ in range(n)]
        merged, variance, total = values[0], errors[0] ** 2, sizes[0]
        for value, error, size in zip(values[1:], errors[1:], sizes[1:]):  # c9bbec6: lm_eval/evaluator.py, evaluate()
            merged = (merged * total + value * size) / (total + size)
            variance = ((total - 1) * variance + (size - 1) * error**2) / (total + size - 1) + total * size / (
                (total + size) * (total + size - 1)
            ) * (merged - value) ** 2
            total += size
        if n <= 2:  # the function that was made of it later forgets to add up the sizes
            assert abs(new_metrics.combined_sample_stderr(errors, sizes, values) - variance**0.5) < 1e-15
        out.append({"values": values, "stderrs": errors, "sizes": sizes, "weighted": new_metrics.aggregate_subtask_metrics(values, sizes),
                    "plain": new_metrics.aggregate_subtask_metrics(values, sizes, False),
                    "pooled": float(new_metrics.pooled_sample_stderr(errors, sizes)), "merged": merged, "combined": variance**0.5})
    return out


output, sys.stdout = sys.stdout, sys.stderr  # upstream prints what it resamples
json.dump({"filters": filters(), "matching": matching(), "expressions": expressions(), "multiple_choice": multiple_choice(), "mc2": mc2(),
           "aggregates": aggregates(), "groups": groups()}, output, ensure_ascii=False, separators=(",", ":"))
