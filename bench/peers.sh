#!/bin/sh
# Prompt speed beside a peer's, taken in turns so that both meet the same moods of the machine.
#
#     bench/peers.sh LLAMA_BENCH MODEL.gguf MODEL_FOLDER TOKENS [ROUNDS [LLAMA_BENCH_OPTIONS...]]
#
# LLAMA_BENCH is llama.cpp's or ik_llama.cpp's llama-bench; both models have the same shape, bfloat16. Prints
# tokens a second of both per round (default 5), then the medians and the median of the rounds' ratios.
# BUILD (default build) says where build/bench/profile is.
set -eu
[ $# -ge 4 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
peer=$1 gguf=$2 folder=$3 tokens=$4 rounds=${5:-5}
shift 4
[ $# -eq 0 ] || shift
threads=${THREADS:-$(nproc)}
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
results=$(mktemp)
trap 'rm -f "$results"' EXIT
round=1
while [ "$round" -le "$rounds" ]; do
    theirs=$("$peer" -m "$gguf" -p "$tokens" -n 0 -r 1 -t "$threads" -o json "$@" 2>/dev/null |
        sed -n 's/.*"avg_ts": \([0-9.]*\).*/\1/p' | head -1)
    ours=$("${BUILD:-build}/bench/profile" "$folder" "$tokens" --dtype bfloat16 --threads "$threads" --runs 1 |
        sed -n '1s/.*: \([0-9.]*\) tokens\/s$/\1/p')
    echo "$theirs $ours" | awk '{ printf "%s %s %.4f\n", $1, $2, $2 / $1 }' >>"$results"
    tail -1 "$results" | awk -v n="$round" '{ printf "round %d: peer %.1f, zeval %.1f tokens/s: %.3f\n", n, $1, $2, $3 }'
    round=$((round + 1))
done
for column in 1 2 3; do
    awk -v c=$column '{ print $c }' "$results" | median
done | awk '{ v[NR] = $1 } END { printf "medians: peer %.1f, zeval %.1f tokens/s, ratio %.3f\n", v[1], v[2], v[3] }'
