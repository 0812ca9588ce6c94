/* SPDX-License-Identifier: MIT */
/* The pages of a column in one row group of a Parquet file: a dictionary perhaps, then data. */
#include "vec/parquet_internal.h"

#include <stdlib.h>

#include "pack/pack.h"
#include "vec/thrift.h"

#define FORGET_BYTES ((size_t)16 << 20) /* of a mapped file that are held at once */

enum { PAGE_DATA, PAGE_INDEX, PAGE_DICTIONARY, PAGE_DATA_V2 };
enum { ENCODING_RLE = 3 };

struct page {
	int64_t type, bytes, packed_bytes; /* as long as it is unpacked and in the file */
	int64_t values, encoding;
	int64_t def_encoding, rep_encoding; /* version 1 */
	int64_t def_bytes, rep_bytes;	    /* version 2 */
	bool packed;
};

struct reader {
	struct pq_file *file;
	const struct pq_column *column;
	const struct pq_sink *sink;
	struct pq_decoder decoder;
	struct pq_room body, dictionary; /* of pages that were unpacked */
	int64_t codec;
	uint64_t left; /* values */
};

/* ---- headers ---- */

static void read_data_header(struct thrift *t, const struct thrift_field *of, struct page *p)
{
	struct thrift_field f = {0};
	if (!thrift_struct(t, of))
		return;
	while (thrift_field(t, &f)) {
		if (f.id == 1)
			p->values = thrift_int(t, &f);
		else if (f.id == 2)
			p->encoding = thrift_int(t, &f);
		else if (f.id == 3)
			p->def_encoding = thrift_int(t, &f);
		else if (f.id == 4)
			p->rep_encoding = thrift_int(t, &f);
		else
			thrift_skip(t, f.type);
	}
}

static void read_data_header_v2(struct thrift *t, const struct thrift_field *of, struct page *p)
{
	struct thrift_field f = {0};
	if (!thrift_struct(t, of))
		return;
	while (thrift_field(t, &f)) {
		if (f.id == 1)
			p->values = thrift_int(t, &f);
		else if (f.id == 4)
			p->encoding = thrift_int(t, &f);
		else if (f.id == 5)
			p->def_bytes = thrift_int(t, &f);
		else if (f.id == 6)
			p->rep_bytes = thrift_int(t, &f);
		else if (f.id == 7)
			p->packed = thrift_bool(t, &f);
		else
			thrift_skip(t, f.type);
	}
}

static void read_dictionary_header(struct thrift *t, const struct thrift_field *of, struct page *p)
{
	struct thrift_field f = {0};
	if (!thrift_struct(t, of))
		return;
	while (thrift_field(t, &f)) {
		if (f.id == 1)
			p->values = thrift_int(t, &f);
		else if (f.id == 2)
			p->encoding = thrift_int(t, &f);
		else
			thrift_skip(t, f.type);
	}
}

/* Read the header at the beginning of ${rest}, and cut it off. */
static int read_header(struct span *rest, struct page *p, struct err *err)
{
	struct thrift t;
	struct thrift_field f = {0};
	*p = (struct page){.type = -1, .packed = true};
	thrift_init(&t, *rest);
	while (thrift_field(&t, &f)) {
		if (f.id == 1)
			p->type = thrift_int(&t, &f);
		else if (f.id == 2)
			p->bytes = thrift_int(&t, &f);
		else if (f.id == 3)
			p->packed_bytes = thrift_int(&t, &f);
		else if (f.id == 5)
			read_data_header(&t, &f, p);
		else if (f.id == 7)
			read_dictionary_header(&t, &f, p);
		else if (f.id == 8)
			read_data_header_v2(&t, &f, p);
		else
			thrift_skip(&t, f.type);
	}
	size_t used = (size_t)(t.p - (const unsigned char *)rest->p);
	if (t.failed || p->bytes < 0 || p->values < 0 || p->packed_bytes < 0 ||
	    (uint64_t)p->packed_bytes > rest->n - used)
		return err_set(err, ERR_DATA, "a page has a bad header, or is cut off");
	*rest = (struct span){rest->p + used, rest->n - used};
	return 0;
}

/* ---- bodies ---- */

