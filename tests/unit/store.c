/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/tap.h"

static struct err err;

static struct span text(const char *s)
{
	return span_of(s);
}

/* The blob is there and is that. */
static bool is(struct store *s, const char *key, const char *want)
{
	struct buf b = BUF_INIT;
	bool same = store_get(s, key, &b, NULL, &err) == 1 && span_is(buf_span(&b), want);
	buf_release(&b);
	return same;
}

static void test_blobs(struct store *s)
{
	struct buf b = BUF_INIT;
	struct store_tag tag, old;
	ok(store_get(s, "a/b", &b, NULL, &err) == 0, "nothing is there at first");
	ok(store_create(s, "a/b", text("one"), &err) == 0 && is(s, "a/b", "one"), "create");
	ok(store_create(s, "a/b", text("two"), &err) == 1 && is(s, "a/b", "one"),
	   "never overwrites");
	ok(store_put(s, "a/b", text("two"), &err) == 0 && is(s, "a/b", "two"), "put does");
	ok(store_get(s, "a/b", &b, &old, &err) == 1, "get with its tag");
	ok(store_swap(s, "a/b", NULL, text("x"), &err) == 1 && is(s, "a/b", "two"),
	   "swap for nothing fails where something is");
	ok(store_swap(s, "a/b", &old, text("three"), &err) == 0 && is(s, "a/b", "three"), "swap");
	ok(store_swap(s, "a/b", &old, text("four"), &err) == 1 && is(s, "a/b", "three"),
	   "a swap with an old tag fails");
	buf_clear(&b);
	ok(store_get(s, "a/b", &b, &tag, &err) == 1 && strcmp(tag.text, old.text) != 0,
	   "tags change");
	ok(store_swap(s, "a/new", NULL, text("n"), &err) == 0 && is(s, "a/new", "n"),
	   "swap for nothing creates");
	ok(store_delete(s, "a/new", &err) == 0 && store_delete(s, "a/new", &err) == 0,
	   "delete, twice");
	ok(store_create(s, "a/empty", text(""), &err) == 0 && is(s, "a/empty", ""),
	   "an empty blob");
	buf_release(&b);
}

static void test_keys(struct store *s)
{
	static const char *const bad[] = {"",	"/",	"/a", "a/",	"a//b",
					  ".a", "a/.b", "..", "a/../b", "."};
	bool refused = true;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refused &= store_put(s, bad[i], text("x"), &err) == -1 && err.code == ERR_USAGE;
	ok(refused, "keys that lead elsewhere are refused");
	char longest[2000];
	memset(longest, 'k', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	ok(store_put(s, longest, text("x"), &err) == -1, "so are endless ones");
}

static void test_list(struct store *s)
{
	struct store_names n;
	static const char *const keys[] = {"l/b", "l/a", "l/B", "l/sub/x", "l/a1", "l/sub2/y/z"};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		ok(store_put(s, keys[i], text("x"), &err) == 0, "put %s", keys[i]);
	ok(store_list(s, "l", false, &n, &err) == 0 && n.count == 4 &&
	       strcmp(n.name[0], "B") == 0 && strcmp(n.name[1], "a") == 0 &&
	       strcmp(n.name[2], "a1") == 0 && strcmp(n.name[3], "b") == 0,
	   "names in byte order");
	store_names_release(&n);
	ok(store_list(s, "l", true, &n, &err) == 0 && n.count == 2 &&
	       strcmp(n.name[0], "sub") == 0 && strcmp(n.name[1], "sub2") == 0,
	   "prefixes");
	store_names_release(&n);
	ok(store_list(s, "none", false, &n, &err) == 0 && n.count == 0, "nothing below no prefix");
	store_names_release(&n);
	ok(store_delete(s, "l/sub2/y/z", &err) == 0 && store_list(s, "l", true, &n, &err) == 0 &&
	       n.count == 1,
	   "a prefix without keys is none");
	store_names_release(&n);
}

static void test_lock(const char *url, struct store *s)
{
	struct store_lock *l = store_lock(s, "the/lock", 0, &err);
	ok(l != NULL, "lock");
	pid_t child = fork();
	if (child == 0) {
		struct store *other = store_open(url, &err);
		struct store_lock *m = other ? store_lock(other, "the/lock", 50, &err) : NULL;
		_exit(m || err.code != ERR_TEMP ? 1 : 0);
	}
	int status;
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "another process is told that it is taken");
	store_unlock(l);
	struct store_lock *m = store_lock(s, "the/lock", 0, &err);
	ok(m != NULL, "and can have it afterwards");
	store_unlock(m);
	child = fork();
	if (child == 0) {
		struct store_lock *held = store_lock(s, "the/lock", 0, &err);
		_exit(held ? 0 : 1); /* without unlocking */
	}
	waitpid(child, &status, 0);
	m = store_lock(s, "the/lock", 0, &err);
	ok(m != NULL, "the end of a process frees its locks");
	store_unlock(m);
}

