#!/usr/bin/env python3
"""Writes tests/fixtures/lm_eval/prompts_PROFILE.json: what lm-evaluation-harness itself builds from the invented rows
of tests/fixtures/lm_eval/rows.json, document by document, in every mode that the profile has.

    python3 tests/oracle/prompt_goldens.py CHECKOUT main|v0.4.0 [TASK MODE DOC]

CHECKOUT is a checkout of EleutherAI/lm-evaluation-harness at 4e7e0d4 (main) or c9bbec6 (v0.4.0); the environment is
that of live_lm_eval.py. With TASK MODE DOC the requests of one document are printed instead.

A document's entry is the first 16 hex digits of the SHA-256 over its requests: for each, the context, \\x1f, the
continuation or the generation_kwargs as JSON with sorted keys or nothing, \\x1e. Chat modes use the template
<B> <role>content</>... <GEN>, with the system instruction SYS; where the answer has begun, rendering stops with it.
"""
import copy
import hashlib
import json
import pathlib
import sys

checkout, profile = sys.argv[1:3]
show = sys.argv[3:]
sys.path.insert(0, checkout)

import datasets  # noqa: E402
import evaluate  # noqa: E402

evaluate.load = lambda *_, **__: None  # metrics that are fetched; none is computed here
datasets.load_metric = None

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures" / "lm_eval"
ROWS = json.loads((FIXTURES / "rows.json").read_text(encoding="utf-8"))
OLD_PATHS = {"hails/mmlu_no_train": "cais/mmlu", "super_glue": "aps/super_glue", "trivia_qa": "mandarjoshi/trivia_qa"}
TASKS = (
    "arc_easy arc_challenge arc_challenge_chat hellaswag mmlu_abstract_algebra mmlu_us_foreign_policy openbookqa piqa "
    "race winogrande pubmedqa truthfulqa_mc1 truthfulqa_mc2 gsm8k gsm8k_cot gsm8k_cot_llama boolq lambada_openai "
    "wikitext commonsense_qa sciq copa triviaqa nq_open"
).split()
SHOTS = (0, 1, 2, 3, 5)


def dataset(path, name):
    path = OLD_PATHS.get(path, path)
    for key, splits in ROWS.items():
        known, config = key.split("|")
        if known.split("/")[-1] == path.split("/")[-1] and config == str(name):
            return datasets.DatasetDict({k: datasets.Dataset.from_list(v) for k, v in splits.items()})
    raise KeyError(f"{path} {name}")


def download(self, *_, **__):
    self.dataset = dataset(self.DATASET_PATH, self.DATASET_NAME)


def chat(messages, add_generation_prompt=True):
    text = "<B>" + "".join(f"<{m['role']}>{m['content']}</>" for m in messages)
    return text + "<GEN>" if add_generation_prompt else text[: -len("</>")]


def open_main(name, shots):
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

    global manager
    ConfigurableTask.download = download
    manager = globals().get("manager") or TaskManager()
    if manager._entry(name) is None:
        return None
    task = manager.load(name)["tasks"][name]
    if task.config.num_fewshot != 0 and shots is not None:
        task.set_config("num_fewshot", shots)
    task.set_fewshot_seed(1234)
    return task


def open_v0_4_0(name, shots):
    import lm_eval.tasks as registry
    from lm_eval.api.task import ConfigurableTask

    ConfigurableTask.download = download
    if "arc_easy" not in registry.TASK_REGISTRY:
        registry.initialize_tasks("ERROR")
    if name not in registry.TASK_REGISTRY:
        return None
    task = registry.get_task_dict([name])[name]
    task._config = copy.copy(task._config)  # all objects of a task share one
    if task.config.num_fewshot != 0 and shots is not None:
        task._config["num_fewshot"] = shots
    return task


def documents(task, mode):
    """The requests of every document: (context, continuation or kwargs or nothing)."""
    if profile == "main":
        options = {"apply_chat_template": False}
        if mode.startswith("chat"):
            options = {"apply_chat_template": True, "chat_template": chat, "system_instruction": "SYS",
                       "fewshot_as_multiturn": mode.startswith("chat_multiturn")}
        elif mode.startswith("system"):
            options["system_instruction"] = "SYS"
        task.build_all_requests(rank=0, world_size=1, **options)
    else:
        task.build_all_requests(rank=0, world_size=1)
    found = {}
    for instance in task.instances:
        arguments = list(instance.arguments)
        second = arguments[1] if len(arguments) > 1 else ""
        if not isinstance(second, str):
            second = json.dumps(second, sort_keys=True, ensure_ascii=False)
        found.setdefault(instance.metadata[1] if isinstance(instance.metadata, tuple) else instance.doc_id, [])
        found[instance.doc_id].append((arguments[0], second))
    return [found[i] for i in sorted(found)]


def digest(requests):
    text = "".join(f"{context}\x1f{second}\x1e" for context, second in requests)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main():
    opened = open_main if profile == "main" else open_v0_4_0
    modes = [f"text_{n}shot" for n in SHOTS] + ["text_default"]
    if profile == "main":
        modes += ["system_1shot"] + [f"chat_{kind}_{n}shot" for kind in ("multiturn", "singleturn") for n in (0, 1, 3)]
        modes += ["chat_multiturn_default"]
    expected = {}
    for name in [show[0]] if show else TASKS:
        for mode in [show[1]] if show else modes:
            word = mode.rsplit("_", 1)[1]
            shots = None if word == "default" else int(word.removesuffix("shot"))
            task = opened(name, shots)
            if task is None:
                break
            try:
                found = documents(task, mode)
            except (ValueError, AssertionError) as error:  # more examples than there are
                print(f"{name} {mode}: {error}", file=sys.stderr)
                continue
            if show:
                for context, second in found[int(show[2])]:
                    print(repr(context), repr(second), sep="\n", end="\n\n")
                return
            expected.setdefault(name, {})[mode] = [digest(requests) for requests in found]
    path = FIXTURES / f"prompts_{profile.replace('.', '_')}.json"
    document = {"made_by": f"lm-evaluation-harness {profile}", "expected": expected}
    path.write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")
    print(path, {name: len(modes) for name, modes in expected.items()})


main()
