#!/usr/bin/env bash
# The way from a fresh clone to a program, on Debian or Ubuntu; works from any directory.
#
#   cmake/bootstrap.sh build [--no-install]   leaves the program at build/release/segagent and, where there is nvcc,
#                                             the simulated GPU at build/release/gpusim/libcuda.so.1
#   cmake/bootstrap.sh demo  [--no-install]   builds the program alone, lets the shipped agent annotate drawn scenes in
#                                             four ways, prints how good they are, writes a page to look at
#   cmake/bootstrap.sh test  [--no-install]   builds every preset and tests each; ends with a summary
#
# Missing packages are installed with apt (by sudo when not root); --no-install only names them and goes on.
# FUZZ_SECONDS=N gives every fuzz harness N seconds (default 5). SEGAGENT_CUDA_ARCHS="90a;..." names the GPUs that
# get machine code (default: every architecture in the build, 90a in the tests). DEMO_SCENES=N of each kind (60).
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 3
JOBS=$(nproc 2>/dev/null || echo 2)
NEEDED="gcc libc6-dev make cmake libjpeg-dev libjansson-dev libpcre2-dev libstb-dev libutf8proc-dev libssl-dev libhiredis-dev libcmocka-dev"
HELPFUL="libdnnl-dev"      # the second ceiling of `segagent bench`
FOR_TESTS="python3 redis-server clang clang-format clang-tidy" # tests/cli, tests/fleet; the fuzz harnesses; looks at the sources
INSTALL=yes
LOGS=$ROOT/build/logs
SUMMARY=()
MISSING=
FAILED=0

usage() {
    sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
}

say() { printf '\n== %s\n' "$*"; }

# ---- packages ----

# Those of the arguments that dpkg does not know as installed.
missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || echo "$package"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "not root, and there is no sudo: ask an administrator to run: $*"
        return 1
    fi
}

# install_packages WHY PACKAGE...: what is missing of them; failing to is said, and left to cmake to judge.
install_packages() {
    local why=$1 missing
    shift
    missing=$(missing_packages "$@" | xargs)
    [ -z "$missing" ] && return
    if [ $INSTALL = no ]; then
        echo "missing ($why): $missing; not installed because of --no-install"
        MISSING="$MISSING $missing"
        return
    fi
    say "installing $missing ($why)"
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y $missing ||
        { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y $missing; } ||
        echo "could not install: $missing ($why); going on without"
}

# Where cmake/CudaKernels.cmake looks too.
say_nvcc() {
    local nvcc
    nvcc=$(for file in "${CUDACXX:-}" "$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do
        if [ -f "$file" ] && [ -x "$file" ]; then echo "$file" && break; fi
    done)
    if [ -n "$nvcc" ]; then
        echo "CUDA: $nvcc, $("$nvcc" --version | sed -n 's/.*\(release [0-9.]*\).*/\1/p'): kernels for NVIDIA GPUs are built"
    else
        echo "CUDA: no nvcc (CUDACXX, PATH, /usr/local/cuda/bin): a program for the CPU alone. The CUDA toolkit 12.8 or newer has it."
    fi
}

prepare() {
    if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
        # shellcheck disable=SC2086
        install_packages "needed" $NEEDED
        install_packages "helpful" $HELPFUL
        # shellcheck disable=SC2086
        if [ "$1" = test ]; then install_packages "for the tests" $FOR_TESTS; fi
    else
        echo "This is neither Debian nor Ubuntu (no apt). What is needed, under your system's names: a C compiler, make,"
        echo "cmake 3.25, libjpeg-turbo, jansson, PCRE2 10.40, stb (stb_image.h), utf8proc, OpenSSL 3, hiredis, cmocka;"
        echo "oneDNN, clang and redis-server are helpful. Going on with what is here."
    fi
    if [ "$1" != demo ]; then say_nvcc; fi
    if ! command -v cmake >/dev/null; then
        echo "There is no cmake: install cmake 3.25 or newer and run this again."
        exit 3
    fi
    local version
    version=$(cmake --version | sed -n '1s/.* //p')
    if [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -1)" != 3.25 ]; then
        echo "cmake $version is too old: 3.25 is needed (Debian 12, Ubuntu 24.04, or https://cmake.org/download)."
        exit 3
    fi
}

# ---- steps of the test run ----

