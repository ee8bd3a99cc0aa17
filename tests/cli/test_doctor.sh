#!/usr/bin/env bash
# segagent doctor: its fields, the level override, and drivers that are broken in every way that we could think of.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh

works doctor
for word in '^segagent ' '^processor ' '^levels .*plain: ' '^threads ' '^memory ' '^libraries .*jansson [0-9]' '^cuda '; do
    says "$word"
done
works doctor --json
says '^\{"version":"[0-9.]+","compiler":"[^"]+","build":"[^"]*","sanitizer":"[a-z]+","cpu":\{"name":'
for key in levels isa_override threads online usable quota memory total available limit libraries cuda missing; do
    says "\"$key\":"
done
check "one object on one line" test "$(grep -c '^{.*}$' "$SCRATCH/out")" -eq 1
check "one level is in use" test "$(grep -o '"in_use":true' "$SCRATCH/out" | wc -l)" -eq 1
usable=$(grep -oE '"name":"[a-z0-9]+","compiled":true,"usable":true' "$SCRATCH/out" | cut -d'"' -f4)
for level in $usable; do
    SEGAGENT_ISA=$level works doctor --json
    says "\"name\":\"$level\",\"compiled\":true,\"usable\":true,\"in_use\":true"
    says "\"isa_override\":\"$level\""
done
SEGAGENT_ISA=sse9 works doctor
says 'the CPU device does not open: .*sse9'
works doctor --threads 1 --json
says '"threads":\{"default":1,'
run doctor stray
check "no arguments are taken" test $CODE -eq 2

# Drivers. A build without the probe looks at none of them.
mkdir "$SCRATCH/lib"
driver() { LD_LIBRARY_PATH=$SCRATCH/lib works doctor --json; }
: >"$SCRATCH/lib/libcuda.so.1"
driver
says '"cuda":\{"compiled":(true|false),"found":false,"reason":"'
if command -v cc >/dev/null && grep -q '"cuda":{"compiled":true' "$SCRATCH/out"; then
    says 'does not open: '
    build() { cc -w -shared -fPIC -o "$SCRATCH/lib/libcuda.so.1" -x c - || fail "no fake driver"; }
    echo 'int cuInit(unsigned f) { (void)f; return 0; }' | build
    driver
    says '"found":false,"reason":"the driver.s library has no cu[A-Za-z]+: it is too old'
    says '"auto":\{"device":"cpu","reason":"the driver'
    # Every other call of the program's table, refused.
    calls=$(grep -oE '"cu[A-Z][A-Za-z_0-9]+"' runtime/device/cuda_driver.h | tr -d '"' |
        grep -vE '^(cuInit|cuDriverGetVersion|cuDeviceGet(Count|Name|Attribute)?|cuDeviceTotalMem_v2|cuGetError.*)$')
    for call in $calls; do echo "int $call() { return REFUSAL; }"; done >"$SCRATCH/refused.c"
    cat >"$SCRATCH/driver.c" <<'CODE'
