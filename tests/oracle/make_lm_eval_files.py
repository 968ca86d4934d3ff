"""Makes tests/fixtures/lm_eval_files/out: the results and samples files that lm-evaluation-harness (4e7e0d4) itself writes for
the tasks and data beside them, run on a small checkpoint; and tests/fixtures/lm_eval_repeats/out, its samples of a task whose
texts are drawn several times, made up so that the draws differ.

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

zeval, model = sys.argv[1:]
here = pathlib.Path(__file__).parent
fixture = here.parent / "fixtures/lm_eval_files"
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
        for key in ("pretty_env_info", "date", "total_evaluation_time_seconds"):
            results[key] = None
        results["config"]["model_args"] = results["model_name"] = results["model_name_sanitized"] = "model"
        for config in results["configs"].values():
            config["metadata"] = {k: "model" if k in ("pretrained", "config_source") else v for k, v in config["metadata"].items()}
        text = json.dumps(results, indent=2, ensure_ascii=False)
        (fixture / "out/results.json").write_text(text + "\n", encoding="utf-8")
fixture = here.parent / "fixtures/lm_eval_repeats"
with tempfile.TemporaryDirectory() as folder:
    drawn = subprocess.run(
        [sys.executable, here / "live_lm_eval.py", "--zeval", zeval, "--model", model, "--data", fixture / "data", "--include-path",
         fixture / "tasks", "--tasks", "votes", "--made-up-answers", "--keep", folder])
    (fixture / "out").mkdir(exist_ok=True)
    shutil.copy(next(pathlib.Path(folder).glob("theirs/*/samples_votes_*")), fixture / "out/samples_votes_TIME.jsonl")
sys.exit(done.returncode or drawn.returncode)