# step NAME COMMAND...: runs it with its output in a log; a failure shows the log's end and is remembered.
step() {
    local name=$1 log start code
    shift
    log=$LOGS/$(echo "$name" | tr -c 'a-zA-Z0-9\n' '-').log
    start=$SECONDS
    printf '%-46s' "$name"
    "$@" >"$log" 2>&1
    code=$?
    if [ $code -eq 0 ]; then
        printf 'ok      %4d s  %s\n' $((SECONDS - start)) "$(tests_in "$log")"
        SUMMARY+=("ok      $((SECONDS - start)) s  $name  $(tests_in "$log")")
    else
        printf 'FAILED  %4d s  %s\n' $((SECONDS - start)) "$log"
        tail -n 40 "$log"
        SUMMARY+=("FAILED  $((SECONDS - start)) s  $name  ($log)")
        FAILED=$((FAILED + 1))
    fi
    return $code
}

tests_in() { sed -n 's/^\([0-9]*% tests passed.*\)/\1/p' "$1" | tail -1; }

skip() {
    echo "$1: left out: $2"
    SUMMARY+=("left out  $1: $2")
}

# TESTS=ON is said again: `build` may have switched it off in the same folder.
configure() {
    local archs=()
    # One architecture beside the PTX: nvcc takes minutes over all of them. The other presets have the PTX alone.
    if [ "$1" = release ]; then archs=("-DSEGAGENT_CUDA_ARCHS=${SEGAGENT_CUDA_ARCHS-90a}"); fi
    cmake --preset "$1" -DSEGAGENT_TESTS=ON "${archs[@]}" && cmake --build --preset "$1" --parallel "$JOBS" "${@:2}"
}

# Tests are many short programs, so as many at a time as there are processors.
run_tests() { ctest --preset "$1" --no-tests=error --parallel "$JOBS" "${@:2}"; }

# at_level LEVEL PRESET TESTS: the program, and those tests that would go through every level, at one level only.
at_level() { SEGAGENT_ISA=$1 run_tests "$2" -R "$3"; }

usable_levels() {
    build/release/segagent doctor --json | grep -oE '"name":"[a-z0-9]+","compiled":true,"usable":true' | cut -d'"' -f4
}

can_fuzz() {
    command -v clang >/dev/null &&
        echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n ? 0 : 0; }' |
        clang -x c - -fsanitize=fuzzer,address -o "$LOGS/can-fuzz" 2>/dev/null
}

# The major version of clang-tidy or clang-format; nothing where it is missing.
major_of() { "$1" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p' | head -1; }

check_format() {
    find runtime kernels bench tests -path tests/golden -prune -o \
        \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) -print0 | xargs -0 clang-format --dry-run -Werror
}

# What release compiles, but for the simulated GPU, and for kernels/cpu, which it compiles once for each level.
check_tidy() {
    sed -n "s|^ *\"file\": \"\($ROOT/.*\)\",\{0,1\}\$|\1|p" build/release/compile_commands.json |
        grep -E "^$ROOT/(runtime|bench|kernels/cuda|tests)/" | grep -v "^$ROOT/tests/gpusim/" | sort -u |
        xargs -P "$JOBS" -n 8 clang-tidy -p build/release --quiet
}

check_sources() {
    local format tidy
    format=$(major_of clang-format)
    tidy=$(major_of clang-tidy)
    if [ "$format" = 14 ]; then # others break lines elsewhere
        step "clang-format" check_format
    else
        skip "clang-format" "needs version 14 (Debian 12's package clang-format), found ${format:-none}"
    fi
    if [ "${tidy:-0}" -ge 14 ]; then
        step "clang-tidy $tidy" check_tidy
    else
        skip "clang-tidy" "needs version 14 or newer (Debian's package clang-tidy), found ${tidy:-none}"
    fi
}

fuzz_targets() { for source in tests/fuzz/fuzz_*.c; do basename "$source" .c; done; }

test_everything() {
    local levels=
    mkdir -p "$LOGS"
    say "tests on $(uname -m), $JOBS processors; logs in $LOGS"
    if step "release: build" configure release; then
        step "release: every test" run_tests release
        levels=$(usable_levels)
        # The tests of kernels and models go through every level by themselves; this is the program as a user
        # switches it.
        for level in $levels; do
            step "release: click as $level" at_level "$level" release '^cli_click'
        done
        check_sources
    fi
    step "cpu-only: build" configure cpu-only &&
        step "cpu-only: command line" run_tests cpu-only -R '^cli_'
    step "asan: build" configure asan &&
        step "asan: every test" run_tests asan
    # Only code that uses threads can fail here, and all levels use them alike: the last one, the best, is enough.
    step "tsan: build" configure tsan &&
        step "tsan: what runs on threads" at_level "$(echo "$levels" | tail -1)" tsan \
            '^(base_pool|image_resize|kernels_.*|models_sam|cli_click|hlmat_runner_hands|fleet_crew)$'
    if can_fuzz; then
        # shellcheck disable=SC2046
        step "fuzz: build" configure fuzz --target $(fuzz_targets) &&
            step "fuzz: every harness, ${FUZZ_SECONDS:-5} s each" tests/fuzz/run.sh build/fuzz "${FUZZ_SECONDS:-5}"
    else
        skip "fuzz" "needs clang with libFuzzer (Debian's packages clang and libclang-rt-*-dev)"
    fi
    say "summary ($((SECONDS / 60)) min $((SECONDS % 60)) s)"
    printf '%s\n' "${SUMMARY[@]}"
    if [ -n "$MISSING" ]; then echo "missing packages:$MISSING"; fi
    if [ $FAILED -eq 0 ]; then echo "all passed"; else echo "$FAILED steps failed"; fi
    [ $FAILED -eq 0 ]
}

