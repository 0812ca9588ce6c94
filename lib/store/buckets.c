/* SPDX-License-Identifier: MIT */
#include "store/backend_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/scan.h"

struct bucket {
	char *name;
	char *url;	     /* from buckets.json, else NULL */
	struct store *store; /* once it was asked for */
};

struct buckets {
	struct store *root;
	int patience_ms;
	struct warn_to warn;
	bool exist;
	struct bucket *bucket;
	size_t count;
};

static struct bucket *add_bucket(struct buckets *b, struct span name, struct err *err)
{
	struct bucket *grown = mem_resize(b->bucket, b->count + 1, sizeof *grown, err);
	if (!grown)
		return NULL;
	b->bucket = grown;
	struct bucket *k = &grown[b->count];
	*k = (struct bucket){.name = span_dup(name)};
	if (!k->name) {
		err_nomem(err);
		return NULL;
	}
	b->count++;
	return k;
}

static struct bucket *find_bucket(struct buckets *b, struct span name)
{
	for (size_t i = 0; i < b->count; i++)
		if (span_is(name, b->bucket[i].name))
			return &b->bucket[i];
	return NULL;
}

/* {"name":"directory or URL",...} */
static int read_map(struct buckets *b, struct span text, struct err *err)
{
	struct scan s;
	struct span key, url;
	struct buf name = BUF_INIT, target = BUF_INIT;
	int ret = 0;
	scan_init(&s, text);
	if (scan_object(&s))
		while (ret == 0 && scan_member(&s, &key)) {
			if (!scan_string(&s, &url))
				break;
			buf_clear(&name);
			buf_clear(&target);
			scan_decode(key, &name);
			scan_decode(url, &target);
			if (buf_ok(&name, err) != 0 || buf_ok(&target, err) != 0) {
				ret = -1;
				break;
			}
			const char *fault = name_fault(buf_span(&name));
			if (!fault && target.len && memchr(target.data, 0, target.len))
				fault = "has a directory with a NUL in it";
			if (fault) {
				ret = err_set(err, ERR_DATA, "bad bucket name '%.100s': it %s",
					      name.len ? name.data : "", fault);
				break;
			}
			struct bucket *k = find_bucket(b, buf_span(&name));
			if (!k)
				k = add_bucket(b, buf_span(&name), err);
			if (k) {
				free(k->url);
				k->url = span_dup(buf_span(&target));
			}
			if (!k || !k->url)
				ret = err_nomem(err);
		}
	if (ret == 0 && !scan_end(&s))
		ret = scan_err(&s, err);
	buf_release(&name);
	buf_release(&target);
	return ret;
}

struct buckets *buckets_open(const char *url, struct err *err)
{
	struct buf text = BUF_INIT;
	struct store_names names = {0};
	struct buckets *b = mem_zeroed(1, sizeof *b, err);
	if (!b)
		return NULL;
	b->root = store_open(url, err);
	b->patience_ms = STORE_PATIENCE_MS;
	int got = b->root ? store_get(b->root, "buckets.json", &text, NULL, err) : -1;
	if (got > 0 && read_map(b, buf_span(&text), err) != 0) {
		err_prefix(err, "'%s/buckets.json'", url);
		got = -1;
	}
	if (got == 0 && store_list(b->root, "", true, &names, err) != 0)
		got = -1;
	b->exist = got > 0 || names.count > 0;
	store_names_release(&names);
	buf_release(&text);
	if (got < 0) {
		buckets_close(b);
		return NULL;
	}
	return b;
}

void buckets_close(struct buckets *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->count; i++) {
		store_close(b->bucket[i].store);
		free(b->bucket[i].url);
		free(b->bucket[i].name);
	}
	free(b->bucket);
	store_close(b->root);
	free(b);
}

const char *buckets_url(const struct buckets *b)
{
	return store_url(b->root);
}

void buckets_be_patient(struct buckets *b, int wait_ms, const struct warn_to *w)
{
	b->patience_ms = wait_ms;
	b->warn = *w;
	store_be_patient(b->root, wait_ms, w);
	for (size_t i = 0; i < b->count; i++)
		if (b->bucket[i].store)
			store_be_patient(b->bucket[i].store, wait_ms, w);
}

bool buckets_exist(const struct buckets *b)
{
	return b->exist;
}

static struct bucket *get_bucket(struct buckets *b, const char *name, struct err *err)
{
	struct bucket *k = find_bucket(b, span_of(name));
	return k ? k : add_bucket(b, span_of(name), err);
}

/* Where a bucket is. */
static int bucket_url(struct buckets *b, const struct bucket *k, struct buf *url, struct err *err)
{
	const char *target = k->url ? k->url : k->name;
	if (target[0] != '/' && !strstr(target, "://")) {
		buf_adds(url, store_url(b->root));
		buf_addc(url, '/');
	}
	buf_adds(url, target);
	return buf_ok(url, err);
}

struct store *buckets_get(struct buckets *b, const char *name, struct err *err)
{
	const char *fault = name_fault(span_of(name));
	struct buf url = BUF_INIT;
	if (fault) {
		err_set(err, ERR_DATA, "bad bucket name '%.100s': it %s", name, fault);
		return NULL;
	}
	struct bucket *k = get_bucket(b, name, err);
	if (!k || k->store)
		return k ? k->store : NULL;
	if (bucket_url(b, k, &url, err) == 0)
		k->store = store_open(url.data, err);
	if (k->store)
		store_be_patient(k->store, b->patience_ms, &b->warn);
	buf_release(&url);
	return k->store;
}

int buckets_probe(struct buckets *b, const char *name, struct bucket_state *out, struct err *err)
{
	struct store_names prefixes = {0}, blobs = {0};
	struct bucket *k = get_bucket(b, name, err);
	*out = (struct bucket_state){.url = BUF_INIT};
	if (!k || bucket_url(b, k, &out->url, err) != 0) {
		buf_release(&out->url);
		return -1;
	}
	struct store *s = buckets_get(b, name, &out->why);
	out->reachable = s && store_list(s, "", true, &prefixes, &out->why) == 0 &&
			 store_list(s, "", false, &blobs, &out->why) == 0;
	out->empty = out->reachable && prefixes.count + blobs.count == 0;
	store_names_release(&prefixes);
	store_names_release(&blobs);
	return 0;
}

int buckets_list(struct buckets *b, struct store_names *out, struct err *err)
{
	if (store_list(b->root, "", true, out, err) != 0)
		return -1;
	for (size_t i = 0; i < b->count; i++)
		if (b->bucket[i].url && store_names_add(out, b->bucket[i].name, err) != 0)
			goto fail;
	if (store_names_add(out, "primary", err) != 0)
		goto fail;
	store_names_sort_unique(out);
	return 0;
fail:
	store_names_release(out);
	return -1;
}
