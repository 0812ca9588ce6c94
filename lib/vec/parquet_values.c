/* SPDX-License-Identifier: MIT */
/* Values of a Parquet file out of their encodings (parquet-format/Encodings.md). */
#include "vec/parquet_internal.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/thrift.h"

enum {
	PLAIN = 0,
	PLAIN_DICTIONARY = 2, /* what RLE_DICTIONARY was called in version 1 */
	DELTA_BINARY_PACKED = 5,
	DELTA_LENGTH_BYTE_ARRAY = 6,
	DELTA_BYTE_ARRAY = 7,
	RLE_DICTIONARY = 8,
	BYTE_STREAM_SPLIT = 9,
};

#define TILE 1024 /* values that are put together at once */
#define MAX_MINIBLOCKS 512

void *pq_room(struct pq_room *r, size_t count, size_t size, struct err *err)
{
	size_t bytes;
	if (!num_mul(count, size, &bytes)) {
		err_nomem(err);
		return NULL;
	}
	if (bytes > r->bytes || !r->p) {
		free(r->p);
		r->bytes = 0;
		r->p = mem_array(bytes ? bytes : 1, 1, err);
		r->bytes = r->p ? bytes : 0;
	}
	return r->p;
}

void pq_decoder_release(struct pq_decoder *d)
{
	free(d->dictionary_items.p);
	free(d->data.p);
	free(d->items.p);
	free(d->text.p);
	free(d->lengths.p);
}

static int damaged(struct err *err)
{
	return err_set(err, ERR_DATA, "the values of a page are damaged");
}

static int not_read(int64_t encoding, struct err *err)
{
	static const char *const names[] = {
	    "PLAIN",	      "GROUP_VAR_INT",	     "PLAIN_DICTIONARY",	"RLE",
	    "BIT_PACKED",     "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
	    "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"};
	if (encoding >= 0 && encoding < (int64_t)(sizeof names / sizeof names[0]))
		return err_set(err, ERR_DATA, "it has encoding %s, which is not read",
			       names[encoding]);
	return err_set(err, ERR_DATA, "it has the unknown encoding %lld", (long long)encoding);
}

/* ---- runs and packed numbers ---- */

void pq_hybrid_init(struct pq_hybrid *h, struct span data, unsigned width)
{
	const unsigned char *p = (const unsigned char *)data.p;
	*h = (struct pq_hybrid){.p = p, .end = p + data.n, .width = width};
}

/* The packed number at ${bit}, of at most 32 bits, and what follows it. */
static uint64_t peek_bits(const struct pq_hybrid *h)
{
	const unsigned char *p = h->bits + h->bit / 8;
	size_t n = (size_t)(h->p - p);
	uint64_t word = 0;
	memcpy(&word, p, n < sizeof word ? n : sizeof word);
	return word >> h->bit % 8;
}

/* Equal packed numbers; if they are bits, as many as there are at once. */
static uint64_t packed_run(struct pq_hybrid *h, uint64_t most, uint32_t *value)
{
	uint64_t word = peek_bits(h), n = 1;
	*value = (uint32_t)(word & ((1ull << h->width) - 1));
	if (h->width == 1) {
		uint64_t others = *value ? ~word : word, have = 64 - h->bit % 8;
		n = others ? (uint64_t)__builtin_ctzll(others) : have;
		n = n < have ? n : have;
		n = n < h->packed ? n : h->packed;
		n = n < most ? n : most;
	}
	h->bit += n * h->width;
	h->packed -= n;
	return n;
}

/* Begin the next run; false if there is none. */
static bool next_run(struct pq_hybrid *h)
{
	struct thrift t = {h->p, h->end, false};
	uint64_t head = thrift_varint(&t), n = head >> 1, left = (uint64_t)(t.end - t.p);
	unsigned bytes = (h->width + 7) / 8;
	if (t.failed || n == 0)
		return false;
	if (head & 1) {
		/* Groups of eight; whoever wrote the last one may have cut it off. */
		uint64_t size = h->width && n > left / h->width ? left : n * h->width;
		h->bits = t.p;
		h->bit = 0;
		h->packed = h->width && n > left / h->width ? left * 8 / h->width : n * 8;
		h->p = t.p + size;
		return h->packed > 0;
	}
	if (left < bytes)
		return false;
	h->value = 0;
	memcpy(&h->value, t.p, bytes);
	h->repeats = n;
	h->p = t.p + bytes;
	return true;
}

