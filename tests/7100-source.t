#!/bin/sh
# The source: layers, shell, includes, what must not be in it.
. "$(dirname "$0")/lib.sh"
out_dir=${HNSW_OUT:-$bin/..}

if [ -n "${SAN:-}" ]; then
	report 0 "layers # SKIP instrumented objects"
else
	check "layers" '"$root/scripts/check-layers" "$out_dir/libhnsw-tools.a"'
fi
if command -v shellcheck >/dev/null; then
	check "shell scripts are clean" "shellcheck -s sh '$bin/autotune' '$bin/activate' '$bin/index-status' '$bin/trial-plot' $root/scripts/deps $root/scripts/demo $root/scripts/check $root/scripts/check-layers $root/scripts/check-docs $root/scripts/completions $root/scripts/fuzz $root/tests/fuzz/seeds"
else
	report 0 "shell scripts # SKIP no shellcheck"
fi
check "every header stands alone" "for h in \$(cd $root/lib && ls */*.h); do echo \"#include \\\"\$h\\\"\" | \${CC:-cc} -std=c11 -D_GNU_SOURCE -I$root/lib -fsyntax-only -x c - || exit 1; done"
check "main() is short" "for f in $root/cmd/*.c; do awk '/^int main/ {n = NR} n && /^}/ {if (NR - n > 100) exit 1}' \$f || exit 1; done"
check "NEWS knows the version" "grep -q \"\$(cat $root/VERSION)\" $root/NEWS.md"
finish
