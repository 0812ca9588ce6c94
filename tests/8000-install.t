#!/bin/sh
# Installing and taking away, with a prefix for plain names.
. "$(dirname "$0")/lib.sh"

[ -z "${SAN:-}" ] || skip_all "an instrumented build is not installed"
unset MAKEFLAGS MFLAGS MAKELEVEL
make="make -s -C $root DESTDIR=$dir/image PREFIX=/usr"
check "install" "$make install"
check "programs" "for p in $bin/*; do test -x image/usr/bin/\${p##*/} || exit 1; done"
check "pages" "for p in $root/man/*; do n=\${p##*/}; test -f image/usr/share/man/man\${n##*.}/\$n || exit 1; done"
check "docs and the example" "test -f image/usr/share/doc/hnsw-tools/README.md -a -f image/usr/share/doc/hnsw-tools/examples/sweep.mk"
check "scripts work from there" "PATH=$dir/image/usr/bin:/usr/bin:/bin; autotune -V && vectors 300 4 1 | ingest d && index-add --eval-set e d && evalset -q -N 20 --save e d && autotune -q --min-recall 0 --grid 20/20 d && activate -q d"
check "uninstall" "$make uninstall && test -z \"\$(find image -type f)\""
check "with PROGPREFIX" "$make PROGPREFIX=ht- install && test -x image/usr/bin/ht-promote -a -f image/usr/share/man/man1/ht-promote.1 -a ! -e image/usr/bin/promote"
check "scripts find their fellows by it" "PATH=$dir/image/usr/bin:/usr/bin:/bin; rm -rf store; vectors 300 4 1 | ht-ingest d && ht-index-add --eval-set e d && ht-evalset -q -N 20 --save e d && ht-autotune -q --min-recall 0 --grid 20/20 d && ht-activate -q d && head -n 1 store/primary/_hnsw_active/d/current.json | jq -e .generation"
check "so does the agent" "PATH=$dir/image/usr/bin:/usr/bin:/bin; ht-autotune-agent enqueue d && ht-autotune-agent once | jq -se 'map(.kind)[1] == \"trial_completed\"'"
check "uninstall with it" "$make PROGPREFIX=ht- uninstall && test -z \"\$(find image -type f)\""
finish
