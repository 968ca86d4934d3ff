#!/bin/bash
# Kills runs at random moments and resumes them until one gets through, again and again.
#
#     tests/stress/kill_resume.sh [KILLS] [SEED]      default: 1000 kills; $ZEVAL is the program (build/zeval)
#
# The tasks are multiple choice, texts scored in windows, and texts to be generated; every other time two processes work
# on the run at once, and both are killed. After every kill, each response that was in the database is still there with
# the same bits, and no request has two. Whenever a run gets through, the responses and the reports (but for what the
# run cost, which no two runs have in common) are those of a run that was never killed, to the byte. Needs python3 for
# looking into the database. tests/cli/test_crash.c is the short form that every test run has.
set -eu
kills=${1:-1000}
RANDOM=${2:-1}
zeval=${ZEVAL:-build/zeval}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export ZEVAL_CACHE=$folder/cache

mkdir -p "$folder/tasks" "$folder/data/a/stories/default"
cat >"$folder/tasks/rolling.yaml" <<'END'
task: rolling
dataset_path: a/stories
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: text
metric_list:
  - metric: word_perplexity
END
cat >"$folder/tasks/goes_on.yaml" <<'END'
task: goes_on
dataset_path: a/stories
test_split: test
output_type: generate_until
doc_to_text: "{{text}} Anna"
doc_to_target: text
generation_kwargs:
  until: ["Tom", "\n"]
  max_gen_toks: 24
metric_list:
  - metric: exact_match
END
python3 - >"$folder/data/a/stories/default/test.jsonl" <<'END'
import json, random
draw = random.Random(1)
for _ in range(60):
    text = " ".join("%s put the %s in the %s." % (draw.choice(["Anna", "Tom", "Jack"]),
                    draw.choice(["ball", "cup", "kite"]), draw.choice(["box", "bag"])) for _ in range(draw.randrange(1, 12)))
    print(json.dumps({"text": text}))
END

run() { # run DB
    exec "$zeval" run --model demo --tasks demo,rolling,goes_on --limit 60 --data "$folder/data" \
        --include-path "$folder/tasks" --max-length 64 --batch-tokens 300 --threads 1 --quiet --db "$1" >/dev/null
}

responses() { # responses DB: one line for each, sorted
    python3 - "$1" <<'END'
import sqlite3, sys
try:
    rows = sqlite3.connect(sys.argv[1]).execute(
        "SELECT hex(key), quote(loglikelihood), quote(is_greedy), quote(text) FROM responses").fetchall()
except sqlite3.OperationalError:  # killed before the tables were there
    rows = []
assert len({row[0] for row in rows}) == len(rows), "a key has two responses"
print("".join(sorted("%s %s %s %s\n" % row for row in rows)), end="")
END
}

reports() { # reports DB NAME
    python3 - "$1" <<'END'
import sqlite3, sys
assert sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM runs").fetchone() == (1,), "more than one run"
END
    for format in markdown html json; do
        "$zeval" report --db "$1" --no-cost --format $format >"$folder/$2.$format"
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

milliseconds() {
    echo $(($(date +%s%N) / 1000000))
}

began=$(milliseconds)
(run "$folder/whole.db")
length=$(($(milliseconds) - began))
reports "$folder/whole.db" whole
echo "a whole run takes $length ms"

killed=0 through=0 said=0
: >"$folder/before"
while [ $killed -lt "$kills" ]; do
    (run "$folder/killed.db") &
    child=$! second=
    if [ $((RANDOM % 2)) = 0 ]; then
        (run "$folder/killed.db") &
        second=$!
    fi
    # From the first milliseconds to as long as a whole run takes.
    after=$((RANDOM * length / 32768))
    sleep "$((after / 1000)).$(printf '%03d' $((after % 1000)))"
    kill -KILL $child $second 2>/dev/null || true
    status=0
    wait $child 2>/dev/null || status=$?
    if [ -n "$second" ]; then
        second_status=0
        wait $second 2>/dev/null || second_status=$?
        [ $second_status = 137 ] && killed=$((killed + 1))
        # One of the two may have got through before it could be killed.
        if [ $second_status = 0 ]; then status=0; fi
    fi
    responses "$folder/killed.db" >"$folder/after"
    lost=$(LC_ALL=C comm -23 "$folder/before" "$folder/after" | wc -l)
    if [ "$lost" != 0 ]; then
        echo "after $killed kills: $lost responses are gone or changed" >&2
        exit 1
    fi
    mv "$folder/after" "$folder/before"
    case $status in
    137) killed=$((killed + 1)) ;;
    0) compare ;;
    *)
        echo "after $killed kills: a run ended with exit code $status" >&2
        exit 1
        ;;
    esac
    if [ $((killed / 50)) -gt $said ]; then
        said=$((killed / 50))
        echo "$killed kills so far, 0 lost, 0 doubled; $through runs got through; $(wc -l <"$folder/before") responses now"
    fi
done
if [ $through = 0 ]; then
    (run "$folder/killed.db")
    compare
fi
echo "$killed kills: no response lost, none doubled; $through runs got through, each with the same reports and responses"
