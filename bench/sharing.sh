#!/bin/bash
# What computing each distinct prefix once is worth, end to end: a whole zeval run, the same engine with every request
# fed alone, and lm-evaluation-harness with transformers, one after the other on the same requests.
#
#     bench/sharing.sh MODEL_FOLDER DATASETS_FOLDER TASK:SHOTS:LIMIT...      (LIMIT 0: every document)
#
# $ZEVAL is the program (build/zeval), $SHARING the benchmark (build/bench/eval_sharing), $THREADS 2 by default. $PYTHON has
# lm-eval (bench/lm_eval_time.py); where it is not set, that part is left out.
set -eu
here=$(dirname "$0")
model=$1 data=$2
shift 2
zeval=${ZEVAL:-build/zeval} sharing=${SHARING:-build/bench/eval_sharing} threads=${THREADS:-2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for work in "$@"; do
    IFS=: read -r task shots limit <<<"$work"
    only=()
    if [ "$limit" != 0 ]; then only=(--limit "$limit"); fi
    began=$(date +%s%N)
    "$zeval" run --model "$model" --tasks "$task" --num-fewshot "$shots" "${only[@]}" --data "$data" --max-length 1048576 \
        --threads "$threads" --db "$folder/$task.db" --quiet | grep -m1 -o 'acc  *|.*'
    echo "zeval run $work: $((($(date +%s%N) - began) / 1000000)) ms"
    "$sharing" "$model" "$task" "$data" "$shots" "$limit" "$threads"
done
if [ -n "${PYTHON:-}" ]; then "$PYTHON" "$here/lm_eval_time.py" "$model" "$data" "$threads" "$@" 2>/dev/null; fi
