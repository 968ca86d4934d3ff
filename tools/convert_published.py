#!/usr/bin/env python3
"""Turns a list of published results (JSON records) into the tables under reports/published/.

    tools/convert_published.py published_results.json reports/published

Every record is one printed value: paper, paper_version, table, model, hf_repo, task, metric, num_fewshot, value (as
printed), kv_cache_pct, train_tokens, teacher, params, note, source. One file per paper comes out, in the format that
docs/REPORTS.md describes. What the records do not say is kept here: headings, which task and metric of ours a column
means, the layers and ranks behind KV-cache sizes, and the slips known in the sources.
"""
import collections
import json
import os
import re
import sys

HEADINGS = {
    "arc_challenge": "ARC", "arc_easy": "ARE", "hellaswag": "HS", "mmlu": "MM", "openbookqa": "OB", "piqa": "PI",
    "race": "RA", "winogrande": "WG", "pubmedqa": "PM", "truthfulqa": "TQ", "truthfulqa_mc2": "TQ", "gsm8k": "GSM",
    "gsm8k_zeroeval": "GSM", "crux_zeroeval": "CRUX", "average": "Avg", "average8": "Avg",
    "commonsense7_average": "Avg", "xlsum_en_20pct": "XL-Sum", "mbpp": "MBPP", "humaneval_n20": "HumanEval",
    "mt_bench": "MT-Bench", "alpaca_eval_2": "AlpacaEval 2", "gpqa_main": "GPQA", "gpqa_diamond": "GPQA-D",
}
COMMON = ["arc_challenge", "arc_easy", "hellaswag", "mmlu", "openbookqa", "piqa", "race", "winogrande", "pubmedqa"]
NORMALISED = {"arc_challenge", "hellaswag", "openbookqa"}

# Layers with a key-value cache, layers, values cached per such layer and token, the same of the base model's layers.
FORMULAS = {
    "amd/Zebra-Llama-1B-8MLA-8Mamba-DPO": (8, 16, 160, 1024),
    "amd/Zebra-Llama-1B-4MLA-12Mamba-DPO": (4, 16, 160, 1024),
    "amd/Zebra-Llama-3B-14MLA-14Mamba-DPO": (14, 28, 192, 2048),
    "amd/Zebra-Llama-3B-6MLA-22Mamba-DPO": (6, 28, 192, 2048),
    "amd/Zebra-Llama-8B-16MLA-16Mamba-DPO": (16, 32, 224, 2048),
    "amd/Zebra-Llama-8B-8MLA-24Mamba-DPO": (8, 32, 224, 2048),
    "Zebra-Llama-1B, 6MLA-10M2": (6, 16, 160, 1024),
    "Zebra-Llama-3B, 8MLA-20M2": (8, 28, 192, 2048),
    "meta-llama/Llama-3.2-1B-Instruct": (16, 16, 1024, 1024),
    "meta-llama/Llama-3.2-3B-Instruct": (28, 28, 2048, 2048),
    "meta-llama/Llama-3.1-8B-Instruct": (32, 32, 2048, 2048),
    "nvidia/Minitron-8B-Base": (32, 32, 2048, 2048),
    "cartesia-ai/Llamba-1B": (0, 16, 0, 1024),
    "cartesia-ai/Llamba-3B": (0, 28, 0, 2048),
    "cartesia-ai/Llamba-8B": (0, 32, 0, 2048),
    "JunxiongWang/Llama3.2-Mamba2-3B-dpo": (14, 28, 2048, 2048),
    "JunxiongWang/Llama3.1-Mamba2-8B-dpo": (16, 32, 2048, 2048),
    "JunxiongWang/Mamba2InLlama_0_50": (16, 32, 2048, 2048),
    "JunxiongWang/Mamba2InLlama_0_75": (8, 32, 2048, 2048),
    "JunxiongWang/Mamba2InLlama_0_875": (4, 32, 2048, 2048),
    "JunxiongWang/Mamba2InLlama_1": (0, 32, 0, 2048),
    "X-EcoMLA-1B (r_kv=64)": (16, 16, 96, 1024),
    "amd/X-EcoMLA-3B3B-fixed-kv816-DPO": (28, 28, 880, 2048),
    "X-EcoMLA-3B (r_kv=128)*": (28, 28, 192, 2048),
    "X-EcoMLA-8B (r_kv=128)*": (32, 32, 192, 2048),
    "X-EcoMLA-8B (128)*": (32, 32, 192, 2048),
}
# How a paper's scores were made, as far as it or its code says: lm-eval profile, data type, longest request. The three
# share one evaluation script, which installs lm-evaluation-harness c9bbec6 and sets the other two.
RECIPES = {paper: ("v0.4.0", "bfloat16", "2048") for paper in ("Zebra-Llama", "X-EcoMLA", "MambaInLlama")}