uint64_t pq_hybrid_run(struct pq_hybrid *h, uint64_t most, uint32_t *value)
{
	if (h->packed == 0 && h->repeats == 0 && !next_run(h))
		return 0;
	if (h->packed)
		return packed_run(h, most, value);
	uint64_t n = h->repeats < most ? h->repeats : most;
	*value = h->value;
	h->repeats -= n;
	return n;
}

/* ---- plain values ---- */

/* Find the values that each begin with their length. */
static int find_items(struct span page, uint64_t n, struct span *item, struct err *err)
{
	uint32_t length;
	for (uint64_t i = 0; i < n; i++) {
		if (page.n < sizeof length)
			return damaged(err);
		memcpy(&length, page.p, sizeof length);
		page = (struct span){page.p + sizeof length, page.n - sizeof length};
		if (length > page.n)
			return damaged(err);
		item[i] = (struct span){page.p, length};
		page = (struct span){page.p + length, page.n - length};
	}
	return 0;
}

static int plain(struct pq_decoder *d, struct pq_room *items, struct span page, uint64_t n,
		 struct pq_values *out, struct err *err)
{
	uint32_t width = d->column->width;
	*out = (struct pq_values){.n = n};
	if (n > page.n / (width ? width : sizeof(uint32_t)))
		return damaged(err);
	if (width) {
		out->data = (const unsigned char *)page.p;
		return 0;
	}
	struct span *item = pq_room(items, n, sizeof *item, err);
	out->item = item;
	return item ? find_items(page, n, item, err) : -1;
}

/* ---- values of a dictionary ---- */

int pq_take_dictionary(struct pq_decoder *d, int64_t encoding, struct span page, uint64_t n,
		       struct err *err)
{
	if (encoding != PLAIN && encoding != PLAIN_DICTIONARY)
		return not_read(encoding, err);
	return plain(d, &d->dictionary_items, page, n, &d->dictionary, err);
}

static int look_up_data(struct pq_decoder *d, struct pq_hybrid *h, uint64_t n,
			struct pq_values *out, struct err *err)
{
	size_t width = d->column->width;
	unsigned char *to = pq_room(&d->data, n, width, err);
	uint32_t entry;
	out->data = to;
	if (!to)
		return -1;
	for (uint64_t i = 0, run; i < n; i += run) {
		run = pq_hybrid_run(h, n - i, &entry);
		if (run == 0 || entry >= d->dictionary.n)
			return damaged(err);
		const unsigned char *from = d->dictionary.data + entry * width;
		for (uint64_t k = 0; k < run; k++, to += width)
			memcpy(to, from, width == 4 ? 4 : width);
	}
	return 0;
}

static int look_up_items(struct pq_decoder *d, struct pq_hybrid *h, uint64_t n,
			 struct pq_values *out, struct err *err)
{
	struct span *item = pq_room(&d->items, n, sizeof *item, err);
	uint32_t entry;
	out->item = item;
	if (!item)
		return -1;
	for (uint64_t i = 0, run; i < n; i += run) {
		run = pq_hybrid_run(h, n - i, &entry);
		if (run == 0 || entry >= d->dictionary.n)
			return damaged(err);
		for (uint64_t k = 0; k < run; k++)
			item[i + k] = d->dictionary.item[entry];
	}
	return 0;
}

static int look_up(struct pq_decoder *d, struct span page, uint64_t n, struct pq_values *out,
		   struct err *err)
{
	struct pq_hybrid h;
	size_t width = d->column->width, bytes;
	if (page.n == 0 || (unsigned char)*page.p > 32)
		return damaged(err);
	if (!num_mul(n, width ? width : sizeof(struct span), &bytes) ||
	    pq_spend(d->file, bytes, err) != 0)
		return -1;
	pq_hybrid_init(&h, (struct span){page.p + 1, page.n - 1}, (unsigned char)*page.p);
	return width ? look_up_data(d, &h, n, out, err) : look_up_items(d, &h, n, out, err);
}

