#!/bin/sh
# Man pages and --help agree, and the examples run.
. "$(dirname "$0")/lib.sh"
command -v mandoc >/dev/null || skip_all "no mandoc"
"$root/scripts/check-docs" "$bin"
exit
