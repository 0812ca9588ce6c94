/* SPDX-License-Identifier: MIT */
#include "store/backend_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scan.h"

struct bucket {
	char *name;
	char *url;	     /* from buckets.json, else NULL */
	struct store *store; /* once it was asked for */
};

struct buckets {
	struct store *root;
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

bool buckets_exist(const struct buckets *b)
{
	return b->exist;
}

struct store *buckets_get(struct buckets *b, const char *name, struct err *err)
{
	struct bucket *k = find_bucket(b, span_of(name));
	if (!k && !(k = add_bucket(b, span_of(name), err)))
		return NULL;
	if (k->store)
		return k->store;
	struct buf url = BUF_INIT;
	const char *target = k->url ? k->url : name;
	if (target[0] != '/' && !strstr(target, "://")) {
		buf_adds(&url, store_url(b->root));
		buf_addc(&url, '/');
	}
	buf_adds(&url, target);
	if (buf_ok(&url, err) == 0)
		k->store = store_open(url.data, err);
	buf_release(&url);
	return k->store;
}

int buckets_list(struct buckets *b, struct store_names *out, struct err *err)
{
	if (store_list(b->root, "", true, out, err) != 0)
		return -1;
	for (size_t i = 0; i < b->count; i++)
		if (b->bucket[i].url && store_names_add_once(out, b->bucket[i].name, err) != 0)
			goto fail;
	if (store_names_add_once(out, "primary", err) != 0)
		goto fail;
	store_names_sort(out);
	return 0;
fail:
	store_names_release(out);
	return -1;
}
