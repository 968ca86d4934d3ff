"""Runs lm-evaluation-harness itself and zeval over the same local data and compares the files that both write: every
prompt, continuation and hash, every log-likelihood, greedy flag and generated text, every metric of every document, and
all aggregates with their standard errors, key by key and in order.

    python3 tests/oracle/live_lm_eval.py --zeval build/zeval --model MODEL_FOLDER --data DATASETS_FOLDER
        --tasks TASK[,TASK...] [--num-fewshot N] [--limit N] [--samples FILE] [--max-length N] [--batch-size N]
        [--include-path DIR] [--template FILE] [--system-instruction TEXT] [--single-turn] [--made-up-answers]
        [--share-prefixes [--prove N]] [--softmax-dtype float64] [--dtype float64] [--keep FOLDER]

Run with lm-eval 0.4.9.2, datasets 3.6, transformers 4.50 (pip), or with PYTHONPATH naming a checkout of 4e7e0d4, whose results
files zeval writes: against 0.4.9.2 only what both versions have there is compared. Nothing is fetched: load_dataset is replaced by a
reader of DATASETS_FOLDER/ORG/NAME/CONFIG/SPLIT.jsonl.gz. A training split that is not there is stood in by another: nothing
is drawn from it without examples. --template FILE runs both with that chat template, --single-turn with the examples in
the user's one turn. --made-up-answers lets lm-eval make up answers where it would ask the model, and zeval replay what
lm-eval wrote: all prompts, filters, metrics and aggregates of whole tasks, quickly, but nothing of the model, and no chat
template. --share-prefixes gives PyTorch only the tokens that differ from the request before, in the order of tokens, so that
the examples in front of many questions are fed once; --prove N (100) of the requests are then asked once more as lm-eval
asks them, and an answer that differs by more than 1e-4, or 1e-5 of its size, ends the script. --softmax-dtype float64 is
lm-eval's own option: PyTorch's float32 log-softmax is off by about 1e-5 for each token of a large vocabulary. --dtype float64 has
lm-eval's model in float64, zeval's stays in float32: what both are to be judged by. Task files that came after
0.4.9.2, or whose numbers changed since, are read from --include-path. --max-length N is the longest input of both: lm-eval
stops where a continuation alone is longer than the model's own. --samples FILE names documents as both programs' option
does. Prints a row for each task and the seconds that each program took, and exits 1 if anything differs: log-likelihoods by
more than 1e-4, or 1e-6 of what is larger than 100.
"""
import argparse
import collections
import gzip
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
for name in ("zeval", "model", "data", "tasks"):
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--num-fewshot", type=int)
parser.add_argument("--limit", type=float)
parser.add_argument("--samples", help='JSON {"TASK": [document numbers]}: only these')
parser.add_argument("--max-length", type=int)
parser.add_argument("--batch-size", type=int, default=1)
parser.add_argument("--include-path")
parser.add_argument("--template")
parser.add_argument("--system-instruction")
parser.add_argument("--single-turn", action="store_true")
parser.add_argument("--made-up-answers", action="store_true")
parser.add_argument("--softmax-dtype", help="lm-eval's softmax_dtype, such as float64")
parser.add_argument("--dtype", default="float32", help="of lm-eval's model")
parser.add_argument("--share-prefixes", action="store_true")
parser.add_argument("--prove", type=int, default=100, help="how many answers of --share-prefixes to check")
parser.add_argument("--keep", help="folder that keeps what both wrote")
arguments = parser.parse_args()
root = pathlib.Path(arguments.data).absolute()
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", DISABLE_MULTIPROC="1", TOKENIZERS_PARALLELISM="false")

import datasets  # noqa: E402
import torch  # noqa: E402


def feature(values):
    """The type of a column by its values; a struct's fields keep the order of the file, which documents' hashes show."""
    values = [v for v in values if v is not None]
    if values and isinstance(values[0], dict):
        keys = list(dict.fromkeys(key for v in values for key in v))
        return {key: feature([v.get(key) for v in values]) for key in keys}
    if values and isinstance(values[0], list):
        return [feature([item for v in values for item in v])]
    if any(isinstance(v, bool) for v in values):
        return datasets.Value("bool")
    if any(isinstance(v, float) for v in values):
        return datasets.Value("float64")
    return datasets.Value("int64" if values and isinstance(values[0], int) else "string")