XECO_RANK = re.compile(r"Llama3\.2-1B ↑X-EcoMLA.*r_kv=(\d+)")

# (paper, table, part of the row's model, what: a task, "kv" or "row", with "?VALUE" only where that is printed, text).
SLIPS = [
    ("Zebra-Llama", "Table 1 (zero-shot)", "Zebra-Llama-8B, 8MLA-24M2", "hellaswag",
     "printed 78.4; the repository's README has 78.6, which gives the printed mean 64.12"),
    ("Zebra-Llama", "Table 1 (zero-shot)", "Minitron-8B", "kv",
     "66.67 assumes head_dim = hidden/heads; the released configuration caches per token what Llama-3.1-8B does, 100 %"),
    ("Zebra-Llama", "Table 2 (few-shot, 8B)", "Minitron", "kv",
     "66.7 assumes head_dim = hidden/heads; the released configuration caches per token what Llama-3.1-8B does, 100 %"),
    ("Zebra-Llama", "Table 2 (few-shot, 8B)", "Minitron", "arc_challenge",
     "this row differs from Minitron's own paper: 52.6 / 80.7 / 63.8 / 79.0 / 42.6 (ARC, HS, MM, WG, TQ)"),
    ("Zebra-Llama", "Table 6 (Qwen)", "1.5B", "kv?6.25", "the table prints 6.25 %, the text says 12.5 %"),
    ("Zebra-Llama", "Table 13 (few-shot, 3B)", "8MLA-20M2", "kv?2.86", "2.68 by formula and in Table 1"),
    ("Zebra-Llama", "Table 12 (few-shot, 1B)", "8MLA-8M2", "kv?7.8", "7.8125 by formula; Table 1 prints 7.81"),
    ("X-EcoMLA", "Table 9 (vs H2O, Llama3.2-1B)", "", "kv?6.25", "r_kv=48 is 7.81 % by formula and in Table 2"),
    ("X-EcoMLA", "Table 11 (SFT rows of Table 2)", "r_kv=48", "kv", "r_kv=48 is 7.81 % by formula and in Table 2"),
    ("X-EcoMLA", "Table 2 (KV size x teacher)", "r_kv=64", "average?52.47",
     "52.47 here, 52.68 in the repository's README and Table 11; Zebra-Llama's mean of 8, 52.01, comes from the latter"),
    ("X-EcoMLA", "Table 1 (self-distillation)", "", "average?52.85",
     "52.85 in Table 1, 52.77 in Tables 10 and 11"),
    ("MambaInLlama", "Table 4 (few-shot + ZeroEval)", "Mamba2-Llama3 (0%)", "mmlu",
     "44.21 here, 43.19 in the repository"),
    ("Zebra-Llama", "Table 8 (architecture)", "1B, 8MLA8M2", "row", "seven MLA indices are printed, 6 is missing"),
    ("Zebra-Llama", "Table 8 (architecture)", "3B, 8MLA20M2", "row",
     "the printed layers break the gap rule; the repository has 0,3,7,10,14,18,22,26"),
]
# Cells whose numbers are of another metric than their column's.
OTHER_METRICS = [("Zebra-Llama", "Table 1 (zero-shot)", "MambaInLlama-3B-50%", {"arc_easy": "acc", "piqa": "acc"}),
                 ("Zebra-Llama", "Table 1 (zero-shot)", "MambaInLlama-8B-50%", {"arc_easy": "acc", "piqa": "acc"})]
