#!/usr/bin/env bash
# Calls of the simulated driver for graphs fail, one after another: the results are those without graphs.
#   tests/device/refuse_graphs.sh PROGRAM
for n in 1 2 3 4 5 6 7 8 9 10 12 14; do
    GPUSIM_FAIL_GRAPH=$n "$1" || exit 1
done
