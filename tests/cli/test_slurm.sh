#!/usr/bin/env bash
# --shard slurm: the parts of job arrays make what one run makes. First with Slurm's variables set by hand; then, where
# Debian's slurmctld, slurmd and munge are installed, README's own job file on a cluster of one node, this machine,
# whose GPUs are feigned and whose daemons belong to whoever runs this.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
unset "${!SLURM_@}" "${!SBATCH_@}" # this may itself be a job
T=$SCRATCH/t
C=$SCRATCH/cluster
ITEMS=24
SEGAGENT_BINARY=$(realpath "$SEGAGENT_BINARY")
PATH=$PATH:/usr/sbin
mkdir -p "$C/state" "$C/spool" "$T/build/release" "$T/weights_tools/tiny"
ln -s "$SEGAGENT_BINARY" "$T/build/release/segagent" # as README names them
ln -s "$PWD/weights_tools/tiny/agent" "$T/weights_tools/tiny/agent"
sed -n "/^    cat > annotate.sh/,/--wrap/s/^    //p" README.md >"$T/commands.sh"
cd "$T" || exit 1

same() { cmp "$1/results.jsonl" "$2/results.jsonl" && cmp "$1/quarantine.jsonl" "$2/quarantine.jsonl"; }
rows() { grep -c '' "$1/results.jsonl"; }
arguments=(--agent weights_tools/tiny/agent --input held-out/manifest.jsonl --precision bf16)
# task ID MIN MAX STEP COUNT: what Slurm tells it
task() {
    export SLURM_ARRAY_TASK_ID=$1 SLURM_ARRAY_TASK_MIN=$2 SLURM_ARRAY_TASK_MAX=$3 SLURM_ARRAY_TASK_STEP=$4
    export SLURM_ARRAY_TASK_COUNT=$5
}

works synth --out held-out --count $ITEMS --seed 3 --level steps --quiet
sed -i '5s|"images/[0-9]*.png"|"images/missing.png"|' held-out/manifest.jsonl # one for the quarantine
run annotate "${arguments[@]}" --output one
check "one process" [ "$CODE" -eq 1 ]