INFERRED = "metric names inferred (acc_norm for ARC/HS/OBQA; ARC-Easy acc_norm), see paper_facts.md (a)"
INFERRED_TEXT = "metric names are inferred: acc_norm for ARC, ARE, HS and OB, acc for MM, RA and WG"


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def table_key(title):
    match = re.fullmatch(r"Table (\d+)( left| right| top| bottom)?( \(.*\))?", title)
    return slug(match.group(1) + (match.group(2) or "")) if match else slug(title)


def our_counterpart(task, metric):
    """The task and metric of lm-evaluation-harness that a column means; "" if none or unknown."""
    if task in ("truthfulqa", "truthfulqa_mc2"):
        return ("truthfulqa_mc2", "acc") if metric.startswith("mc2") else ("", "")
    if task not in COMMON:
        return "", ""
    if metric.startswith("metric not seen"):
        return task, "acc_norm" if task in NORMALISED else "acc"
    word = metric.split()[0]
    return (task, word) if word in ("acc", "acc_norm") else ("", "")


def number(text):
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def short_column_names(columns):
    names = [HEADINGS.get(task, task) for task, _, _ in columns]
    for i, (task, metric, shots) in enumerate(columns):
        if len({t for t, _, _ in columns}) == 1 and len(columns) > 1:
            names[i] = metric
        elif [HEADINGS.get(t, t) for t, _, _ in columns].count(names[i]) > 1:
            names[i] += f" {metric}" if len({m for t, m, _ in columns if t == task}) > 1 else f" {shots}-shot"
    return names


def mean_members(columns, rows):
    """The columns that a column of means is over: all other scores, if that is what recomputes."""
    means = [i for i, (task, metric, _) in enumerate(columns) if task == "average" and metric.startswith("mean")]
    if len(means) != 1:
        return None
    members = [i for i in range(len(columns)) if i != means[0]]
    agree = total = 0
    for row in rows:
        numbers = [number(row["values"].get(columns[i], "")) for i in members]
        printed = number(row["values"].get(columns[means[0]], ""))
        if None in numbers or printed is None or not members:
            continue
        total += 1
        agree += abs(sum(numbers) / len(numbers) - printed) <= 0.06
    return (means[0], members) if total and agree >= 0.8 * total else None


def clean_note(note):
    return (note or "").replace(INFERRED, "").lstrip("; ").strip()


def formula_of(model, repo):
    match = XECO_RANK.match(model)
    if match and "layers" not in model:
        return (16, 16, int(match.group(1)) + (64 if "d_qk=64" in model else 32), 1024)
    return FORMULAS.get(repo) or FORMULAS.get(model)


def build_rows(records):
    rows = collections.OrderedDict()
    for record in records:
        key = tuple(record[k] or "" for k in
                    ("model", "hf_repo", "kv_cache_pct", "train_tokens", "teacher", "params", "source"))
        row = rows.setdefault(key, {"values": {}, "notes": collections.OrderedDict()})
        column = (record["task"], record["metric"], record["num_fewshot"])
        if column in row["values"]:
            raise SystemExit(f"two values of {column} in {key}")
        row["values"][column] = record["value"]
        note = clean_note(record["note"])
        if note:
            row["notes"].setdefault(note, []).append(column)
    return [dict(row, identity=key) for key, row in rows.items()]


