#!/usr/bin/env bash
# segagent merge: the parts of a run become one, and its refusals. The parts are written here, as finished runs are.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/runs
mkdir -p "$T"

# part DIR INDEX COUNT FIRST END: rows FIRST..END-1 of 10; row 4 is in quarantine.
part() {
    mkdir -p "$T/$1"
    : >"$T/$1/results.jsonl"
    : >"$T/$1/quarantine.jsonl"
    for ((i = $4; i < $5; i++)); do
        if [ "$i" -eq 4 ]; then
            echo '{"id":"r4","file":"m:5","reason":"no text","hint":"write one"}' >>"$T/$1/quarantine.jsonl"
        else
            echo "{\"id\":\"r$i\",\"score\":0.$i}" >>"$T/$1/results.jsonl"
        fi
    done
    echo "{\"version\":\"1\",\"config\":{\"steps\":7},\"rows\":10,\"shard\":{\"index\":$2,\"count\":$3},\"status\":\"done\",\
\"counters\":{\"items\":$(($5 - $4))}}" >"$T/$1/run.json"
}

works merge --help
says 'Example:'
part a 0 3 0 3
part b 1 3 3 6
part c 2 3 6 10

works merge "$T/c" "$T/a" "$T/b" --output "$T/whole" --json
says '"rows":10,"results":9,"quarantined":1,"duplicates":0,"missing":0'
check "rows in the order of the input" [ "$(grep -o 'r[0-9]' "$T/whole/results.jsonl" | tr -d '\n')" = r0r1r2r3r5r6r7r8r9 ]
check "quarantine" cmp "$T/b/quarantine.jsonl" "$T/whole/quarantine.jsonl"
check "run.json" python3 - "$T/whole/run.json" <<'PYTHON'
import json, sys
run = json.load(open(sys.argv[1]))
assert run["status"] == "done" and run["shard"] is None and run["counters"] == {"items": 10}, run
assert len(run["merged"]) == 3 and "missing" not in run
PYTHON

# ---- rows that are missing, and rows that are there twice ----
cp -r "$T/a" "$T/a2"
run merge "$T/a" "$T/a2" "$T/c" --output "$T/partial"
check "exit code 1 for missing rows: $CODE" [ $CODE -eq 1 ]
says '^7 results, 0 in quarantine, of 10 rows'
check "they are named" grep -q '3 rows are missing: shard 1/3: 3 rows' "$SCRATCH/err"
check "so are duplicates" grep -q '3 rows were there more than once' "$SCRATCH/err"
check "status partial" grep -q '"status":"partial"' "$T/partial/run.json"

# ---- refusals ----
refuses 2 'merge' merge --output "$T/x"
refuses 2 'output: missing' merge "$T/a"
refuses 2 'is there already' merge "$T/a" "$T/b" "$T/c" --output "$T/whole"
refuses 2 'there is no run' merge "$T/a" "$T/nowhere" --output "$T/x"
sed -i 's/0\.1/0.7/' "$T/a2/results.jsonl"
refuses 2 '(a2?: the row of id "r1" has other bytes in .*a)' merge "$T/a" "$T/a2" --output "$T/x"
sed -i 's/"steps":7/"steps":8/' "$T/b/run.json"
refuses 2 'config.steps: 7 -> 8' merge "$T/a" "$T/b" --output "$T/x"
check "nothing was begun" [ ! -e "$T/x" ]

finish
