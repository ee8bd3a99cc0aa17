#!/usr/bin/env bash
# README's table of results: the shipped agent on held-out scenes, every way of searching, with 95 % intervals.
#
#   cmake/results.sh PROGRAM OUT_DIR [SCENES [AGENT_DIR]]   SCENES of each kind, default 1000; from the repository's root
#
# Prints Markdown. Runs go on where they stopped when the same command is given again. Scenes are those of seed 3, which
# training never sees (weights_tools/tiny/README.md). Searches with a budget carry out as many clicks as PRM-guided does.
set -euo pipefail
PROGRAM=${1:?usage: cmake/results.sh PROGRAM OUT_DIR [SCENES [AGENT_DIR]]}
OUT=${2:?usage: cmake/results.sh PROGRAM OUT_DIR [SCENES [AGENT_DIR]]}
SCENES=${3:-1000}
AGENT=${4:-weights_tools/tiny/agent}
STEPS=7
CANDIDATES=3
BUDGET=$((STEPS * CANDIDATES))
RUNS=()
REFINED=()
mkdir -p "$OUT"

# draw NAME OPTION...
draw() {
    [ -e "$OUT/$1/manifest.jsonl" ] || "$PROGRAM" synth --out "$OUT/$1" --count "$SCENES" --seed 3 --quiet "${@:2}" >/dev/null
}

# annotate SET NAME OPTION...: results in SET-NAME.
annotate() {
    "$PROGRAM" annotate --agent "$AGENT" --input "$OUT/$1/manifest.jsonl" --output "$OUT/$1-$2" --steps $STEPS "${@:3}" >/dev/null
    RUNS+=(--results "$2=$OUT/$1-$2")
}

refine() {
    "$PROGRAM" refine --agent "$AGENT" --input "$OUT/$1/manifest.jsonl" --output "$OUT/$1-$2" --steps $STEPS "${@:3}" >/dev/null
    REFINED+=(--results "$2=$OUT/$1-$2")
}

# The same masks as they are given, judged: what refined ones are compared with. Its table goes to SET-NAME.txt.
judge() {
    "$PROGRAM" filter --agent "$AGENT" --input "$OUT/$1/manifest.jsonl" --output "$OUT/$1-$2" --quantile 0.5 \
        --quiet >"$OUT/$1-$2.txt"
    REFINED+=(--results "$2=$OUT/$1-$2")
}

# change SET BEFORE AFTER: a line of the table of differences.
change() {
    "$PROGRAM" eval --compare "$OUT/$1-$2" "$OUT/$1-$3" --input "$OUT/$1/manifest.jsonl" --json --quiet |
        sed -E 's/^\{"delta":([^,]*),"low":([^,]*),"high":([^,]*),"p":([^,]*),"wins":([0-9]*),"losses":([0-9]*).*/\1 \2 \3 \4 \5 \6/' |
        { read -r delta low high p wins losses
          LC_ALL=C printf '| %s | %s | %+.4f [%+.4f, %+.4f] | %.4f | %s / %s |\n' "$1" "$3 minus $2" \
              "$delta" "$low" "$high" "$p" "$wins" "$losses"; }
}

for level in easy steps; do
    draw $level --level $level
    annotate $level greedy --search greedy
    annotate $level PRM-stop --search prm-stop
    annotate $level PRM-guided --search prm-greedy --candidates $CANDIDATES
    annotate $level beam --search beam --candidates $CANDIDATES --beam 2 --budget $BUDGET
    annotate $level best-first --search best-first --candidates $CANDIDATES --budget $BUDGET
    annotate $level MCTS --search mcts --candidates $CANDIDATES --budget $BUDGET
    annotate $level "annotator" --policy annotator --search prm-stop --score truth
    draw coarse-$level --level $level --coarse
    judge coarse-$level given
    refine coarse-$level refined --search prm-stop
    refine coarse-$level refined-guided --search prm-greedy --candidates $CANDIDATES
done

echo "$SCENES held-out scenes of each kind (seed 3), at most $STEPS clicks in a row; gIoU with 95 % intervals; clicks behind the"
echo "kept mask, of those carried out:"
echo
"$PROGRAM" report "${RUNS[@]}" --markdown --quiet
echo
echo "Given coarse masks (\`synth --coarse\`):"
echo
"$PROGRAM" report "${REFINED[@]}" --markdown --quiet
echo
echo "Paired differences of IoU:"
echo
echo "| scenes | | gIoU, 95 % interval | p | better / worse |"
echo "|---|---|---|---|---|"
for level in easy steps; do
    change $level greedy PRM-stop
    change $level PRM-stop PRM-guided
    for search in beam best-first MCTS; do change $level PRM-guided $search; done
    change coarse-$level given refined
    change coarse-$level refined refined-guided
done
echo
echo "How well the PRM tells given masks apart (\`filter\`):"
echo
echo "| scenes | mean absolute error | Pearson | Spearman | ROC-AUC |"
echo "|---|---|---|---|---|"
for level in easy steps; do
    awk -v level=$level '/^(mae|pearson|spearman|auc) /{cells = cells " | " substr($0, 11)} END {print "| " level cells " |"}' \
        "$OUT/coarse-$level-given.txt"
done
"$PROGRAM" report "${RUNS[@]}" "${REFINED[@]}" --items PRM-guided --items refined --limit 16 --output "$OUT/report.html" \
    --title "The tiny agent: $SCENES held-out scenes of each kind" --quiet >/dev/null
