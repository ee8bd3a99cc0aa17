#!/usr/bin/env bash
# check_sass.sh BUILD/cuda: what became of the CUDA kernels, as a table: a row for each entry point and architecture.
#
# Reads what cmake/CudaKernels.cmake leaves there: OP.log, ptxas's report (registers, spills), and OP.fatbin, whose
# machine code it disassembles if cuobjdump and nvdisasm are in PATH or in the folder $CUOBJDUMP_DIR (pip packages
# nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm). Without them the last four columns are "-".
# Exits 1 if a kernel spills that is not in `spills_allowed`, if it lacks an instruction that `needs` lists, or if
# there is nothing to look at.
set -euo pipefail

folder=${1:?usage: check_sass.sh BUILD/cuda}
PATH=$PATH:${CUOBJDUMP_DIR:-}
shopt -s nullglob
logs=("$folder"/*.log)
if [ ${#logs[@]} -eq 0 ]; then
    echo "check_sass: no ptxas reports in $folder; build the target segagent_cuda_images" >&2
    exit 1
fi

# Patterns of entry points that may spill, each with its reason behind a "#". None at present.
spills_allowed=''

# Pattern of entry points, then what their machine code must hold, on every architecture: HMMA tensor-core products,
# LDSM ldmatrix, LDGSTS cp.async. The first pattern that matches counts.
needs='
^gemm_(bf16|f16)_  HMMA LDSM LDGSTS
^gemm_f32_         LDGSTS
^attention.*_f32
^attention         HMMA LDSM LDGSTS
'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# kernel arch registers spilled-bytes
awk '/Compiling entry function/ { split($0, q, "\047"); kernel = q[2]; arch = q[4] }
     /spill stores/ { spill = $5 + $9 }
     /Used [0-9]+ registers/ { print kernel, arch, $5, spill }' "${logs[@]}" | sort -u >"$work/ptxas"

# kernel arch instructions HMMA LDSM LDGSTS
: >"$work/sass"
if command -v cuobjdump >/dev/null && command -v nvdisasm >/dev/null; then
    for image in "$folder"/*.fatbin; do
        cuobjdump -sass "$image" 2>/dev/null | awk '
            function row() { if (kernel != "") print kernel, arch, n, count["HMMA"] + 0, count["LDSM"] + 0, count["LDGSTS"] + 0 }
            /^arch = / { row(); kernel = ""; arch = $3 }
            /Function : / { row(); kernel = $3; n = 0; delete count }
            /^[ \t]+\/\*[0-9a-f]+\*\/[ \t]+[@A-Z]/ {
                name = $2 ~ /^@/ ? $3 : $2
                sub(/[.;].*/, "", name)
                count[name]++
                n += name != "NOP"
            }
            END { row() }' >>"$work/sass"
    done
    if [ ! -s "$work/sass" ]; then
        echo "check_sass: cuobjdump found no machine code in $folder" >&2
        exit 1
    fi
else
    echo "check_sass: no cuobjdump and nvdisasm: registers and spills alone" >&2
fi

NEEDS=$needs SPILLS=$spills_allowed awk '
    BEGIN {
        lines = split(ENVIRON["NEEDS"], line, "\n")
        allowances = split(ENVIRON["SPILLS"], allowed, "\n")
        printf "%-34s %-8s %9s %7s %12s %6s %6s %7s\n", "kernel", "arch", "registers", "spilled", "instructions", "HMMA", "LDSM", "LDGSTS"
    }
    function may_spill(kernel,   i, word) {
        for (i = 1; i <= allowances; i++) {
            split(allowed[i], word, " ")
            if (word[1] != "" && kernel ~ word[1]) return 1
        }
        return 0
    }
    function lacks(kernel, key,   i, j, words, word, missing) {
        for (i = 1; i <= lines; i++) {
            words = split(line[i], word, " ")
            if (words == 0 || kernel !~ word[1]) continue
            for (j = 2; j <= words; j++) if (count[key, word[j]] == 0) missing = missing " " word[j]
            return missing
        }
    }
    FILENAME ~ /sass$/ {
        key = $1 " " $2
        seen[key] = 1; any = 1
        count[key, "all"] = $3; count[key, "HMMA"] = $4; count[key, "LDSM"] = $5; count[key, "LDGSTS"] = $6
        next
    }
    {
        key = $1 " " $2; note = ""
        if ($4 > 0 && !may_spill($1)) { note = note "  SPILLS"; bad = 1 }
        if (seen[key] && (missing = lacks($1, key)) != "") { note = note "  LACKS" missing; bad = 1 }
        if (any && !seen[key]) { note = note "  NO CODE"; bad = 1 }
        if (seen[key]) printf "%-34s %-8s %9d %7d %12d %6d %6d %7d%s\n", $1, $2, $3, $4, count[key, "all"], count[key, "HMMA"], count[key, "LDSM"], count[key, "LDGSTS"], note
        else printf "%-34s %-8s %9d %7d %12s %6s %6s %7s%s\n", $1, $2, $3, $4, "-", "-", "-", "-", note
    }
    END { exit bad }' "$work/sass" "$work/ptxas"
