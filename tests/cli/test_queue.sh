#!/usr/bin/env bash
# annotate --queue: a coordinator and processes that compute, through a real redis-server: the same bytes as one process
# alone, when those who compute are killed, when the coordinator is, when the server is, and what is refused.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
if ! command -v redis-server >/dev/null; then
    echo "skipped: there is no redis-server"
    exit 0
fi
T=$SCRATCH/t
AGENT=weights_tools/tiny/agent
ITEMS=24
[ -n "${SEGAGENT_TEST_SHORT:-}" ] && ITEMS=12
mkdir "$T" "$T/redis"
RANDOM=20261130 # bash's generator, seeded
trap 'kill -9 $(cat "$T/redis/pid" 2>/dev/null) 2>/dev/null; rm -rf "$SCRATCH"' EXIT

server() {
    redis-server --port 0 --unixsocket "$T/redis/s" --dir "$T/redis" --save "" --appendonly yes --appendfsync always \
        --pidfile "$T/redis/pid" --daemonize yes >/dev/null
    for _ in $(seq 100); do [ -S "$T/redis/s" ] && redis-cli -s "$T/redis/s" ping >/dev/null 2>&1 && return; sleep 0.05; done
}
same() { cmp "$1/results.jsonl" "$2/results.jsonl" && cmp "$1/quarantine.jsonl" "$2/quarantine.jsonl" && cmp "$1/metrics.json" "$2/metrics.json"; }
arguments=(--agent $AGENT --input "$T/set/manifest.jsonl" --steps 2 --batch 2 --in-flight 3 --precision f32)
url() { echo "redis+unix:$T/redis/s?$1"; }
# compute NAME: in the background, its process in $LAST; coordinate NAME: in $LEADER
compute() {
    "$SEGAGENT_BINARY" annotate "${arguments[@]}" --queue "$(url "$1")" --threads 1 --worker-timeout 2 >>"$T/$1.out" 2>>"$T/$1.err" </dev/null &
    LAST=$!
}
coordinate() {
    "$SEGAGENT_BINARY" annotate "${arguments[@]}" --queue "$(url "$1")" --output "$T/$1" --worker-timeout 2 >"$T/$1.leader" 2>&1 </dev/null &
    LEADER=$!
}

works synth --out "$T/set" --count $ITEMS --seed 3 --level steps --quiet
sed -i '5s|"images/[0-9]*.png"|"images/missing.png"|' "$T/set/manifest.jsonl" # one that is refused
run annotate "${arguments[@]}" --output "$T/one"
check "one process" [ $CODE -eq 1 ]
server

# ---- two who compute ----
coordinate two
compute two
first=$LAST
compute two
wait $LEADER
check "two: the coordinator ends" [ $? -eq 1 ]
wait $first
check "two: the first ends" [ $? -eq 0 ]
wait $LAST
check "two: the second ends" [ $? -eq 0 ]
check "two: the same bytes" same "$T/one" "$T/two"
compute two
wait $LAST
check "who comes late ends at once" [ $? -eq 0 ]

# ---- one that is killed: the other does its rows ----
coordinate killed
compute killed
victim=$LAST
until_rows "$T/killed" 3 $LEADER
kill -9 $victim
compute killed
wait $LEADER
check "killed: ends" [ $? -eq 1 ]
wait $LAST $victim 2>/dev/null
check "killed: the same bytes" same "$T/one" "$T/killed"

# ---- one that is interrupted gives its rows back: nobody waits for them ----
coordinate given
compute given
victim=$LAST
until_rows "$T/given" 3 $LEADER
kill -INT $victim
wait $victim
check "given: exit code 130, or it was done" [ $? -eq 130 -o "$(wc -l <"$T/given/results.jsonl")" -ge $((ITEMS - 1)) ]
compute given
wait $LEADER
check "given: ends" [ $? -eq 1 ]
wait $LAST
check "given: the same bytes" same "$T/one" "$T/given"

# ---- the coordinator is killed, and begins again ----
coordinate leader
compute leader
until_rows "$T/leader" 3 $LEADER
kill -9 $LEADER
wait $LEADER 2>/dev/null
sleep 0.3
coordinate leader
wait $LEADER
check "leader: ends" [ $? -eq 1 ]
wait $LAST
check "leader: who computes ends" [ $? -eq 0 ]
check "leader: the same bytes" same "$T/one" "$T/leader"

# ---- the server is killed, and comes back ----
for kill in 1 $([ -n "${SEGAGENT_TEST_SHORT:-}" ] || echo 2); do
    coordinate server-$kill
    compute server-$kill
    until_rows "$T/server-$kill" $((RANDOM % 8)) $LEADER
    kill -9 "$(cat "$T/redis/pid")"
    sleep 0.5
    server
    wait $LEADER
    check "server $kill: ends" [ $? -eq 1 ]
    wait $LAST
    check "server $kill: who computes ends" [ $? -eq 0 ]
    check "server $kill: the same bytes" same "$T/one" "$T/server-$kill"
done

# ---- refusals ----
refuses 2 'all machines must compute alike' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --queue "$(url no)"
refuses 2 'does not go together' annotate "${arguments[@]}" --queue "$(url no)" --workers 2
refuses 2 'does not go together' annotate "${arguments[@]}" --queue "$(url no)" --shard 0/2
refuses 2 'redis://' annotate "${arguments[@]}" --queue "http://localhost/no"
refuses 2 'computes something else' annotate "${arguments[@]}" --seed 7 --queue "$(url two)"
finish
