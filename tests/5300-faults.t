#!/bin/sh
# The fault campaign, some points of every kind and scenario; `make faults` has them all.
. "$(dirname "$0")/lib.sh"
out=${HNSW_OUT:-$bin/..}
[ -e "$out/fault.so" ] || skip_all "the injector is not built: make injector"
! ldd "$bin/trial-list" | grep -qE 'lib(a|t|ub)san' || skip_all "not on an instrumented build"
cd "$root" || exit 1
export HNSW_BIN="$bin" HNSW_FAULT="$out/fault.so"
tests/faults/campaign --tap --sample="${HNSW_TEST_FAULTS:-2}"