def write_slips(out, paper, title, row, columns):
    model, _, kv = row["identity"][:3]
    for slip_paper, slip_table, part, where, text in SLIPS:
        if (slip_paper, slip_table) != (paper, title) or part not in model:
            continue
        where, _, printed = where.partition("?")
        if where in ("kv", "row"):
            if not kv.startswith(printed):
                continue
            out.append(["slip", where, text])
            continue
        index = next((i for i, c in enumerate(columns) if c[0] == where and c in row["values"]), None)
        if index is not None and row["values"][columns[index]].startswith(printed):
            out.append(["slip", str(index + 1), text])


def write_row(out, paper, title, row, columns, shared_note):
    model, repo, kv, tokens, teacher, params, _ = row["identity"]
    out.append(["row", model, repo, kv, tokens, teacher, params] + [row["values"].get(c, "") for c in columns])
    formula = formula_of(model, repo)
    if formula and kv:
        out.append(["formula"] + [str(n) for n in formula])
    for other_paper, other_title, other_model, metrics in OTHER_METRICS:
        if (other_paper, other_title, other_model) == (paper, title, model):
            out += [["metric", str(i + 1), metrics[c[0]]] for i, c in enumerate(columns) if c[0] in metrics]
    for note, where in row["notes"].items():
        if note == shared_note:
            continue
        indices = [columns.index(c) + 1 for c in where]
        whole = len(indices) == len(row["values"])
        out.append(["note", "row" if whole else ",".join(map(str, indices)), note])
    write_slips(out, paper, title, row, columns)


def size_of(row):
    match = re.search(r"(?<![\d.])(\d+)B(?![a-z])", row["identity"][0])
    return match.group(1) if match else ""


def table_lines(paper, title, records):
    columns = list(collections.OrderedDict.fromkeys((r["task"], r["metric"], r["num_fewshot"]) for r in records))
    rows = build_rows(records)
    versions = {r["paper_version"] for r in records}
    if len(versions) != 1:
        raise SystemExit(f"{paper} {title}: {versions}")
    out = [["table", table_key(title), title], ["version", versions.pop()]]
    if all(INFERRED in (r["note"] or "") for r in records):
        out.append(["about", INFERRED_TEXT])
    notes = [clean_note(r["note"]) for r in records]
    shared = notes[0] if notes[0] and len(set(notes)) == 1 else None
    if shared:
        out.append(["about", shared])
    for (task, metric, shots), heading in zip(columns, short_column_names(columns)):
        our_task, our_metric = our_counterpart(task, metric)
        out.append(["column", heading, task, metric, "" if shots is None else str(shots), our_task, our_metric])
    mean = mean_members(columns, rows)
    if mean:
        out.append(["mean", str(mean[0] + 1), ",".join(str(i + 1) for i in mean[1])])
    source, size = None, None
    for row in rows:
        if row["identity"][6] != source:
            source = row["identity"][6]
            out.append(["source", source])
        if paper == "Zebra-Llama" and title == "Table 1 (zero-shot)" and size is not None and size_of(row) != size:
            out.append(["rule"])
        size = size_of(row)
        write_row(out, paper, title, row, columns, shared)
    return out


def main():
    records = json.load(open(sys.argv[1], encoding="utf-8"))
    tables = collections.OrderedDict()
    for record in records:
        tables.setdefault(record["paper"], collections.OrderedDict()).setdefault(record["table"], []).append(record)
    os.makedirs(sys.argv[2], exist_ok=True)
    for paper, of_paper in tables.items():
        lines = [["paper", slug(paper), paper]]
        if paper in RECIPES:
            lines.append(["recipe", *RECIPES[paper]])
        for title, of_table in of_paper.items():
            lines += table_lines(paper, title, of_table)
        with open(os.path.join(sys.argv[2], slug(paper) + ".tsv"), "w", encoding="utf-8") as file:
            for fields in lines:
                if any("\t" in f or "\n" in f for f in fields):
                    raise SystemExit(f"a tab in {fields}")
                file.write("\t".join(fields).rstrip("\t") + "\n")


if __name__ == "__main__":
    main()
