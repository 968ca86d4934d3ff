"""Makes tests/fixtures/lm_eval_files/out: the results and samples files and the tables that lm-evaluation-harness (4e7e0d4) itself writes for
the tasks and data beside them, run on a small checkpoint; and on answers made up its samples of a task whose texts are drawn
several times (tests/fixtures/lm_eval_repeats/out), and of columns and settings that few tasks have (.../lm_eval_odd/out).

    PYTHONPATH=LM_EVAL_CHECKOUT python3 tests/oracle/make_lm_eval_files.py ZEVAL MODEL_FOLDER

It goes through live_lm_eval.py, which also compares them with what zeval writes for the same run. What describes the machine
is taken out.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from lm_eval.utils import make_table

zeval, model = sys.argv[1:]
here = pathlib.Path(__file__).parent
fixture = here.parent / "fixtures/lm_eval_files"


def write_tables(folder, results):
    """What lm-eval prints in the end."""
    tables = [make_table(results)] + ([make_table(results, "groups")] if "groups" in results else [])
    (folder / "tables.md").write_text("\n".join(tables), encoding="utf-8")


with tempfile.TemporaryDirectory() as folder:
    done = subprocess.run(
        [sys.executable, here / "live_lm_eval.py", "--zeval", zeval, "--model", model, "--data", fixture / "data", "--include-path",
         fixture / "tasks", "--tasks", "endings,world,pages", "--keep", folder])
    shutil.rmtree(fixture / "out", ignore_errors=True)
    (fixture / "out").mkdir()
    for file in pathlib.Path(folder).glob("theirs/*/*"):
        if file.suffix == ".jsonl":
            shutil.copy(file, fixture / "out" / (file.name.rsplit("_", 1)[0] + "_TIME.jsonl"))
            continue
        results = json.load(open(file, encoding="utf-8"))
        write_tables(fixture / "out", results)
        for key in ("pretty_env_info", "date", "total_evaluation_time_seconds"):
            results[key] = None
        results["config"]["model_args"] = results["model_name"] = results["model_name_sanitized"] = "model"
        for config in results["configs"].values():
            config["metadata"] = {k: "model" if k in ("pretrained", "config_source") else v for k, v in config["metadata"].items()}
        text = json.dumps(results, indent=2, ensure_ascii=False)
        (fixture / "out/results.json").write_text(text + "\n", encoding="utf-8")


def make(name, tasks):
    """The samples of tasks on made-up answers."""
    fixture = here.parent / "fixtures" / name
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(
            [sys.executable, here / "live_lm_eval.py", "--zeval", zeval, "--model", model, "--data", fixture / "data", "--include-path",
             fixture / "tasks", "--tasks", tasks, "--made-up-answers", "--keep", folder])
        (fixture / "out").mkdir(exist_ok=True)
        for file in pathlib.Path(folder).glob("theirs/*/samples_*"):
            shutil.copy(file, fixture / "out" / (file.name.rsplit("_", 1)[0] + "_TIME.jsonl"))
        if name == "lm_eval_odd":
            results, = pathlib.Path(folder).glob("theirs/*/results_*")
            results = json.load(open(results, encoding="utf-8"))
            write_tables(fixture / "out", results)
            for config in results["configs"].values():
                config["metadata"] = {k: "model" if k in ("pretrained", "config_source") else v for k, v in config["metadata"].items()}
            rows = {key: results[key] for key in ("results", "groups", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better")}
            (fixture / "out/results.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return made.returncode


failed = make("lm_eval_repeats", "votes") | make("lm_eval_odd", "collection,whole,twice")
sys.exit(done.returncode or failed)