def load_local(path, name=None, **_):
    if "/" not in path:  # lm-eval 0.4.9.2 names some data sets as the hub did before they had an organisation
        path = next(root.glob(f"*/{path}"), root / path).relative_to(root)
    folder = root / path / (name or "default")
    splits = {}
    for file in sorted([*folder.glob("*.jsonl.gz"), *folder.glob("*.jsonl")]):
        text = gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else open(file, encoding="utf-8")
        rows = [json.loads(line) for line in text]
        splits[file.name.split(".jsonl")[0]] = datasets.Dataset.from_list(rows, features=datasets.Features(feature(rows)))
    if not splits:
        raise FileNotFoundError(folder)
    splits.setdefault("train", splits.get("validation") or splits.get("test"))
    return datasets.DatasetDict(splits)


datasets.load_dataset = load_local

import lm_eval  # noqa: E402  (after the replacement)
import numpy  # noqa: E402
import transformers  # noqa: E402
from lm_eval.loggers import EvaluationTracker  # noqa: E402
from lm_eval.api import samplers  # noqa: E402
from lm_eval.api.registry import register_model  # noqa: E402
from lm_eval import tasks as lm_eval_tasks  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402


class LenientPath(type(pathlib.Path())):
    """lm-eval logs each task file by its place in the package, and stops at one that lies elsewhere."""

    def relative_to(self, *other):
        return self


lm_eval_tasks.Path = LenientPath


def one_turn(self, doc, num_fewshot, fewshot_as_multiturn=False, gen_prefix=None):
    if fewshot_as_multiturn:
        return plain_chat_context(self, doc, num_fewshot, True, gen_prefix)
    return [{"role": "user", "content": self.get_context(doc, num_fewshot, gen_prefix=gen_prefix)}]


released = hasattr(samplers.ContextSampler, "get_chat_context")
if released:
    # lm-eval 0.4.9.2 draws the examples of one turn twice and uses the second draw; 4e7e0d4 draws once, and so does zeval.
    plain_chat_context, samplers.ContextSampler.get_chat_context = samplers.ContextSampler.get_chat_context, one_turn
    plain = transformers.AutoModelForCausalLM.from_pretrained
    transformers.AutoModelForCausalLM.from_pretrained = lambda *a, dtype=None, **k: plain(*a, torch_dtype=dtype, **k)


class MadeUp(HFLM):
    """Answers made of the request alone: numbers with many ties, texts with and without an answer that filters find."""

    ENDINGS = ("The answer is {}.", "#### {}", "so it is ${}", "the final answer is {}", "The best answer is {}", "{}", "none", "")

    def loglikelihood(self, requests, disable_tqdm=False):
        made = [random.Random("\0".join(r.args)) for r in requests]
        return [(-made_up.randrange(64) / 4 - made_up.randrange(2) * made_up.random(), made_up.random() < 0.4) for made_up in made]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        return [-len(r.args[0]) * random.Random(r.args[0]).random() for r in requests]

    def generate_until(self, requests, disable_tqdm=False):
        texts, asked = [], collections.Counter()
        for prompt in (r.args[0] for r in requests):
            asked[prompt] += 1  # each repeat of a prompt has a text of its own
            made_up = random.Random(prompt + "again" * (asked[prompt] - 1))
            answer = made_up.choice((made_up.choice("ABCD"), f"{made_up.randrange(10000):,}", f"-{made_up.randrange(40)}.50", "18"))
            texts.append(" Well, 3 and 4. " * made_up.randrange(3) + made_up.choice(self.ENDINGS).format(answer))
        return texts


