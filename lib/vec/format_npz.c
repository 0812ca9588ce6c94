/* SPDX-License-Identifier: MIT */
/* An array out of NumPy's .npz: a ZIP archive (APPNOTE.TXT 6.3) of .npy files, stored or
 * deflated. */
#include <stdlib.h>

#include "base/mem.h"
#include "pack/pack.h"
#include "vec/format_internal.h"

#define END_MARK 0x06054b50u
#define END64_MARK 0x06064b50u
#define END64_PLACE_MARK 0x07064b50u
#define ENTRY_MARK 0x02014b50u
#define FILE_MARK 0x04034b50u
#define COMMENT_MAX 65535
#define SUFFIX ".npy"
enum { STORED = 0, DEFLATED = 8 };

struct member {
	struct span name;
	uint64_t packed, bytes, offset;
	unsigned method;
	bool encrypted;
};

struct archive {
	struct span data;
	uint64_t directory, entries;
};

static uint64_t number(struct span s, uint64_t at, unsigned width)
{
	uint64_t v = 0;
	if (at <= s.n && width <= s.n - at)
		memcpy(&v, s.p + at, width);
	return v;
}

/* The end of the directory stands at the end, before a comment. */
static int find_directory(struct archive *a, struct err *err)
{
	const size_t least = 22;
	size_t n = a->data.n, far = n > least + COMMENT_MAX ? n - least - COMMENT_MAX : 0, at = n;
	for (size_t i = n >= least ? n - least + 1 : 0; i-- > far && at == n;)
		if (number(a->data, i, 4) == END_MARK)
			at = i;
	if (at == n)
		return err_set(err, ERR_DATA, "is not a .npz file, or is truncated");
	a->entries = number(a->data, at + 10, 2);
	a->directory = number(a->data, at + 16, 4);
	if ((a->entries == 0xffff || a->directory == 0xffffffff) && at >= 20 &&
	    number(a->data, at - 20, 4) == END64_PLACE_MARK) {
		uint64_t end = number(a->data, at - 12, 8);
		if (end > n || number(a->data, end, 4) != END64_MARK)
			return err_set(err, ERR_DATA, "has a damaged directory");
		a->entries = number(a->data, end + 32, 8);
		a->directory = number(a->data, end + 48, 8);
	}
	return 0;
}

/* Sizes that do not fit in 32 bits are in an extra field, in this order. */
static void read_zip64(struct span extra, struct member *m)
{
	uint64_t at = 0;
	while (extra.n - at >= 4) {
		uint64_t size = number(extra, at + 2, 2), value = at + 4;
		if (size > extra.n - at - 4)
			return;
		if (number(extra, at, 2) == 1) {
			uint64_t *const fields[] = {&m->bytes, &m->packed, &m->offset};
			for (size_t i = 0; i < 3; i++)
				if (*fields[i] == 0xffffffff) {
					*fields[i] = number(extra, value, 8);
					value += 8;
				}
			return;
		}
		at += 4 + size;
	}
}

/* Read the entry at ${at} of the directory, and go on to the next. */
static int read_entry(const struct archive *a, uint64_t *at, struct member *m, struct err *err)
{
	struct span d = a->data;
	const uint64_t head = 46;
	uint64_t name = number(d, *at + 28, 2), extra = number(d, *at + 30, 2),
		 comment = number(d, *at + 32, 2);
	if (*at > d.n || d.n - *at < head || number(d, *at, 4) != ENTRY_MARK ||
	    name + extra > d.n - *at - head)
		return err_set(err, ERR_DATA, "has a damaged directory");
	*m = (struct member){.name = {d.p + *at + head, name},
			     .encrypted = number(d, *at + 8, 2) & 1,
			     .method = (unsigned)number(d, *at + 10, 2),
			     .packed = number(d, *at + 20, 4),
			     .bytes = number(d, *at + 24, 4),
			     .offset = number(d, *at + 42, 4)};
	read_zip64((struct span){d.p + *at + head + name, extra}, m);
	*at += head + name + extra + comment;
	return 0;
}

