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
    build() { cc -shared -fPIC -o "$SCRATCH/lib/libcuda.so.1" -x c - 2>/dev/null; }
    echo 'int cuInit(unsigned f) { (void)f; return 0; }' | build
    driver
    says '"found":false'
    cat >"$SCRATCH/driver.c" <<'CODE'
#include <stddef.h>
#include <string.h>
int cuInit(unsigned flags) { (void)flags; INIT; return 0; }
int cuDriverGetVersion(int *v) { *v = 12040; return 0; }
int cuDeviceGetCount(int *n) { *n = COUNT; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { (void)d; memset(s, 'x', n); memcpy(s, "Fake\"GPU", 9); return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { (void)d; *v = a == 75 ? 9 : a == 76 ? 0 : -1; return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { (void)d; *b = 85899345920; return 0; }
CODE
    { echo '#define INIT'; echo '#define COUNT 2'; cat "$SCRATCH/driver.c"; } | build
    driver
    says '"found":true,"reason":null,"driver_version":12040,"devices":\[\{"name":"Fake\\"GPU","compute_capability":"9.0","memory":85899345920\},'
    LD_LIBRARY_PATH=$SCRATCH/lib works doctor
    says 'driver for CUDA 12.4, 2 devices'
    { echo '#define INIT'; echo '#define COUNT 1000'; cat "$SCRATCH/driver.c"; } | build
    driver
    check "sixteen devices are listed" test "$(grep -o '"compute_capability"' "$SCRATCH/out" | wc -l)" -eq 16
    { echo '#define INIT return 100'; echo '#define COUNT 1'; cat "$SCRATCH/driver.c"; } | build
    driver
    says '"reason":"the driver does not start \(driver error 100\)"'
    { echo '#define INIT __builtin_trap()'; echo '#define COUNT 1'; cat "$SCRATCH/driver.c"; } | build
    driver
    says 'crashed or did not answer'
    { echo '#define INIT'; echo '#define COUNT -1'; cat "$SCRATCH/driver.c"; } | build
    driver
    says 'has no device'
fi

finish