static int codec_of(int64_t codec, enum pack_codec *out, struct err *err)
{
	static const char *const names[] = {"none",   "snappy",	      "gzip", "lzo",
					    "brotli", "lz4 (Hadoop)", "zstd", "lz4_raw"};
	static const int known[] = {PACK_NONE, PACK_SNAPPY, PACK_GZIP, -1,
				    -1,	       -1,	    PACK_ZSTD, PACK_LZ4};
	bool named = codec >= 0 && codec < (int64_t)(sizeof known / sizeof known[0]);
	if (!named || known[codec] < 0)
		return err_set(
		    err, ERR_DATA,
		    "it is compressed with %s, which is not read, unlike none, snappy, gzip, "
		    "zstd and lz4_raw",
		    named ? names[codec] : "an unknown codec");
	*out = (enum pack_codec)known[codec];
	return 0;
}

/* Unpack ${in} to ${size} bytes, or leave it where it is. */
static int unpack(struct reader *r, struct span in, uint64_t size, struct pq_room *room,
		  struct span *out, struct err *err)
{
	enum pack_codec codec = PACK_NONE;
	*out = in;
	if (codec_of(r->codec, &codec, err) != 0)
		return -1;
	if (codec == PACK_NONE)
		return 0;
	if (size > pack_bound(codec, in.n))
		return err_set(err, ERR_DATA, "a page of %zu bytes cannot unpack to %llu", in.n,
			       (unsigned long long)size);
	unsigned char *to = pq_room(room, size, 1, err);
	if (!to || pq_spend(r->file, size, err) != 0)
		return -1;
	*out = (struct span){(const char *)to, size};
	return pack_block(codec, in, to, size, err);
}

static unsigned bits_of(uint32_t max)
{
	unsigned n = 0;
	while (max >> n)
		n++;
	return n;
}

/* Cut the first ${n} bytes off. */
static int cut(struct span *from, uint64_t n, struct span *out, struct err *err)
{
	if (n > from->n)
		return err_set(err, ERR_DATA, "the levels of a page are longer than the page");
	*out = (struct span){from->p, n};
	*from = (struct span){from->p + n, from->n - n};
	return 0;
}

/* Levels of version 1: their length comes before them. */
static int cut_levels(struct span *body, uint32_t max, int64_t encoding, struct span *out,
		      struct err *err)
{
	uint32_t n;
	struct span head = {0};
	*out = (struct span){body->p, 0};
	if (max == 0)
		return 0;
	if (encoding != ENCODING_RLE)
		return err_set(err, ERR_DATA,
			       "the levels of a page have encoding %lld, which is not read",
			       (long long)encoding);
	if (cut(body, sizeof n, &head, err) != 0)
		return -1;
	memcpy(&n, head.p, sizeof n);
	return cut(body, n, out, err);
}

/* Hand on levels, in runs of which both are the same. */
static int take_levels(struct reader *r, struct span rep, struct span def, uint64_t n,
		       struct err *err)
{
	const struct pq_column *c = r->column;
	struct pq_hybrid reps, defs;
	uint32_t rep_now = 0, def_now = 0;
	uint64_t rep_left = 0, def_left = 0;
	pq_hybrid_init(&reps, rep, bits_of(c->lists));
	pq_hybrid_init(&defs, def, bits_of(c->max_def));
	while (n) {
		if (rep_left == 0)
			rep_left = c->lists ? pq_hybrid_run(&reps, n, &rep_now) : n;
		if (def_left == 0)
			def_left = c->max_def ? pq_hybrid_run(&defs, n, &def_now) : n;
		uint64_t run = rep_left < def_left ? rep_left : def_left;
		if (run == 0 || rep_now > c->lists || def_now > c->max_def)
			return err_set(err, ERR_DATA, "the levels of a page are damaged");
		if (r->sink->levels(r->sink->ctx, rep_now, def_now, run, err) != 0)
			return -1;
		rep_left -= run;
		def_left -= run;
		n -= run;
	}
	return 0;
}

static int take_values(struct reader *r, const struct page *p, struct span rep, struct span def,
		       struct span values, struct err *err)
{
	struct pq_values v;
	uint64_t n = (uint64_t)p->values;
	if (n > r->left)
		return err_set(err, ERR_DATA, "its pages have more values than the footer says");
	r->left -= n;
	if (take_levels(r, rep, def, n, err) != 0 ||
	    pq_decode(&r->decoder, p->encoding, values, n, &v, err) != 0)
		return -1;
	return r->sink->values(r->sink->ctx, &v, err);
}

