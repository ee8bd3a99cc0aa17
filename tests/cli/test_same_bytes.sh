#!/usr/bin/env bash
# Every search gives the same bytes in batches of 1, 2, 7 and 64, with 1 and 2 threads, few and many items in flight, so
# few KV pages that what is kept goes all the time, with workers, in parts that are merged, and in another order.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/t
AGENT=weights_tools/tiny/agent
mkdir "$T"
works synth --out "$T/set" --count 3 --phrases 3 --size 96 --seed 5 --level steps --quiet
ITEMS=$(wc -l <"$T/set/manifest.jsonl")
tac "$T/set/manifest.jsonl" >"$T/set/backwards.jsonl"

# annotate NAME OPTION...
annotate() { run annotate --agent $AGENT --input "$T/set/${INPUT:-manifest}.jsonl" --output "$T/$1" "${SEARCH[@]}" "${@:2}"; }
# same WHAT NAME: that run has the bytes of the first one.
same() { check "${SEARCH[1]}: $1" cmp "$T/${SEARCH[1]}/results.jsonl" "$T/$2/results.jsonl"; }

number=0
searches=(greedy "prm-stop --patience 1" "prm-greedy --candidates 3" "beam --candidates 2 --beam 2"
    "best-first --candidates 2 --budget 4" "mcts --candidates 3 --budget 4")
[ -n "${SEGAGENT_TEST_SHORT:-}" ] && searches=("${searches[2]}")
for search in "${searches[@]}"; do
    read -ra SEARCH <<<"--search $search --steps 2 --temperature 1 --trace --seed 3"
    annotate "${SEARCH[1]}" --batch 4 --threads 2
    check "${SEARCH[1]} works" [ $CODE -eq 0 ]
    case $((number++ % 3)) in
        0) ways=("--batch 1 --threads 1" "--batch 64 --in-flight 3" "--workers 2 --batch 2") ;;
        1) ways=("--batch 2 --in-flight 9 --kv-pages 20" "--batch 7 --threads 1" "--workers 3") ;;
        2) ways=("--batch 1 --in-flight 1 --kv-pages 18" "--batch 64 --threads 1" "--workers 2 --threads 1 --batch 7") ;;
    esac
    for way in "${ways[@]}"; do
        read -ra options <<<"$way"
        annotate again-$number "${options[@]}"
        same "$way" again-$number
        rm -r "$T/again-$number"
    done
    for part in 0 1 2; do annotate part-$part --shard $part/3 --batch 2; done
    run merge "$T/part-0" "$T/part-1" "$T/part-2" --output "$T/merged"
    same "three parts" merged
    INPUT=backwards annotate backwards --batch 3
    check "${SEARCH[1]}: in another order" bash -c "cmp <(sort '$T/${SEARCH[1]}/results.jsonl') <(sort '$T/backwards/results.jsonl')"
    rm -r "$T"/part-? "$T/merged" "$T/backwards"
done
check "there were items" [ "$ITEMS" -ge 6 ]
finish