@register_model("shared-prefixes")
class SharedPrefixes(HFLM):
    """The answers of HFLM, but keys and values of the tokens that a request begins with as the one before it are kept."""

    @torch.no_grad()
    def _loglikelihood_tokens(self, requests, disable_tqdm=False, override_bs=None):
        inputs = [numpy.array((context + ending)[-(self.max_length + 1):][:-1]) for _, context, ending in requests]
        cache, held, answers = transformers.DynamicCache(), inputs[0][:0], [None] * len(requests)
        for place in sorted(range(len(requests)), key=lambda i: inputs[i].astype(">u4").tobytes()):
            tokens, ending = inputs[place], torch.tensor(requests[place][2])
            assert 0 < len(ending) <= self.max_length
            if not numpy.array_equal(held, tokens) or len(ending) > len(scores):  # else only the last token differs
                known = min(len(held), len(tokens) - len(ending))
                other = numpy.flatnonzero(held[:known] != tokens[:known])
                known, held = int(other[0]) if len(other) else known, tokens
                cache.crop(known)
                logits = self.model(torch.from_numpy(tokens[known:])[None], past_key_values=cache, logits_to_keep=len(ending)).logits[0]
                scores = logits.log_softmax(-1, dtype=self.softmax_dtype)
            own = scores[-len(ending):]
            answers[place] = float(own.gather(1, ending[:, None]).sum()), bool((own.argmax(-1) == ending).all())
        self.prove(requests, answers)
        return answers

    def prove(self, requests, answers):
        chosen = random.Random(0).sample(range(len(requests)), min(arguments.prove, len(requests)))
        worst = 0.0
        for i, plain in zip(chosen, super()._loglikelihood_tokens([requests[i] for i in chosen], True)):
            off = abs(answers[i][0] - plain[0])
            worst = max(worst, off)
            if off > max(1e-4, 1e-5 * abs(plain[0])) or answers[i][1] != plain[1]:
                sys.exit(f"sharing prefixes changed an answer: {answers[i]} and, as lm-eval asks, {plain}")
        print(f"{len(requests)} requests share prefixes; {len(chosen)} asked as lm-eval does differ by up to {worst:.2g}")


def run_theirs(folder):
    model_args = f"pretrained={arguments.model},dtype={arguments.dtype}"
    if arguments.max_length:
        model_args += f",max_length={arguments.max_length}"
    if arguments.softmax_dtype:
        model_args += f",softmax_dtype={arguments.softmax_dtype}"
    tracker = EvaluationTracker(output_path=folder)
    results = lm_eval.simple_evaluate(
        model=MadeUp(pretrained=arguments.model, dtype=arguments.dtype, device="cpu") if arguments.made_up_answers
        else "shared-prefixes" if arguments.share_prefixes else "hf",
        model_args=model_args, tasks=arguments.tasks.split(","), limit=arguments.limit, device="cpu",
        samples=json.load(open(arguments.samples, encoding="utf-8")) if arguments.samples else None,
        num_fewshot=arguments.num_fewshot, log_samples=True, evaluation_tracker=tracker, batch_size=arguments.batch_size,
        apply_chat_template=bool(arguments.template), fewshot_as_multiturn=bool(arguments.template) and not arguments.single_turn,
        system_instruction=arguments.system_instruction,
        # the metadata is what lm-eval's command line adds
        task_manager=lm_eval_tasks.TaskManager(include_path=arguments.include_path, metadata={"pretrained": arguments.model, "dtype": arguments.dtype}),
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])


def run_ours(folder, model):
    command = [arguments.zeval, "run", "--model", model, "--data", str(root), "--tasks", arguments.tasks, "--quiet",
               "--db", f"{folder}/results.db", "--output-path", folder, "--log-samples"]
    if arguments.num_fewshot is not None:
        command += ["--num-fewshot", str(arguments.num_fewshot)]
    if arguments.limit:
        command += ["--limit", f"{arguments.limit:g}"]
    if arguments.samples:
        command += ["--samples", arguments.samples]
    if arguments.max_length and not model.startswith("replay:"):
        command += ["--max-length", str(arguments.max_length)]
    if arguments.include_path:
        command += ["--include-path", arguments.include_path]
    if arguments.template:
        command += ["--apply-chat-template", f"--fewshot-as-multiturn={'false' if arguments.single_turn else 'true'}"]
    if arguments.system_instruction:
        command += ["--system-instruction", arguments.system_instruction]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def load(folder):
    results, = pathlib.Path(folder).glob("*/results_*.json")
    samples = {}
    for file in results.parent.glob("samples_*.jsonl"):
        samples[file.name[len("samples_"):].rsplit("_", 1)[0]] = [json.loads(line) for line in open(file, encoding="utf-8")]
    return json.load(open(results, encoding="utf-8")), samples