static int read_data(struct reader *r, const struct page *p, struct span body, struct err *err)
{
	struct span rep, def, values;
	if (unpack(r, body, (uint64_t)p->bytes, &r->body, &values, err) != 0 ||
	    cut_levels(&values, r->column->lists, p->rep_encoding, &rep, err) != 0 ||
	    cut_levels(&values, r->column->max_def, p->def_encoding, &def, err) != 0)
		return -1;
	return take_values(r, p, rep, def, values, err);
}

/* Version 2: the levels are never packed. */
static int read_data_v2(struct reader *r, struct page *p, struct span body, struct err *err)
{
	struct span rep, def, values = body;
	if (p->rep_bytes < 0 || p->def_bytes < 0 || p->bytes < p->rep_bytes ||
	    p->bytes - p->rep_bytes < p->def_bytes)
		return err_set(err, ERR_DATA, "a page has a bad header");
	if (cut(&body, (uint64_t)p->rep_bytes, &rep, err) != 0 ||
	    cut(&body, (uint64_t)p->def_bytes, &def, err) != 0)
		return -1;
	values = body;
	/* Of nothing, some writers pack nothing. */
	if (p->packed && body.n &&
	    unpack(r, body, (uint64_t)(p->bytes - p->rep_bytes - p->def_bytes), &r->body, &values,
		   err) != 0)
		return -1;
	return take_values(r, p, rep, def, values, err);
}

static int read_dictionary(struct reader *r, const struct page *p, struct span body,
			   struct err *err)
{
	struct span page;
	if (unpack(r, body, (uint64_t)p->bytes, &r->dictionary, &page, err) != 0)
		return -1;
	return pq_take_dictionary(&r->decoder, p->encoding, page, (uint64_t)p->values, err);
}

static int read_page(struct reader *r, struct span *rest, struct err *err)
{
	struct page p;
	if (read_header(rest, &p, err) != 0)
		return -1;
	struct span body = {rest->p, (size_t)p.packed_bytes};
	*rest = (struct span){rest->p + body.n, rest->n - body.n};
	switch (p.type) {
	case PAGE_DATA:
		return read_data(r, &p, body, err);
	case PAGE_DATA_V2:
		return read_data_v2(r, &p, body, err);
	case PAGE_DICTIONARY:
		return read_dictionary(r, &p, body, err);
	default:
		return 0; /* to be skipped, says the format */
	}
}

/* What was copied is not needed again. */
static void forget(struct pq_file *f, size_t bytes)
{
	f->unforgotten += bytes;
	if (f->unforgotten < FORGET_BYTES)
		return;
	io_map_forget(f->map);
	f->unforgotten = 0;
}

int pq_read_chunk(struct pq_file *f, const struct pq_column *c, const struct pq_chunk *chunk,
		  const struct pq_sink *sink, struct err *err)
{
	struct reader r = {.file = f,
			   .column = c,
			   .sink = sink,
			   .decoder = {.file = f, .column = c},
			   .codec = chunk->codec,
			   .left = chunk->values};
	if (chunk->elsewhere)
		return err_set(err, ERR_DATA,
			       "it is in another file or encrypted, which is not read");
	if (chunk->start > f->data.n || chunk->size > f->data.n - chunk->start)
		return err_set(err, ERR_DATA, "its place is beyond the end of the file");
	f->seen += chunk->size;
	if (f->seen > f->data.n)
		return err_set(err, ERR_DATA, "it shares its place with others");
	struct span rest = {f->data.p + chunk->start, chunk->size};
	int ret = 0;
	while (ret == 0 && r.left) {
		size_t before = rest.n;
		ret = before
			  ? read_page(&r, &rest, err)
			  : err_set(err, ERR_DATA, "%llu of its %llu values are missing",
				    (unsigned long long)r.left, (unsigned long long)chunk->values);
		forget(f, before - rest.n);
	}
	pq_decoder_release(&r.decoder);
	free(r.body.p);
	free(r.dictionary.p);
	return ret;
}
