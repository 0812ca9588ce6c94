#!/bin/sh
# One program is stopped at some of its calls while another runs for the same index; `make
# interleave` does it at all of them.
. "$(dirname "$0")/lib.sh"

${CC:-cc} -std=c11 -D_GNU_SOURCE -shared -fPIC -o stop.so "$root/tests/faults/stop.c" -ldl 2>err || skip_all "no C compiler"
! nm -D "$(command -v promote)" 2>/dev/null | grep -q '__[at]san_init' || skip_all "a sanitizer wants to be loaded first"
check "nothing that was acknowledged is lost" '"$root/tests/faults/interleave" "$PWD/stop.so" 23'
finish
