#!/bin/sh
# Full and read-only disks: a clear status, and nothing acknowledged is lost.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all "mounting a small file system needs root"
mkdir small
mount -t tmpfs -o size=1m tmpfs small 2>/dev/null || skip_all "no tmpfs can be mounted here"
trap 'cd /; umount "$dir/small" 2>/dev/null; rm -rf "$dir"' EXIT

vectors 8000 32 1 >v.jsonl
status 6 "an index that does not fit" hnsw-build v.jsonl -o small/x.hnsw
says "No space left on device" "is told of"
check "and leaves nothing" 'test -z "$(ls -A small)"'
status 6 "a conversion that does not fit" hnsw-convert --type f64 v.jsonl -o small/x.npy
check "and leaves nothing either" 'test -z "$(ls -A small)"'
check "an old file stays" "echo old >small/keep.npy; hnsw-convert --type f64 v.jsonl -o small/keep.npy; grep -qx old small/keep.npy"
rm small/keep.npy

n=0
: >acked
while [ $n -lt 3000 ]; do
	n=$((n + 1))
	trial "t$n" 80 30 0.9 500 full "$(printf ',"pad":"%0400d"' 0)"
done >trials
status 6 "a journal that fills the disk" "trial-append -S small/store --batch 16 full <trials >acked"
says "No space left on device" "is told of"
check "what was acknowledged is there" "test -s acked && trial-list -S small/store full | cmp - acked"
check "and readable" "trial-best -S small/store full >best"
trial p 80 30 0.9 500 full >p
status 6 "a promotion on a full disk" "head -c 2000000 /dev/zero >small/fill; promote -S small/store full <p"
check "promoted nothing" "test ! -e small/store/primary/_hnsw_promotions/full.json"
rm -f small/fill
head -c 60000 acked | head -n 20 >few
rm -rf small/store
trial-append -S small/store full <few >o1
promote -S small/store full t1 >o1
head -c 2000000 /dev/zero >small/fill 2>/dev/null
status 6 "a rollback on a full disk" rollback -S small/store full
check "the promotion is as it was" "promoted --full -S small/store full | jq -e '.current.trial_id == \"t1\" and .revision == 1'"
status 6 "a compaction on a full disk" trial-compact -S small/store full
check "lost nothing" "trial-list -S small/store full | cmp - few"
rm small/fill

# ---- the scripts on a full TMPDIR ----
head -n 500 v.jsonl | ingest docs >o1
index-add --eval-set ev docs >o1
evalset -q -N 20 --save ev docs
mkdir small/tmp
head -c 2000000 /dev/zero >small/fill 2>/dev/null
status 6 "autotune" "TMPDIR=$PWD/small/tmp autotune -q --trust-stored --grid 20/20 docs"
says "cannot write '$PWD/small/tmp/autotune." "names the file"
status 6 "activate" "TMPDIR=$PWD/small/tmp activate -q docs"
says "cannot write '$PWD/small/tmp/activate." "names the file"
check "nothing is left of either" 'test -z "$(ls -A small/tmp)" && ! promoted docs 2>/dev/null && test ! -e store/primary/_hnsw_active'
rm -r small/fill small/tmp

vectors 3 4 1 a | ingest -S small/store two >o1
vectors 3 4 2 b | ingest -S small/store two >o1
mount -o remount,ro small
status 6 "a read-only store: append" "trial q 80 30 0.9 500 full | trial-append -S small/store"
says "Read-only file system" "is told of"
status 6 "promote" promote -S small/store full t2
status 6 "ingest" "vectors 3 4 1 | ingest -S small/store d"
status 6 "build" hnsw-build v.jsonl -o small/x.hnsw
check "reading works" "trial-list -S small/store full | cmp - few && promoted -S small/store full && trial-best -S small/store full"
check "a dataset of two batches, though no cache of it can be written" "hnsw-info -S small/store --vectors two | jq -e '.vectors == 6'"
check "an idempotent append needs no writing" "trial-append -S small/store full <few | cmp - few"
finish
