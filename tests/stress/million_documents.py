#!/usr/bin/env python3
"""Makes a results database of a million documents and says how long questions to it take.

    tests/stress/million_documents.py build/zeval FOLDER [RUNS]        (about 1 GB and some minutes; 64 runs)

64 runs of 16 tasks with 1,000 documents each, two requests and two metrics a document. The texts are shared by all
runs, as they are when many models answer the same tasks. Only the standard library is needed."""
import hashlib
import os
import sqlite3
import subprocess
import sys
import time

TASKS, DOCUMENTS = 16, 1000
program, folder = sys.argv[1], sys.argv[2]
n_runs = int(sys.argv[3]) if len(sys.argv) > 3 else 64
path = os.path.join(folder, "million.db")


def fill():
    subprocess.run([program, "run", "--model", "demo", "--tasks", "demo_recall", "--limit", "1", "--quiet", "--db", path],
                   check=True, stdout=subprocess.DEVNULL)
    db = sqlite3.connect(path)
    db.create_function("sha256", 1, lambda text: hashlib.sha256(text.encode()).digest(), deterministic=True)
    db.executescript(f"""
        PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN;
        CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 16000) SELECT i FROM n;
        INSERT OR IGNORE INTO texts (sha256, text) SELECT sha256(t), t FROM
            (SELECT '{{"question": "question ' || i || '"}}' AS t FROM n WHERE i < {TASKS * DOCUMENTS}
             UNION ALL SELECT 'A prompt of some length, as prompts are, that ends with question ' || i FROM n
              WHERE i < {TASKS * DOCUMENTS}
             UNION ALL SELECT ' yes' UNION ALL SELECT ' no');
        INSERT INTO runs (run_id, fingerprint, model_name, dtype, backend, compat, finished_at, plan_requests)
            SELECT 100 + i, 'run ' || i, 'org/model-' || i, 'bfloat16', 'cpu', 'main', '2026-01-01T00:00:00Z',
            {2 * TASKS * DOCUMENTS} FROM n WHERE i < {n_runs};
        INSERT INTO tasks (task_id, run_id, name, alias, version, output_type, num_fewshot, n_documents, n_documents_total)
            SELECT 1000 + r.i * {TASKS} + t.i, 100 + r.i, printf('task_%02d', t.i), printf('task_%02d', t.i), '1',
            'multiple_choice', 0, {DOCUMENTS}, {DOCUMENTS} FROM n r, n t WHERE r.i < {n_runs} AND t.i < {TASKS};
        CREATE TEMP TABLE asked AS SELECT t.i AS task, d.i AS doc,
            (SELECT text_id FROM texts WHERE sha256 = sha256('{{"question": "question ' || (t.i * {DOCUMENTS} + d.i) || '"}}')) AS json,
            (SELECT text_id FROM texts WHERE sha256 =
             sha256('A prompt of some length, as prompts are, that ends with question ' || (t.i * {DOCUMENTS} + d.i))) AS prompt
            FROM n t, n d WHERE t.i < {TASKS} AND d.i < {DOCUMENTS};
        INSERT INTO documents (task_id, doc_id, json_id, gold) SELECT 1000 + r.i * {TASKS} + task, doc, json, doc % 2
            FROM n r, asked WHERE r.i < {n_runs};
        INSERT INTO requests (task_id, doc_id, idx, request_type, context_id, continuation_id, response_key,
             n_context_tokens, n_continuation_tokens, n_truncated)
            SELECT 1000 + r.i * {TASKS} + task, doc, c.i, 'loglikelihood', prompt,
            (SELECT text_id FROM texts WHERE sha256 = sha256(CASE c.i WHEN 0 THEN ' yes' ELSE ' no' END)),
            CAST(printf('%032d', ((r.i * {TASKS} + task) * {DOCUMENTS} + doc) * 2 + c.i) AS BLOB), 15, 1, doc % 100 = 0
            FROM n r, asked, n c WHERE r.i < {n_runs} AND c.i < 2;
        INSERT INTO responses (key, loglikelihood, is_greedy) SELECT response_key, -1.5 - (doc_id * 7 + idx * 3) % 5, 0
            FROM requests WHERE task_id >= 1000;
        INSERT INTO document_metrics (task_id, doc_id, metric, filter, value)
            SELECT task_id, doc_id, m.name, 'none', (doc_id * 7 + task_id * 3) % 5 < 3 FROM documents,
            (SELECT 'acc' AS name UNION ALL SELECT 'acc_norm') m WHERE task_id >= 1000;
        INSERT INTO results (run_id, name, metric, filter, value, stderr, n, higher_is_better, is_group)
            SELECT run_id, name, m.metric, 'none', 0.6, 0.0155, {DOCUMENTS}, 1, 0 FROM tasks,
            (SELECT 'acc' AS metric UNION ALL SELECT 'acc_norm') m WHERE run_id >= 100;
        COMMIT;""")
    db.close()


QUESTIONS = [
    "SELECT model, name, metric, value, stderr FROM v_results WHERE run_id = 120",
    "SELECT d.doc_id, d.gold, d.document FROM v_documents d JOIN v_metrics m USING (task_id, doc_id)"
    " WHERE d.run_id = 101 AND d.task = 'task_03' AND m.metric = 'acc' AND m.value = 0",
    "SELECT a.doc_id, a.value, b.value FROM v_metrics a JOIN v_metrics b USING (task, doc_id, metric, filter)"
    " WHERE a.run_id = 101 AND b.run_id = 102 AND task = 'task_05' AND metric = 'acc' AND a.value <> b.value",
    "SELECT task, count(*), max(n_truncated) FROM v_requests WHERE run_id = 101 AND n_truncated > 0 GROUP BY task",
    "SELECT idx, context || continuation, loglikelihood FROM v_requests WHERE run_id = 101 AND task = 'task_07' AND doc_id = 7",
]


def timed(what, call):
    start = time.monotonic()
    n = call()
    print(f"{1000 * (time.monotonic() - start):8.0f} ms  {n:>8}  {what}", flush=True)


def ask(*arguments):
    return len(subprocess.run([program, *arguments, "--db", path], check=True, capture_output=True).stdout)


if not os.path.exists(path):
    fill()
db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
print(f"{os.path.getsize(path) / 1e6:.0f} MB,", db.execute("SELECT count(*) FROM documents").fetchone()[0], "documents")
print("    time      rows  question")
for question in QUESTIONS:
    timed(question, lambda: len(db.execute(question).fetchall()))
print("    time     bytes  command")
for command in (["runs"], ["report", "--run", "101"], ["report", "--run", "101", "--json"], ["compare", "--runs", "101,102"],
                ["report", "--run", "101", "--format", "html"]):
    timed(" ".join(command), lambda: ask(*command))
