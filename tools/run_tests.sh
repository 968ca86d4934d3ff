#!/bin/sh
# Runs the cmocka test programs named as arguments; closes with "N passed, N failed, N skipped" and fails if any did.
# A program that has not ended after TEST_SECONDS (900) is ended and counts as failed.
set -u
limit=${TEST_SECONDS:-900}
passed=0 failed=0 skipped=0 broken=''
for program in "$@"; do
    echo "== ${program##*/}"
    log=$(mktemp)
    timeout -k 10 "$limit" "$program" >"$log" 2>&1
    status=$?
    [ $status -eq 124 ] && echo "not ended after $limit s, in: $(grep '^\[ RUN      \]' "$log" | tail -n 1)"
    grep -v '^\[ RUN      \]\|^\[       OK \]' "$log"
    # Each group closes with lines like "[  SKIPPED ] 2 test(s), listed below:".
    p=$(grep -c '^\[       OK \]' "$log")
    s=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test(s).*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s).*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    [ $status -ne 0 ] && [ "$f" -eq 0 ] && f=1
    [ $status -ne 0 ] || [ "$f" -gt 0 ] && broken="$broken ${program##*/}"
    passed=$((passed + p)); skipped=$((skipped + s)); failed=$((failed + f))
    rm -f "$log"
done
[ -n "$broken" ] && echo "failed programs:$broken"
echo "$passed passed, $failed failed, $skipped skipped"
[ -z "$broken" ]