struct pieces {
	struct buf all;
	size_t count;
};

static int take(void *ctx, struct span piece, struct err *e)
{
	struct pieces *p = ctx;
	(void)e;
	buf_addspan(&p->all, piece);
	p->count++;
	return 0;
}

static void test_streams(struct store *s)
{
	static const char *const keys[] = {"s/plain", "s/packed.zst"};
	struct buf big = BUF_INIT;
	for (int i = 0; i < 300000; i++)
		buf_addf(&big, "line %d\n", i % 1000);
	for (size_t k = 0; k < 2; k++) {
		struct pieces p = {BUF_INIT, 0};
		struct store_stage *st = store_stage_open(s, keys[k], &err);
		bool good =
		    st && store_stage_add(st, (struct span){big.data, 1000}, &err) == 0 &&
		    store_stage_add(st, (struct span){big.data + 1000, big.len - 1000}, &err) == 0;
		ok(good && store_read(s, keys[k], take, &p, &err) == 0,
		   "%s: nothing is seen before the commit", keys[k]);
		ok(store_stage_commit(st, keys[k], false, &err) == 0, "commit");
		store_stage_free(st);
		ok(store_read(s, keys[k], take, &p, &err) == 1 && p.all.len == big.len &&
		       memcmp(p.all.data, big.data, big.len) == 0 && p.count > 1,
		   "it reads back, in pieces");
		st = store_stage_open(s, keys[k], &err);
		ok(st && store_stage_commit(st, keys[k], false, &err) == 1, "a taken key is kept");
		ok(store_stage_commit(st, keys[k], true, &err) == 0, "unless it is to be replaced");
		store_stage_free(st);
		buf_release(&p.all);
	}
	buf_release(&big);
}

static void test_buckets(const char *url)
{
	struct store *root = store_open(url, &err);
	ok(store_put(root, "buckets.json", text("{\"far\":\"elsewhere\",\"bad\":\"ftp://x\"}"),
		     &err) == 0,
	   "buckets.json");
	struct buckets *b = buckets_open(url, &err);
	struct store *far = buckets_get(b, "far", &err), *primary = buckets_get(b, "primary", &err);
	ok(far && store_put(far, "k", text("v"), &err) == 0 && is(root, "elsewhere/k", "v"),
	   "a mapped bucket, relative to the root");
	ok(primary && store_put(primary, "k", text("p"), &err) == 0 && is(root, "primary/k", "p"),
	   "others are directories");
	ok(buckets_get(b, "bad", &err) == NULL && err.code == ERR_USAGE,
	   "one that cannot be opened: %s", err.msg);
	struct store_names n;
	bool all = buckets_list(b, &n, &err) == 0;
	for (size_t i = 0; all && i + 1 < n.count; i++)
		all &= strcmp(n.name[i], n.name[i + 1]) < 0;
	ok(all && n.count >= 4, "all buckets, each once");
	store_names_release(&n);
	buckets_close(b);
	ok(store_put(root, "buckets.json", text("{\"far\":1}"), &err) == 0 &&
	       buckets_open(url, &err) == NULL && err.code == ERR_DATA,
	   "a malformed buckets.json: %s", err.msg);
	store_close(root);
}

int main(void)
{
	char dir[256], url[280], command[280];
	if (!tap_dir(dir, sizeof dir))
		return 1;
	snprintf(url, sizeof url, "%s/deep/store/", dir);
	struct store *s = store_open(url, &err);
	test_blobs(s);
	test_keys(s);
	test_list(s);
	test_lock(url, s);
	test_streams(s);
	store_close(s);
	test_buckets(url);
	ok(store_open("s4://x", &err) == NULL && err.code == ERR_USAGE, "an unknown scheme: %s",
	   err.msg);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) != 0 || tap_end();
}