static bool is_array(const struct member *m, const char *wanted)
{
	size_t n = sizeof SUFFIX - 1;
	if (m->name.n < n || memcmp(m->name.p + m->name.n - n, SUFFIX, n) != 0)
		return false;
	return !wanted || span_is((struct span){m->name.p, m->name.n - n}, wanted) ||
	       span_is(m->name, wanted);
}

static int find_member(const struct archive *a, const char *wanted, struct member *out,
		       struct err *err)
{
	uint64_t at = a->directory;
	size_t found = 0;
	struct member m;
	struct buf names = BUF_INIT;
	int ret = 0;
	for (uint64_t i = 0; ret == 0 && i < a->entries; i++) {
		ret = read_entry(a, &at, &m, err);
		if (ret != 0 || !is_array(&m, wanted))
			continue;
		if (found++ == 0)
			*out = m;
		if (names.len < 200)
			buf_addf(&names, "%s'%.*s'", found > 1 ? ", " : "",
				 (int)(m.name.n < 50 ? m.name.n : 50), m.name.p);
	}
	if (ret == 0 && found == 0)
		ret = err_set(err, wanted ? ERR_USAGE : ERR_DATA, "has no array%s%.100s",
			      wanted ? " " : "", wanted ? wanted : "");
	if (ret == 0 && found > 1 && (ret = buf_ok(&names, err)) == 0)
		ret = err_set(err, ERR_USAGE,
			      "has %zu arrays that could be meant, %s: name one with --column",
			      found, names.data);
	buf_release(&names);
	return ret;
}

/* The bytes of a member, as they are in the archive. */
static int find_content(const struct archive *a, const struct member *m, struct span *out,
			struct err *err)
{
	const uint64_t head = 30;
	uint64_t n = a->data.n, start;
	if (m->offset > n || n - m->offset < head || number(a->data, m->offset, 4) != FILE_MARK)
		return err_set(err, ERR_DATA, "has a damaged directory");
	start = m->offset + head + number(a->data, m->offset + 26, 2) +
		number(a->data, m->offset + 28, 2);
	if (start > n || m->packed > n - start)
		return err_set(err, ERR_DATA, "has an array that is cut off");
	if (m->encrypted || (m->method != STORED && m->method != DEFLATED))
		return err_set(
		    err, ERR_DATA,
		    "has an array that is encrypted, or compressed by a method that NumPy "
		    "does not use");
	*out = (struct span){a->data.p + start, m->packed};
	return 0;
}

static int unpack(const struct member *m, struct span *content, char **owned, struct err *err)
{
	if (m->method == STORED)
		return 0;
	if (m->bytes > pack_bound(PACK_DEFLATE, content->n))
		return err_set(err, ERR_DATA,
			       "has an array of %zu bytes, which cannot unpack to %llu", content->n,
			       (unsigned long long)m->bytes);
	*owned = mem_array(m->bytes ? m->bytes : 1, 1, err);
	if (!*owned || pack_block(PACK_DEFLATE, *content, *owned, m->bytes, err) != 0)
		return -1;
	*content = (struct span){*owned, m->bytes};
	return 0;
}

int vec_read_npz(struct vec_found *f, struct span data, const struct vec_input *how,
		 const char *name, struct err *err)
{
	struct archive a = {.data = data};
	struct member m = {0};
	struct span content = {0};
	char *owned = NULL;
	if (find_directory(&a, err) != 0 || find_member(&a, how->column, &m, err) != 0 ||
	    find_content(&a, &m, &content, err) != 0 || unpack(&m, &content, &owned, err) != 0) {
		free(owned);
		return err->code == ERR_ENV ? -1 : err_prefix(err, "'%s'", name);
	}
	int ret = vec_read_npy(f, content, name, err);
	if (ret == 0 && !f->owned)
		f->owned = owned;
	else
		free(owned);
	return ret;
}