# Keys that say who ran what where, and configurations, which for functions hold Python's source.
ENVIRONMENT = {"date", "pretty_env_info", "transformers_version", "lm_eval_version", "git_hash", "upper_git_hash", "start_time",
               "end_time", "total_evaluation_time_seconds", "model_source", "model_name", "model_name_sanitized", "config",
               "configs", "results", "groups"}
MODEL = {"tokenizer_pad_token", "tokenizer_eos_token", "tokenizer_bos_token", "eot_token_id", "max_length"}


def close(a, b):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return abs(a - b) <= 1e-4 * max(1, abs(b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == b


# What 4e7e0d4 writes otherwise than 0.4.9.2 did: groups' places, names, versions, shots and directions, and these keys.
CHANGED = {"group_subtasks", "versions", "n-shot", "higher_is_better", "n-samples", "task_hashes"}
NEW = {"name", "sample_len", "sample_count", "fewshot_config", "start_time", "end_time", "metadata"}


def names(dictionary):
    return sorted(k for k in dictionary if k not in NEW) if released else list(dictionary)


def compare_results(ours, theirs):
    wrong = []
    if names(ours) != names(theirs):
        wrong.append(f"keys: {list(ours)} and {list(theirs)}")
    for key in theirs:
        if key in ENVIRONMENT or (key in MODEL and arguments.made_up_answers):
            continue
        if not (released and key in CHANGED) and json.dumps(ours[key]) != json.dumps(theirs[key]):
            wrong.append(f"{key}: {json.dumps(ours[key])[:400]} and {json.dumps(theirs[key])[:400]}")
    for part in ("results", "groups"):
        mine, his = ours.get(part, {}), theirs.get(part, {})
        if names(mine) != names(his) or any(names(mine[k]) != names(his[k]) for k in his):
            wrong.append(f"{part}: other entries or keys: {[(k, list(v)) for k, v in mine.items()]} and {[(k, list(v)) for k, v in his.items()]}")
    if list(ours["config"]) != list(theirs["config"]):
        wrong.append(f"config: {list(ours['config'])} and {list(theirs['config'])}")
    for task, config in theirs["configs"].items():
        mine = {k: v for k, v in ours["configs"][task].items() if k not in DATA_KEYS}
        his = {k: v for k, v in config.items() if k not in DATA_KEYS}
        if names(mine) != names(his):
            wrong.append(f"configs of {task}: {list(mine)} and {list(his)}")
    return wrong


# Keys of task files that say nothing about numbers: ours leave them out.
DATA_KEYS = {"tag", "doc_to_decontamination_query", "dataset_kwargs"}


def compare_task(name, ours, theirs):
    row = dict(documents=len({s["doc_id"] for s in theirs}), requests=0, prompts=0, hashes=0, ll=0.0, scaled=0.0, greedy=0, texts=0, metrics=0)
    if [(s["doc_id"], s["filter"]) for s in ours] != [(s["doc_id"], s["filter"]) for s in theirs]:
        print(f"{name}: other documents or filters")
        row["prompts"] = len(theirs)
        return row
    first_filter = theirs[0]["filter"]
    for mine, his in zip(ours, theirs):
        if list(mine) != list(his):
            row["hashes"] += 1
            print(f"{name} {his['doc_id']}: keys {list(mine)} and {list(his)}")
        for key in ("doc", "target", "doc_hash", "prompt_hash", "target_hash", "metrics"):
            if json.dumps(mine[key]) != json.dumps(his[key]):
                row["hashes"] += 1
                print(f"{name} {his['doc_id']}: {key}: {str(mine[key])[:300]!r} and {str(his[key])[:300]!r}")
        row["metrics"] += sum(not close(mine[m], his[m]) for m in his["metrics"])
        if his["filter"] != first_filter:
            continue
        row["requests"] += len(his["arguments"])
        if mine["arguments"] != his["arguments"]:
            row["prompts"] += 1
            print(f"{name} {his['doc_id']}: arguments differ: {json.dumps(mine['arguments'])[-300:]} and {json.dumps(his['arguments'])[-300:]}")
        answers = [pair for a, b in zip(mine["resps"], his["resps"], strict=True) for pair in zip(a, b, strict=True)]
        for a, b in answers:
            if isinstance(b, list):
                row["greedy"] += a[1] != b[1]
                a, b = a[0], b[0]
            elif "word_perplexity" not in his["metrics"]:
                row["texts"] += a != b
                continue
            a, b = float(a), float(b)
            row["ll"] = max(row["ll"], abs(a - b))
            row["scaled"] = max(row["scaled"], abs(a - b) / max(100, abs(b)))  # ten thousand tokens add up ten thousand roundings
    return row


def compare_aggregates(name, ours, theirs):
    worst = {"value": 0.0, "stderr": 0.0}
    for key, value in theirs["results"][name].items():
        if "," not in key:
            continue
        kind, found = ("stderr" if "_stderr" in key else "value"), ours["results"][name][key]
        if isinstance(value, str) or isinstance(found, str):
            worst[kind] = max(worst[kind], 0.0 if value == found else float("inf"))
        else:
            worst[kind] = max(worst[kind], abs(found - value) / max(1, abs(value)))
    return worst


with tempfile.TemporaryDirectory() as temporary:
    keep = arguments.keep or temporary
    if arguments.template:  # the model with that template in its files
        copy = shutil.copytree(arguments.model, f"{temporary}/model")
        config = json.load(open(f"{copy}/tokenizer_config.json", encoding="utf-8"))
        config["chat_template"] = open(arguments.template, encoding="utf-8").read()
        os.chmod(copy, 0o755)
        os.chmod(f"{copy}/tokenizer_config.json", 0o644)
        json.dump(config, open(f"{copy}/tokenizer_config.json", "w", encoding="utf-8"))
        arguments.model = copy
    for part in ("ours", "theirs"):
        os.makedirs(f"{keep}/{part}", exist_ok=True)
    started = time.monotonic()
    run_theirs(f"{keep}/theirs")
    theirs_took = time.monotonic() - started
    samples, = {file.parent for file in pathlib.Path(f"{keep}/theirs").glob("*/samples_*.jsonl")}
    started = time.monotonic()
    run_ours(f"{keep}/ours", f"replay:{samples}" if arguments.made_up_answers else arguments.model)
    ours_took = time.monotonic() - started
    (our_results, our_samples), (their_results, their_samples) = load(f"{keep}/ours"), load(f"{keep}/theirs")
failed = compare_results(our_results, their_results)
for line in failed:
    print(line)
print("| task | shots | documents | requests | other prompts | other hashes or keys | largest ll difference | to its size, at least 100 | other greedy flags |"
      " other texts | other metrics of documents | aggregates differ by | stderrs differ by |")
print("|" + "---|" * 13)
bad = len(failed) > 0
for task in sorted(their_samples):
    row, worst = compare_task(task, our_samples[task], their_samples[task]), compare_aggregates(task, our_results, their_results)
    print(f"| {task} | {their_results['n-shot'][task]} | {row['documents']} | {row['requests']} | {row['prompts']} | {row['hashes']} |"
          f" {row['ll']:.2g} | {row['scaled']:.2g} | {row['greedy']} | {row['texts']} | {row['metrics']} | {worst['value']:.2g} | {worst['stderr']:.2g} |")
    bad |= any(row[k] for k in ("prompts", "hashes", "greedy", "texts", "metrics")) or row["scaled"] > 1e-6 or max(worst.values()) > 1e-4
for group in their_results.get("groups", {}):
    worst = compare_aggregates(group, our_results, their_results)
    print(f"| {group} (group) | | | | | | | | | | | {worst['value']:.2g} | {worst['stderr']:.2g} |")
    bad |= max(worst.values()) > 1e-4
print(f"lm-eval took {theirs_took:.1f} s, zeval {ours_took:.1f} s")
sys.exit(bad)
