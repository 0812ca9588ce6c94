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
b=image/usr/share/bash-completion/completions z=image/usr/share/zsh/site-functions/_hnsw-tools f=image/usr/share/fish/vendor_completions.d
check "completions for every program" "for p in $bin/*; do p=\${p##*/}; test -s $b/\$p -a -s $f/\$p.fish && grep -qw \"^\$p) _arguments\" $z || exit 1; done"
check "no option is left out" "for p in $bin/*; do \$p --help | grep -Eo '^  (-.,|   ) --[a-z-]+' | sed 's/.*--//' | while read -r o; do grep -q -- \"complete -c \${p##*/}.* -l \$o \" $f/hnsw-tools.fish && grep -q -- \"^	\${p##*/}) options=.*--\$o[ \\\"]\" $b/hnsw-tools || { echo \$p \$o; exit 1; }; done || exit 1; done"
if command -v bash >/dev/null; then
	cat >complete.bash <<-'END'
		. "$1"
		complete_it() { _hnsw_tools promote "$1" promote; printf '%s\n' "${COMPREPLY[@]}"; }
		complete_it --exp | grep -x -e --expect && complete_it 'd"' | grep -x 'd"`touch z`\$(touch z)' && test ! -e z
	END
	check "bash completes options, and names that it does not run" "PATH=$dir/image/usr/bin:\$PATH; vectors 3 4 1 | ingest e && index-add 'd\"\`touch z\`\$(touch z)' 2>err.new >/dev/null; bash complete.bash $b/promote"
fi
if command -v zsh >/dev/null; then check "zsh reads its own" zsh -n $z; fi
if command -v fish >/dev/null; then check "fish reads its own" fish -n $f/hnsw-tools.fish; fi
check "uninstall" "$make uninstall && test -z \"\$(find image -type f -o -type l)\""
check "with PROGPREFIX" "$make PROGPREFIX=ht- install && test -x image/usr/bin/ht-promote -a -f image/usr/share/man/man1/ht-promote.1 -a ! -e image/usr/bin/promote"
check "scripts find their fellows by it" "PATH=$dir/image/usr/bin:/usr/bin:/bin; rm -rf store; vectors 300 4 1 | ht-ingest d && ht-index-add --eval-set e d && ht-evalset -q -N 20 --save e d && ht-autotune -q --min-recall 0 --grid 20/20 d && ht-activate -q d && head -n 1 store/primary/_hnsw_active/d/current.json | jq -e .generation"
check "so does the agent" "PATH=$dir/image/usr/bin:/usr/bin:/bin; ht-autotune-agent enqueue d && ht-autotune-agent once | jq -se 'map(.kind)[1] == \"trial_completed\"'"
check "uninstall with it" "$make PROGPREFIX=ht- uninstall && test -z \"\$(find image -type f -o -type l)\""
finish