# ---- build and demo ----

build_program() {
    say "building"
    local archs=-USEGAGENT_CUDA_ARCHS # back to the default, which the tests change in the same folder
    if [ -n "${SEGAGENT_CUDA_ARCHS+given}" ]; then archs=-DSEGAGENT_CUDA_ARCHS=$SEGAGENT_CUDA_ARCHS; fi
    cmake --preset release -DSEGAGENT_TESTS=OFF "$archs" && cmake --build --preset release --parallel "$JOBS"
}

# The demo's program: nothing else, and for a GPU only where there is one (nvcc takes minutes).
build_for_demo() {
    local preset=cpu-only archs=()
    if [ -e /dev/nvidiactl ] && command -v nvidia-smi >/dev/null; then
        preset=release
        archs=("-DSEGAGENT_CUDA_ARCHS=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
            sed -n '1{s/\.//;s/^90$/90a/;p}')" -DSEGAGENT_GPUSIM=OFF)
        say "building the program for this GPU and this CPU"
    else
        say "building the program for this CPU; there is no NVIDIA GPU here"
    fi
    PROGRAM=build/$preset/segagent
    cmake --preset $preset -DSEGAGENT_TESTS=OFF "${archs[@]}" >"$LOGS/demo-configure.log" &&
        cmake --build --preset $preset --parallel "$JOBS" --target segagent >"$LOGS/demo-build.log" 2>&1 ||
        { tail -n 20 "$LOGS"/demo-*.log && return 1; }
}

# annotate_in LEVEL NAME OPTION...: results in build/demo/LEVEL-NAME, which the report calls NAME.
annotate_in() {
    local level=$1 name=$2
    shift 2
    "$PROGRAM" annotate --agent weights_tools/tiny/agent --input "$DEMO/$level/manifest.jsonl" \
        --output "$DEMO/$level-$name" --quiet "$@" >/dev/null || return
    RUNS+=(--results "$name=$DEMO/$level-$name")
}

demo() {
    local level scenes=${DEMO_SCENES:-60}
    DEMO=build/demo
    RUNS=()
    mkdir -p "$LOGS"
    rm -rf "$DEMO" && build_for_demo || return
    say "drawing scenes that the agent was not trained on, and annotating them in four ways"
    for level in easy steps; do
        "$PROGRAM" synth --out "$DEMO/$level" --count "$scenes" --seed 3 --level $level --quiet >/dev/null &&
            annotate_in $level fixed-steps --search greedy --steps 7 &&
            annotate_in $level PRM-stop --search prm-stop --steps 7 &&
            annotate_in $level PRM-guided --search prm-greedy --steps 7 --candidates 3 --trace &&
            annotate_in $level oracle --policy annotator --search prm-stop --steps 7 --score truth || return
    done
    say "mean IoU with 95 % intervals; clicks behind the mask that was kept, of those that were tried"
    "$PROGRAM" report "${RUNS[@]}" --items PRM-guided --output "$DEMO/report.html" \
        --title "Click by click: the tiny agent on drawn scenes" || return
    echo
    echo "fixed-steps   the agent clicks 7 times"
    echo "PRM-stop      the same; of the masks on the way it keeps the one that it believes to be best"
    echo "PRM-guided    it tries 3 clicks at each step, and goes on from the mask that it believes to be best"
    echo "oracle        clicks by the simulated annotator, who knows the truth"
    say "done in $((SECONDS / 60)) min $((SECONDS % 60)) s: look at $ROOT/$DEMO/report.html"
}

VERB=${1:-}
[ $# -gt 0 ] && shift
for argument in "$@"; do
    case $argument in
    --no-install) INSTALL=no ;;
    *) usage ;;
    esac
done
case $VERB in
build) prepare build && build_program && say "done: $ROOT/build/release/segagent" ;;
demo) prepare demo && demo ;;
test) prepare test && test_everything ;;
*) usage ;;
esac