# ---- variables by hand: --array=0-2, 5-9:2 and 4 ----
by_hand() { # NAME ID...
    local name=$1 ids=("${@:2}")
    local last=${ids[-1]} step=1 parts=()
    [ ${#ids[@]} -gt 1 ] && step=$((ids[1] - ids[0]))
    for id in "${ids[@]}"; do
        task "$id" "${ids[0]}" "$last" $step ${#ids[@]}
        run annotate "${arguments[@]}" --shard slurm --output "$name/$id"
        check "$name: task $id" [ "$CODE" -le 1 ]
        parts+=("$name/$id")
    done
    works merge "${parts[@]}" --output "$name/whole"
    check "$name: the same bytes" same one "$name/whole"
}
by_hand from-zero 0 1 2
by_hand steps 5 7 9
by_hand alone 4
check "parts are as large as they should be" [ "$(rows steps/9)" -eq 8 ]
task 2 0 2 1 3
works annotate "${arguments[@]}" --shard 2/3 --output from-zero/2
check "slurm's part is done already, by its number" grep -q 'everything is done already' "$SCRATCH/err"
works annotate "${arguments[@]}" --shard slurm --dry-run --json
says '"items":8,'

# ---- refusals ----
refuses 2 'holds another run: shard' annotate "${arguments[@]}" --shard slurm --output from-zero/1
task 1 1 1 1 1 # the second task, submitted again alone
refuses 2 'holds another run: shard' annotate "${arguments[@]}" --shard slurm --output from-zero/1
task 4 1 9 1 3
refuses 2 'gaps: 3 tasks from 1 to 9.*--array=0-7' annotate "${arguments[@]}" --shard slurm --output no
unset "${!SLURM_@}"
refuses 2 'no SLURM_ARRAY_TASK_ID.*--array=0-7' annotate "${arguments[@]}" --shard slurm --output no
refuses 2 'is no part of a whole.*or slurm' annotate "${arguments[@]}" --shard Slurm --output no
check "a refused task leaves nothing" [ ! -e no ]

# ---- a cluster ----
# not_tried WHY: without Slurm the rest of this cannot be tested.
not_tried() {
    echo "skipped: README's job file was not submitted: $1"
    finish
}
[ -n "${SEGAGENT_TEST_SHORT:-}" ] && not_tried "the program is slow here, and was tried elsewhere"
for program in munged slurmctld slurmd sbatch sinfo squeue scontrol scancel; do
    command -v $program >/dev/null ||
        not_tried "there is no $program (Debian's packages munge, slurmctld, slurmd, slurm-client)"
done
down() {
    local pid
    scancel --user="$(id -u)" 2>/dev/null && sleep 1
    for daemon in slurmd slurmctld munged; do
        pid=$(cat "$C/$daemon.pid" 2>/dev/null) && kill "$pid" && for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
    done 2>/dev/null
    rm -rf "$SCRATCH"
}
free_ports() {
    python3 -c 'import socket; s = [socket.create_server(("127.0.0.1", 0)) for _ in "12"]
print(*(x.getsockname()[1] for x in s))'
}
configure() {
    local controller node name
    name=$(hostname -s)
    read -r controller node < <(free_ports)
    # Four GPUs need four device files, whichever; the program is told of none.
    printf 'Name=gpu File=/dev/%s Flags=no_gpu_env\n' null zero full random >"$C/gres.conf"
    cat >"$C/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$node
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$C/munge.socket,cred_expire=5
StateSaveLocation=$C/state
SlurmdSpoolDir=$C/spool
SlurmctldPidFile=$C/slurmctld.pid
SlurmdPidFile=$C/slurmd.pid
SlurmctldLogFile=$C/slurmctld.log
SlurmdLogFile=$C/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$name NodeAddr=127.0.0.1 CPUs=16 Gres=gpu:4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
CONF
}
up() {
    head -c 128 /dev/urandom >"$C/munge.key"
    chmod 600 "$C/munge.key"
    configure
    munged --force --socket "$C/munge.socket" --key-file "$C/munge.key" --pid-file "$C/munged.pid" \
        --log-file "$C/munged.log" --seed-file "$C/munge.seed" && slurmctld && slurmd || return
    for _ in $(seq 300); do
        [ "$(sinfo -h -o %t)" = idle ] && return
        sleep 0.1
    done
    return 1
}
# until_empty SECONDS: until no job is left.
until_empty() {
    for _ in $(seq $(($1 * 5))); do
        [ -z "$(squeue -h)" ] && return
        sleep 0.2
    done
    squeue
    return 1
}

export SLURM_CONF=$C/slurm.conf
trap down EXIT
up >"$C/up.log" 2>&1 || not_tried "no cluster on this machine: $(tail -qn 1 "$C"/*.log | tr '\n' ';')"

# README's commands as they stand, but for the size of the array.
sed 's/--array=0-7/--array=0-2/' commands.sh >three.sh
bash three.sh >commands.out 2>&1
check "jobs are submitted: $(tail -n 1 commands.out)" grep -q '^Submitted batch job' commands.out
check "jobs end" until_empty 120
check "three tasks" [ "$(find parts -name run.json | wc -l)" -eq 3 ]
check "README's job: the same bytes" same one whole
check "the merge tells: $(head -c 300 merge.log)" \
    [ "$(cat merge.log)" = "23 results, 1 in quarantine, of 24 rows, in whole" ]

# Numbers in steps, as Slurm tells them; one task is caught after its first row, and requeued.
cat >again.sh <<'JOB'
#!/bin/bash
#SBATCH --array=3-8:2 --gres=gpu:1 --requeue --output=again-%a.log
set -- build/release/segagent annotate --agent weights_tools/tiny/agent --input held-out/manifest.jsonl \
    --shard slurm --output again/$SLURM_ARRAY_TASK_ID --precision bf16 --batch 1 --in-flight 1
[ "$SLURM_ARRAY_TASK_ID.$SLURM_RESTART_COUNT" = 5. ] || exec "$@"
"$@" &
until [ -s again/5/results.jsonl ]; do sleep 0.01; done
kill -STOP $!
touch caught
wait
JOB
job=$(sbatch --parsable again.sh)
for _ in $(seq 300); do
    [ -e caught ] && break
    sleep 0.1
done
before=$(rows again/5)
check "caught in the middle: $before rows" [ $((before > 0 && before < 8)) -eq 1 ]
check "it is requeued" scontrol requeue "${job}_5"
check "requeued: jobs end" until_empty 180
works merge again/3 again/5 again/7 --output again/whole
check "requeued: the same bytes" same one again/whole
check "requeued: it went on" grep -Eq '"counters":\{"items":[0-7],' again/5/run.json

# Gaps, as Slurm tells them: every task says why, and writes nothing.
sed 's|=3-8:2|=1,4,9|; s|again/|gaps/|; s|again-|gaps-|' again.sh >gaps.sh
check "gaps: submitted" sbatch --parsable gaps.sh >/dev/null
check "gaps: jobs end" until_empty 60
check "gaps: refused" [ "$(grep -l 'has gaps: 3 tasks from 1 to 9 in steps of 1' gaps-[149].log | wc -l)" -eq 3 ]
check "gaps: nothing is written" [ ! -e gaps ]
finish
