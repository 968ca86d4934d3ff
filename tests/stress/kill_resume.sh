#!/bin/bash
# Kills runs at random moments and resumes them until one gets through, again and again.
#
#     tests/stress/kill_resume.sh [KILLS] [SEED]      default: 1000 kills; $ZEVAL is the program (build/zeval)
#
# After every kill, each response that was in the database is still there with the same bits. Whenever a run gets
# through, the responses and the reports are those of a run that was never killed, to the byte. Needs python3 for
# looking into the database. tests/cli/test_crash.c is the short form that every test run has.
set -eu
kills=${1:-1000}
RANDOM=${2:-1}
zeval=${ZEVAL:-build/zeval}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export ZEVAL_CACHE=$folder/cache

run() { # run DB
    exec "$zeval" run --model demo --tasks demo --batch-tokens 300 --threads 1 --quiet --db "$1" >/dev/null
}

responses() { # responses DB: one line for each, sorted
    python3 - "$1" <<'END'
import sqlite3, sys
try:
    rows = sqlite3.connect(sys.argv[1]).execute(
        "SELECT hex(key), quote(loglikelihood), is_greedy FROM responses").fetchall()
except sqlite3.OperationalError:  # killed before the tables were there
    rows = []
print("".join(sorted("%s %s %s\n" % row for row in rows)), end="")
END
}

reports() { # reports DB NAME
    for format in markdown html json; do
        "$zeval" report --db "$1" --format $format >"$folder/$2.$format"
    done
    responses "$1" >"$folder/$2.responses"
}

compare() { # the database of a run that got through
    reports "$folder/killed.db" killed
    for format in markdown html json responses; do
        cmp "$folder/whole.$format" "$folder/killed.$format"
    done
    rm -f "$folder"/killed.db*
    : >"$folder/before"
    through=$((through + 1))
}

(run "$folder/whole.db")
reports "$folder/whole.db" whole

killed=0 through=0
: >"$folder/before"
while [ $killed -lt "$kills" ]; do
    (run "$folder/killed.db") &
    child=$!
    # From the first milliseconds to about as long as a whole run takes.
    sleep "0.$(printf '%03d' $((RANDOM % 700)))"
    kill -KILL $child 2>/dev/null || true
    status=0
    wait $child 2>/dev/null || status=$?
    responses "$folder/killed.db" >"$folder/after"
    lost=$(LC_ALL=C comm -23 "$folder/before" "$folder/after" | wc -l)
    if [ "$lost" != 0 ]; then
        echo "kill $killed: $lost committed responses are gone or changed"
        exit 1
    fi
    cp "$folder/after" "$folder/before"
    if [ $status = 0 ]; then
        compare
    elif [ $status = 137 ]; then
        killed=$((killed + 1))
    else
        echo "the run ended with exit code $status"
        exit 1
    fi
done
(run "$folder/killed.db")
compare
echo "$killed kills, $through runs got through, each report the same to the byte"