#include <stddef.h>
#include <string.h>
int cuInit(unsigned flags) { (void)flags; INIT; return 0; }
int cuDriverGetVersion(int *v) { *v = VERSION; return 0; }
int cuDeviceGetCount(int *n) { *n = COUNT; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { (void)d; memset(s, 'x', n); memcpy(s, "Fake\"GPU", 9); return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { (void)d; *v = a == 75 ? MAJOR : a == 76 ? 0 : a == 16 ? 7 : -1; return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { (void)d; *b = 85899345920; return 0; }
int cuGetErrorName(int e, const char **s) { (void)e; *s = "CUDA_ERROR_FAKE"; return 0; }
int cuGetErrorString(int e, const char **s) { (void)e; *s = "it is fake"; return 0; }
CODE
    # fake INIT COUNT VERSION MAJOR: a driver that does this in cuInit, has so many devices, and so on; all else is
    # refused with $REFUSAL.
    REFUSAL=1
    fake() {
        { printf '#define INIT %s\n#define COUNT %s\n#define VERSION %s\n#define MAJOR %s\n' "$@"
            echo "#define REFUSAL $REFUSAL"
            cat "$SCRATCH/driver.c" "$SCRATCH/refused.c"; } | build
        driver
    }
    refuses() { # CODE PATTERN: click on the GPU ends with one line
        LD_LIBRARY_PATH=$SCRATCH/lib run click --segmenter $MODEL --image $IMAGE --point 1,1 --device "${3:-cuda}"
        check "exit $1, not $CODE" test $CODE -eq "$1"
        check "one line with \"$2\", not: $(head -c 300 "$SCRATCH/err")" grep -Eq "^segagent: .*$2.*\(.*\)$" "$SCRATCH/err"
        check "one line" test "$(wc -l <"$SCRATCH/err")" -eq 1
        check "no output" test ! -s "$SCRATCH/out"
    }
    refuses 3 'the driver.s library has no cu[A-Za-z]+: it is too old'
    : >"$SCRATCH/lib/libcuda.so.1"
    refuses 3 'the driver.s library does not open: '
    fake '' 2 12040 9
    says '"found":true,"reason":null,"driver_version":12040,'
    says '"devices":\[\{"name":"Fake\\"GPU","compute_capability":"9.0","multiprocessors":7,"memory":85899345920,"free":null,'
    says '"auto":\{"device":"cpu","reason":"the driver is too old: it supports CUDA 12.4, and the kernels need 1'
    refuses 3 'the driver is too old: it supports CUDA 12.4'
    refuses 3 'there is no cuda:2: the driver has 2 devices' cuda:2
    LD_LIBRARY_PATH=$SCRATCH/lib works doctor
    says 'driver for CUDA 12.4, 2 devices'
    LD_LIBRARY_PATH=$SCRATCH/lib works click --segmenter $MODEL --image $IMAGE --point 1,1
    check "auto goes on with the CPU and says so once" test "$(grep -c 'device cpu: the driver is too old' "$SCRATCH/notes")" -eq 1
    LD_LIBRARY_PATH=$SCRATCH/lib works click --segmenter $MODEL --image $IMAGE --point 1,1 --quiet
    check "not with --quiet" test ! -s "$SCRATCH/notes"
    fake '' 1 99000 7
    says 'Fake..GPU has compute capability 7.0, and 8.0 is needed'
    refuses 3 'compute capability 7.0, and 8.0 is needed'
    fake '' 1 99000 9
    says 'no context on Fake..GPU: it is fake \(CUDA_ERROR_FAKE, 1\)'
    refuses 3 'no context on Fake.GPU: it is fake'
    REFUSAL=46 fake '' 1 99000 9
    refuses 3 'no context on Fake.GPU: it is fake'
    check "held in an exclusive mode" grep -q ', 46) (another process holds it, ' "$SCRATCH/err"
    REFUSAL=2 fake '' 1 99000 9
    refuses 3 'no context on Fake.GPU: it is fake'
    check "no room for a context" grep -q ', 2) (end other programs on the GPU, ' "$SCRATCH/err"
    REFUSAL=1
    fake '' 1000 99000 9
    check "sixteen devices are listed" test "$(grep -o '"compute_capability"' "$SCRATCH/out" | wc -l)" -eq 16
    fake 'return 100' 1 99000 9
    says '"reason":"the driver finds no NVIDIA GPU"'
    refuses 3 'finds no NVIDIA GPU'
    fake 'return 803' 1 99000 9
    says '"reason":"the driver does not start: it is fake \(driver error 803\)"'
    refuses 3 'does not start: it is fake'
    fake '' -1 99000 9
    says 'finds no NVIDIA GPU'
    fake '__builtin_trap()' 1 99000 9
    says 'crashed or did not answer'
fi

finish