/* ---- the first bytes of all, then the second ... ---- */

static int join_streams(struct pq_decoder *d, struct span page, uint64_t n, struct pq_values *out,
			struct err *err)
{
	size_t width = d->column->width;
	const unsigned char *from = (const unsigned char *)page.p;
	*out = (struct pq_values){.n = n};
	if (n > page.n / width)
		return damaged(err);
	unsigned char *to = pq_room(&d->data, n, width, err);
	out->data = to;
	if (!to)
		return -1;
	for (uint64_t tile = 0; tile < n; tile += TILE)
		for (size_t k = 0; k < width; k++)
			for (uint64_t i = tile; i < n && i < tile + TILE; i++)
				to[i * width + k] = from[k * n + i];
	return 0;
}

/* ---- differences ---- */

/* ${width} bits of ${p} from ${bit} on. */
static uint64_t bits_at(const unsigned char *p, uint64_t bit, unsigned width)
{
	uint64_t v = 0;
	for (unsigned got = 0, n; got < width; got += n, bit += n) {
		unsigned skip = bit % 8;
		n = 8 - skip < width - got ? 8 - skip : width - got;
		v |= ((uint64_t)p[bit / 8] >> skip & ((1u << n) - 1)) << got;
	}
	return v;
}

/* What comes before numbers that are packed as differences. */
struct deltas {
	uint64_t block, miniblocks, n, per_miniblock, last;
};

static int read_deltas_head(struct thrift *t, uint64_t n, struct deltas *h, struct err *err)
{
	h->block = thrift_varint(t);
	h->miniblocks = thrift_varint(t);
	h->n = thrift_varint(t);
	h->last = (uint64_t)thrift_zigzag(t);
	if (t->failed || h->n != n || h->miniblocks == 0 || h->miniblocks > MAX_MINIBLOCKS ||
	    h->block % h->miniblocks || h->block > INT32_MAX)
		return damaged(err);
	h->per_miniblock = h->block / h->miniblocks;
	return h->per_miniblock && h->per_miniblock % 8 == 0 ? 0 : damaged(err);
}

/* One block; ${i}: the number that is next.  The last one has the miniblocks that are needed. */
static int read_deltas_block(struct thrift *t, struct deltas *h, int64_t *out, uint64_t *i,
			     struct err *err)
{
	uint64_t least = (uint64_t)thrift_zigzag(t);
	const unsigned char *widths = t->p;
	if (t->failed || (uint64_t)(t->end - t->p) < h->miniblocks)
		return damaged(err);
	t->p += h->miniblocks;
	for (uint64_t m = 0; m < h->miniblocks && *i < h->n; m++) {
		unsigned width = widths[m];
		uint64_t bytes = h->per_miniblock / 8 * width;
		if (width > 64 || bytes > (uint64_t)(t->end - t->p))
			return damaged(err);
		for (uint64_t k = 0; k < h->per_miniblock && *i < h->n; k++) {
			h->last += least + bits_at(t->p, k * width, width);
			out[(*i)++] = (int64_t)h->last;
		}
		t->p += bytes;
	}
	return 0;
}

/* ${n} whole numbers; ${t} goes on behind them. */
static int read_deltas(struct pq_decoder *d, struct thrift *t, uint64_t n, int64_t *out,
		       struct err *err)
{
	struct deltas h = {0};
	uint64_t i = 0;
	if (read_deltas_head(t, n, &h, err) != 0 || pq_spend(d->file, n * sizeof *out, err) != 0)
		return -1;
	if (n)
		out[i++] = (int64_t)h.last;
	while (i < n)
		if (read_deltas_block(t, &h, out, &i, err) != 0)
			return -1;
	return 0;
}

static int delta_numbers(struct pq_decoder *d, struct span page, uint64_t n, struct pq_values *out,
			 struct err *err)
{
	struct thrift t;
	int64_t *v = pq_room(&d->lengths, n, sizeof *v, err);
	*out = (struct pq_values){.n = n, .data = (unsigned char *)v};
	thrift_init(&t, page);
	if (!v || read_deltas(d, &t, n, v, err) != 0)
		return -1;
	/* The low halves, in place. */
	for (uint64_t i = 0; i < n && d->column->width == 4; i++)
		memmove((char *)v + i * 4, &v[i], 4);
	return 0;
}

