#!/usr/bin/env bash
# annotate --workers: the same bytes with 1, 2 and 3 of them, for every search, when workers are killed or stopped at
# seeded moments, when the parent is; and what is told when they cannot work.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/t
AGENT=weights_tools/tiny/agent
ITEMS=24
[ -n "${SEGAGENT_TEST_SHORT:-}" ] && ITEMS=16
mkdir "$T"
RANDOM=20261130 # bash's generator, seeded

same() { cmp "$1/results.jsonl" "$2/results.jsonl" && cmp_if "$1" "$2" quarantine.jsonl && cmp_if "$1" "$2" metrics.json; }
cmp_if() { if [ -e "$1/$3" ] || [ -e "$2/$3" ]; then cmp "$1/$3" "$2/$3"; fi; }
number() { python3 -c "import json,sys; print(json.load(open('$T/$1/run.json'))$2)"; }
arguments=(--agent $AGENT --input "$T/set/manifest.jsonl" --steps 2 --batch 2 --in-flight 3)
# annotate NAME OPTION...
annotate() { run annotate "${arguments[@]}" --output "$T/$1" "${@:2}"; }
# begin NAME OPTION...: in the background; $PARENT
begin() {
    "$SEGAGENT_BINARY" annotate "${arguments[@]}" --output "$T/$1" "${@:2}" >"$T/$1.out" 2>"$T/$1.err" </dev/null &
    PARENT=$!
}
workers_of() { pgrep -P "$1"; }

works synth --out "$T/set" --count $ITEMS --seed 3 --level steps --quiet
sed -i '5s|"images/[0-9]*.png"|"images/missing.png"|' "$T/set/manifest.jsonl" # one that is refused

# ---- any number of workers ----
annotate one
check "one process" [ $CODE -eq 1 ]
for workers in 2 3; do
    annotate many-$workers --workers $workers
    check "$workers workers" [ $CODE -eq 1 ]
    check "$workers workers: the same bytes" same "$T/one" "$T/many-$workers"
done
check "counters are added up" [ "$(number many-2 "['counters']['clicks']")" = "$(number one "['counters']['clicks']")" ]
check "workers are told" [ "$(number many-3 "['counters']['workers']['started']")" = 3 ]
annotate many-2 --workers 2
check "it is done already" grep -q 'everything is done already' "$SCRATCH/err"
for search in prm-greedy $([ -n "${SEGAGENT_TEST_SHORT:-}" ] || echo mcts); do
    annotate one-$search --search $search --candidates 2 --limit 8
    annotate two-$search --search $search --candidates 2 --limit 8 --workers 2
    check "$search: the same bytes" same "$T/one-$search" "$T/two-$search"
done
annotate null --workers 2 --device null --limit 8
check "a null device has workers, too" [ $CODE -eq 1 ]

# ---- workers that are killed ----
for kill in 1 $([ -n "${SEGAGENT_TEST_SHORT:-}" ] || echo 2 3 4); do
    begin killed-$kill --workers 2
    until_rows "$T/killed-$kill" $((RANDOM % 12)) $PARENT
    victim=$(workers_of $PARENT | sort -R --random-source=<(yes $kill) | head -1)
    [ -n "$victim" ] && kill -9 "$victim"
    wait $PARENT
    check "kill $kill: ends" [ $? -eq 1 ]
    check "kill $kill: the same bytes" same "$T/one" "$T/killed-$kill"
done
check "a death is told" grep -Eq 'worker [12] of 2 was ended by signal 9, with [0-9]+ rows' "$T"/killed-*.err

# ---- the input changes during the run: a worker that starts then is of no use, the others are ----
cp -r "$T/set" "$T/changing"
INPUT="$T/changing/manifest.jsonl"
"$SEGAGENT_BINARY" annotate --agent $AGENT --input "$INPUT" --steps 2 --batch 2 --in-flight 3 --output "$T/changed" \
    --workers 2 >"$T/changed.out" 2>"$T/changed.err" </dev/null &
PARENT=$!
until_rows "$T/changed" 2 $PARENT
head -1 "$INPUT" | sed 's/"id":"[^"]*"/"id":"one more"/' >>"$INPUT"
kill -9 "$(workers_of $PARENT | head -1)"
wait $PARENT
check "changed: ends" [ $? -eq 1 ]
check "changed: the bytes of what it was" cmp "$T/one/results.jsonl" "$T/changed/results.jsonl"
check "changed: it is told: $(head -c 300 "$T/changed.err")" grep -q 'is not what it was when the run began' "$T/changed.err"

# ---- a worker that hangs ----
begin stopped --workers 2 --worker-timeout 3
until_rows "$T/stopped" 4 $PARENT
kill -STOP "$(workers_of $PARENT | head -1)"
wait $PARENT
check "stopped: ends" [ $? -eq 1 ]
check "stopped: the same bytes" same "$T/one" "$T/stopped"
check "stopped: it is told" grep -q 'said nothing for 3 s' "$T/stopped.err"

# ---- the parent is killed: its workers end, and the run goes on ----
begin orphans --workers 2
until_rows "$T/orphans" 6 $PARENT
orphans=$(workers_of $PARENT)
kill -9 $PARENT
wait $PARENT 2>/dev/null
for _ in $(seq 200); do
    kill -0 $orphans 2>/dev/null || break
    sleep 0.05
done
check "there were orphans" [ -n "$orphans" ]
check "orphans end" bash -c "! kill -0 $(echo $orphans | tr '\n' ' ') 2>/dev/null"
annotate orphans --workers 2
check "orphans: goes on" [ $CODE -eq 1 ]
check "orphans: the same bytes" same "$T/one" "$T/orphans"

# ---- an interrupt ----
begin interrupted --workers 2
until_rows "$T/interrupted" 4 $PARENT
kill -INT $PARENT
wait $PARENT
check "interrupted: exit code 130" [ $? -eq 130 ]
annotate interrupted
check "interrupted: the same bytes, by one process" same "$T/one" "$T/interrupted"

# ---- refusals ----
refuses 2 'agent.json|cannot' annotate --agent "$T" --input "$T/set/manifest.jsonl" --output "$T/no" --workers 2
refuses 2 'lower device first' annotate "${arguments[@]}" --output "$T/no" --device cuda:3-1
refuses 3 'GPU|driver|CUDA' annotate "${arguments[@]}" --output "$T/no" --device cuda:0-1
check "a refused run leaves nothing" [ ! -e "$T/no" ]
cp -r $AGENT "$T/broken"
truncate -s 1000 "$T/broken/policy/model.safetensors"
run annotate --agent "$T/broken" --input "$T/set/manifest.jsonl" --output "$T/no" --workers 2
check "a model that does not open is told" grep -q 'model.safetensors' "$SCRATCH/err"
check "and ends it" [ $CODE -eq 2 ]
finish
