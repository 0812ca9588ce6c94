/* SPDX-License-Identifier: MIT */
#include "record/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"

static bool scan_u32(struct scan *s, uint32_t *out)
{
	uint64_t v;
	if (!scan_u64(s, &v))
		return false;
	if (v < 1 || v > UINT32_MAX) {
		scan_fail(s, "expected a whole number from 1 on");
		return false;
	}
	*out = (uint32_t)v;
	return true;
}

static void scan_storage(struct scan *s, enum hnsw_storage *out)
{
	struct span name;
	if (scan_null(s) || !scan_string(s, &name))
		return;
	for (int i = 0; hnsw_storage_names[i]; i++)
		if (span_is(name, hnsw_storage_names[i])) {
			*out = (enum hnsw_storage)i;
			return;
		}
	scan_fail(s, "unknown storage, expected f32, u8, sq8, f16, bf16 or auto");
}

bool config_scan(struct scan *s, struct config *c)
{
	struct config d = CONFIG_DEFAULT;
	bool ec = false, es = false;
	unsigned keys = 0;
	struct span key;
	d.m = CONFIG_M_UNSAID;
	if (!scan_object(s))
		return false;
	while (scan_member(s, &key)) {
		if (scan_key_is(s, key, "ef_construction", &keys, 0))
			ec = scan_u32(s, &d.ef_construction);
		else if (scan_key_is(s, key, "ef_search", &keys, 1))
			es = scan_u32(s, &d.ef_search);
		else if (scan_key_is(s, key, "m", &keys, 2))
			scan_u32(s, &d.m);
		else if (span_is(key, "rung"))
			scan_u32(s, &d.rung);
		else if (span_is(key, "storage"))
			scan_storage(s, &d.storage);
		else if (scan_key_is(s, key, "seed", &keys, 3)) {
			if (!scan_null(s))
				scan_u64(s, &d.seed);
		} else {
			scan_skip(s, NULL);
		}
	}
	if (!scan_failed(s) && !ec)
		scan_fail(s, "the config has no 'ef_construction'");
	if (!scan_failed(s) && !es)
		scan_fail(s, "the config has no 'ef_search'");
	if (scan_failed(s))
		return false;
	*c = d;
	return true;
}

int config_parse(struct span text, struct config *c, struct err *err)
{
	struct scan s;
	scan_init(&s, text);
	return config_scan(&s, c) && scan_end(&s) ? 0 : scan_err(&s, err);
}

void config_write(struct json_out *j, const struct config *c)
{
	json_open(j, '{');
	json_kv_u64(j, "ef_construction", c->ef_construction);
	json_kv_u64(j, "ef_search", c->ef_search);
	json_kv_u64(j, "seed", c->seed);
	json_kv_u64(j, "m", c->m);
	if (c->storage != HNSW_AUTO)
		json_kv_cstr(j, "storage", hnsw_storage_names[c->storage]);
	if (c->rung)
		json_kv_u64(j, "rung", c->rung);
	json_close(j, '}');
}

static int check(const char *name, uint32_t v, uint32_t min, uint32_t max, struct err *err)
{
	if (v >= min && v <= max)
		return 0;
	return err_set(err, ERR_DATA, "proposed %s=%u out of bounds %u..%u", name, v, min, max);
}

int config_check_bounds(const struct config *c, struct err *err)
{
	if (check("ef_construction", c->ef_construction, CONFIG_EF_CONSTRUCTION_MIN,
		  CONFIG_EF_CONSTRUCTION_MAX, err) != 0 ||
	    check("ef_search", c->ef_search, CONFIG_EF_SEARCH_MIN, CONFIG_EF_SEARCH_MAX, err) !=
		0 ||
	    check("m", c->m, CONFIG_M_MIN, CONFIG_M_MAX, err) != 0)
		return -1;
	return 0;
}

bool config_same(const struct config *a, const struct config *b)
{
	return a->ef_search == b->ef_search && config_same_build(a, b);
}

bool config_same_build(const struct config *a, const struct config *b)
{
	return a->ef_construction == b->ef_construction && a->m == b->m && a->seed == b->seed &&
	       a->storage == b->storage && a->rung == b->rung;
}

int config_list_read(struct config_list *l, const char *file, struct err *err)
{
	struct buf text = BUF_INIT;
	int ret = io_read_file(file, (size_t)64 << 20, &text, err);
	for (size_t at = 0, line = 1; ret == 0 && at < text.len; line++) {
		const char *from = text.data + at, *end = memchr(from, '\n', text.len - at);
		struct span s = {from, end ? (size_t)(end - from) : text.len - at};
		at += s.n + 1;
		if (s.n == 0)
			continue;
		/* Room doubles at each power of 2. */
		if ((l->n & (l->n - 1)) == 0) {
			struct config *grown =
			    mem_resize(l->v, l->n ? 2 * l->n : 1, sizeof *grown, err);
			if (!grown) {
				ret = -1;
				break;
			}
			l->v = grown;
		}
		if (config_parse(s, &l->v[l->n++], err) != 0)
			ret = err_prefix(err, "'%s' line %zu", file, line);
	}
	buf_release(&text);
	return ret;
}

bool config_list_has(const struct config_list *l, const struct config *c)
{
	for (size_t i = 0; i < l->n; i++)
		if (config_same(&l->v[i], c))
			return true;
	return false;
}

void config_list_release(struct config_list *l)
{
	free(l->v);
	*l = (struct config_list){0};
}