/* Values whose lengths come first; ${t} is behind these. */
static int cut_items(struct thrift *t, const int64_t *length, uint64_t n, struct span *item,
		     struct err *err)
{
	for (uint64_t i = 0; i < n; i++) {
		if (length[i] < 0 || (uint64_t)length[i] > (uint64_t)(t->end - t->p))
			return damaged(err);
		item[i] = (struct span){(const char *)t->p, (size_t)length[i]};
		t->p += length[i];
	}
	return 0;
}

static int delta_lengths(struct pq_decoder *d, struct thrift *t, uint64_t n, struct pq_values *out,
			 struct err *err)
{
	int64_t *length = pq_room(&d->lengths, n, sizeof *length, err);
	struct span *item = pq_room(&d->items, n, sizeof *item, err);
	*out = (struct pq_values){.n = n, .item = item};
	if (!length || !item || read_deltas(d, t, n, length, err) != 0)
		return -1;
	return cut_items(t, length, n, item, err);
}

/* Put before each value what it has in common with the one before. */
static int put_prefixes(struct pq_decoder *d, const int64_t *prefix, uint64_t n, struct span *item,
			struct err *err)
{
	size_t total = 0;
	for (uint64_t i = 0; i < n; i++)
		if (prefix[i] < 0 || prefix[i] > INT32_MAX ||
		    (uint64_t)prefix[i] > (i ? item[i - 1].n + (uint64_t)prefix[i - 1] : 0) ||
		    !num_add(total, item[i].n + (size_t)prefix[i], &total))
			return damaged(err);
	char *to = pq_spend(d->file, total, err) == 0 ? pq_room(&d->text, total, 1, err) : NULL;
	if (!to)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		struct span whole = {to, (size_t)prefix[i] + item[i].n};
		if (prefix[i])
			memcpy(to, item[i - 1].p, (size_t)prefix[i]);
		if (item[i].n)
			memcpy(to + prefix[i], item[i].p, item[i].n);
		to += whole.n;
		item[i] = whole;
	}
	return 0;
}

static int delta_texts(struct pq_decoder *d, struct span page, uint64_t n, struct pq_values *out,
		       struct err *err)
{
	struct thrift t;
	int64_t *prefix = pq_room(&d->data, n, sizeof *prefix, err);
	thrift_init(&t, page);
	if (!prefix || read_deltas(d, &t, n, prefix, err) != 0 ||
	    delta_lengths(d, &t, n, out, err) != 0)
		return -1;
	return put_prefixes(d, prefix, n, (struct span *)d->items.p, err);
}

/* ---- all of them ---- */

int pq_decode(struct pq_decoder *d, int64_t encoding, struct span page, uint64_t n,
	      struct pq_values *out, struct err *err)
{
	enum pq_type type = d->column->type;
	struct thrift t;
	*out = (struct pq_values){.n = n};
	if (n == 0)
		return 0;
	/* Nothing is kept of fewer bytes than a value has at least. */
	if (n > d->file->budget)
		return pq_spend(d->file, n, err);
	switch (encoding) {
	case PLAIN:
		return plain(d, &d->items, page, n, out, err);
	case PLAIN_DICTIONARY:
	case RLE_DICTIONARY:
		return look_up(d, page, n, out, err);
	case BYTE_STREAM_SPLIT:
		if (d->column->width)
			return join_streams(d, page, n, out, err);
		break;
	case DELTA_BINARY_PACKED:
		if (type == PQ_INT32 || type == PQ_INT64)
			return delta_numbers(d, page, n, out, err);
		break;
	case DELTA_LENGTH_BYTE_ARRAY:
		thrift_init(&t, page);
		if (type == PQ_BYTES)
			return delta_lengths(d, &t, n, out, err);
		break;
	case DELTA_BYTE_ARRAY:
		if (type == PQ_BYTES)
			return delta_texts(d, page, n, out, err);
		break;
	default:
		break;
	}
	return not_read(encoding, err);
}
