/* SPDX-License-Identifier: MIT */
/* The file of an index: its chunks, what each must be, and whether it stays what it was. */
#include "hnsw/codec_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD CHUNK_NAME('h', 'e', 'a', 'd')
#define VECTORS CHUNK_NAME('v', 'e', 'c', 't')
#define CODES CHUNK_NAME('c', 'o', 'd', 'e')
#define NORMS CHUNK_NAME('n', 'o', 'r', 'm')
#define CENTRE CHUNK_NAME('c', 'n', 't', 'r')
#define LINKS_0 CHUNK_NAME('l', 'n', 'k', '0')
#define UPPER_NODE CHUNK_NAME('u', 'p', 'n', 'o')
#define UPPER_FIRST CHUNK_NAME('u', 'p', 'f', 'i')
#define UPPER_LINKS CHUNK_NAME('u', 'p', 'l', 'i')
#define STRAYS CHUNK_NAME('s', 't', 'r', 'y')
#define STARTS CHUNK_NAME('s', 't', 'r', 't')
#define NODE_ROW CHUNK_NAME('n', 'r', 'o', 'w')
#define DUP_NODE CHUNK_NAME('d', 'u', 'p', 'n')
#define DUP_ROW CHUNK_NAME('d', 'u', 'p', 'r')
#define ID_END CHUNK_NAME('i', 'd', 'e', 'n')
#define ID_TEXT CHUNK_NAME('i', 'd', 't', 'x')

_Static_assert(sizeof(struct hnsw_head) == 136, "the header is written as it is");

/* The chunks of an index and where each lies in memory. */
static const struct part {
	uint32_t name;
	size_t pointer; /* offset in struct hnsw */
	bool optional;
} parts[] = {
    {VECTORS, offsetof(struct hnsw, vectors), false},
    {CODES, offsetof(struct hnsw, codes), false},
    {NORMS, offsetof(struct hnsw, norms), false},
    {CENTRE, offsetof(struct hnsw, centre), false},
    {LINKS_0, offsetof(struct hnsw, links0), false},
    {UPPER_NODE, offsetof(struct hnsw, upper_node), false},
    {UPPER_FIRST, offsetof(struct hnsw, upper_first), false},
    {UPPER_LINKS, offsetof(struct hnsw, upper_links), false},
    {STRAYS, offsetof(struct hnsw, stray), false},
    {NODE_ROW, offsetof(struct hnsw, node_row), false},
    {DUP_NODE, offsetof(struct hnsw, dup_node), false},
    {DUP_ROW, offsetof(struct hnsw, dup_row), false},
    {ID_END, offsetof(struct hnsw, id_end), true},
    {ID_TEXT, offsetof(struct hnsw, id_text), true},
};

#define N_PARTS (sizeof parts / sizeof parts[0])

/* Bytes that a chunk must have; the header's numbers are small enough not to overflow. */
static uint64_t part_bytes(const struct hnsw *h, uint32_t name)
{
	const struct hnsw_head *d = &h->head;
	switch (name) {
	case VECTORS:
		return (uint64_t)d->nodes * h->row_bytes;
	case CODES:
		return (uint64_t)d->nodes * d->code_stride;
	case NORMS:
		return (uint64_t)d->nodes * sizeof(uint32_t);
	case CENTRE:
		return d->stride * sizeof(float);
	case LINKS_0:
		return (uint64_t)d->nodes * d->stride0 * sizeof(uint32_t);
	case UPPER_NODE:
		return (uint64_t)d->upper * sizeof(uint32_t);
	case UPPER_FIRST:
		return ((uint64_t)d->upper + 1) * sizeof(uint32_t);
	case UPPER_LINKS:
		return (uint64_t)d->upper_rows * d->stride_upper * sizeof(uint32_t);
	case STRAYS:
		return (uint64_t)d->strays * sizeof(uint32_t);
	case NODE_ROW:
		return (uint64_t)d->nodes * sizeof(uint32_t);
	case DUP_NODE:
	case DUP_ROW:
		return (uint64_t)d->dups * sizeof(uint32_t);
	case ID_END:
		return d->rows * sizeof(uint64_t);
	default:
		return h->id_text_bytes;
	}
}

static const void *part_data(const struct hnsw *h, const struct part *p)
{
	const void *data;
	memcpy(&data, (const char *)h + p->pointer, sizeof data);
	return data;
}

static bool has_part(const struct hnsw *h, const struct part *p)
{
	switch (p->name) {
	case VECTORS:
		return h->codec->vectors;
	case CODES:
	case NORMS:
	case CENTRE:
		return h->codec->codes;
	case STRAYS:
		return h->head.strays > 0;
	default:
		return !p->optional || h->id_end;
	}
}

struct digest hnsw_graph_digest(const struct hnsw *h)
{
	const struct hnsw_head *d = &h->head;
	uint64_t params[] = {d->metric,		 d->storage, d->dim,  d->m,	    d->m0,
			     d->ef_construction, d->seed,    d->rows, d->max_level, d->entry};
	struct digest_seq seq = {0};
	digest_seq_add(&seq, params, sizeof params);
	for (size_t i = 0; i < N_PARTS; i++)
		if (!parts[i].optional && has_part(h, &parts[i]) && parts[i].name != VECTORS &&
		    parts[i].name != CODES && parts[i].name != NORMS)
			digest_seq_add(&seq, part_data(h, &parts[i]), part_bytes(h, parts[i].name));
	return digest_seq_end(&seq);
}

/* Vectors that were left in the set or the older index. */
static void read_vectors(void *ctx, uint64_t first, size_t count, void *out)
{
	const struct hnsw *h = ctx;
	size_t stride = h->head.stride;
	for (size_t i = 0; i < count; i++) {
		float *to = (float *)out + i * stride;
		const float *v = hnsw_vector(h, (uint32_t)(first + i), to);
		if (v != to)
			memcpy(to, v, stride * sizeof *v);
	}
}

static int changed(const struct hnsw *h, struct err *err)
{
	return err_set(err, ERR_CONFLICT, "'%s' was changed while it was read", h->name);
}

int hnsw_unchanged(const struct hnsw *h, bool deep, struct err *err)
{
	struct err why;
	enum io_state state = io_map_state(&h->map, h->name);
	if (state == IO_TOUCHED && deep && chunk_verify(&h->chunks, h->name, &why) != 0)
		state = IO_CHANGED;
	return state == IO_CHANGED ? changed(h, err) : 0;
}

/* ERR_CONFLICT if what an index was built from, or its file, was changed since it was opened. */
static int sources_unchanged(const struct hnsw *h, struct err *err)
{
	struct digest rows = h->head.vectors_digest;
	if (!h->set)
		return hnsw_unchanged(h, true, err);
	digest_take(&rows, vec_shape_digest(h->head.dim, h->head.rows));
	if (h->older) {
		const struct hnsw_head *older = &h->older->head;
		if (hnsw_unchanged(h->older, true, err) != 0)
			return -1;
		digest_take(&rows, older->vectors_digest);
		digest_add(&rows, vec_shape_digest(older->dim, older->rows));
	}
	return vec_set_unchanged(h->set, hnsw_first_row(h), &rows, err);
}

int hnsw_write(const struct hnsw *h, const char *path, struct err *err)
{
	struct chunk_set c = {.version = HNSW_VERSION};
	struct chunk_source vectors = {h->head.stride * sizeof(float), read_vectors,
				       (void *)(uintptr_t)h};
	struct io_file f;
	chunk_add(&c, HEAD, &h->head, sizeof h->head);
	for (size_t i = 0; i < N_PARTS; i++) {
		uint64_t bytes = part_bytes(h, parts[i].name);
		if (!has_part(h, &parts[i]))
			continue;
		if (parts[i].name == VECTORS && !h->vectors)
			chunk_add_source(&c, VECTORS, &vectors, bytes);
		else
			chunk_add(&c, parts[i].name, part_data(h, &parts[i]), bytes);
	}
	if (h->starts > 1)
		chunk_add(&c, STARTS, &h->starts, sizeof h->starts);
	if (io_file_open(&f, path, err) != 0)
		return -1;
	int ret = chunk_write(&c, HNSW_KIND, f.fd, path, err);
	if (ret == 0)
		ret = sources_unchanged(h, err);
	if (ret == 0)
		ret = io_file_commit(&f, IO_REPLACE, err);
	io_file_release(&f);
	return ret;
}

/* ---- opening ---- */

static int bad(const struct hnsw *h, struct err *err, const char *what)
{
	return err_set(err, ERR_DATA, "'%s' is damaged: bad %s", h->name, what);
}

static int check_head(const struct hnsw *h, struct err *err)
{
	const struct hnsw_head *d = &h->head;
	if (d->metric >= VEC_METRICS || d->dim < 1 || d->dim > VEC_MAX_DIM)
		return bad(h, err, "metric or dimension");
	if (d->storage >= HNSW_STORAGES)
		return err_set(err, ERR_DATA,
			       "'%s' stores vectors in a type that this version does not read",
			       h->name);
	const struct hnsw_codec *codec = hnsw_codecs[d->storage];
	if (d->code_stride != (codec->codes ? num_round_up(d->dim, DIST_CODE_PAD) : 0) ||
	    !(d->unit >= 0 && d->unit < 1e15f && d->error >= 0 && d->reach >= 0))
		return bad(h, err, "codes");
	if (d->m < HNSW_MIN_M || d->m > HNSW_MAX_M || d->m0 < d->m || d->m0 > 2 * HNSW_MAX_M)
		return bad(h, err, "number of links");
	if (d->stride != num_round_up(d->dim, HNSW_ROW_PAD) ||
	    d->stride0 != num_round_up(d->m0, HNSW_ROW_PAD) ||
	    d->stride_upper != num_round_up(d->m, HNSW_ROW_PAD))
		return bad(h, err, "row length");
	if (d->rows < 1 || d->rows > VEC_MAX_ROWS || d->nodes < 1 || d->nodes > d->rows ||
	    d->nodes + (uint64_t)d->dups != d->rows || d->upper > d->nodes)
		return bad(h, err, "number of rows");
	if (d->max_level > HNSW_MAX_LEVEL || (d->upper == 0) != (d->max_level == 0) ||
	    d->entry >= (d->upper ? d->upper : 1))
		return bad(h, err, "entry point");
	if (d->ef_construction < 1 || d->ef_construction > HNSW_MAX_EF || d->ef_search < 1 ||
	    d->ef_search > HNSW_MAX_EF)
		return bad(h, err, "beam width");
	if (d->flags & ~(HNSW_KEEP_PRUNED | codec->flags) ||
	    (d->flags & HNSW_ROW_UNITS && d->metric != VEC_IP))
		return bad(h, err, "flags");
	if (d->strays >= d->nodes)
		return bad(h, err, "number of strays");
	return 0;
}

/* The small arrays that searching indexes without looking. */
static int check_tables(const struct hnsw *h, struct err *err)
{
	const struct hnsw_head *d = &h->head;
	for (uint32_t u = 0; u < d->upper; u++) {
		uint32_t first = h->upper_first[u], next = h->upper_first[u + 1];
		if (h->upper_node[u] >= d->nodes || (u && h->upper_node[u] <= h->upper_node[u - 1]))
			return bad(h, err, "table of upper nodes");
		if (next <= first || next - first > HNSW_MAX_LEVEL)
			return bad(h, err, "table of levels");
	}
	if (h->upper_first[0] != 0 || h->upper_first[d->upper] != d->upper_rows)
		return bad(h, err, "table of levels");
	for (uint32_t i = 0; i < d->dups; i++)
		if (h->dup_node[i] >= d->nodes || (i && h->dup_node[i] < h->dup_node[i - 1]))
			return bad(h, err, "table of duplicates");
	return 0;
}

/* How many starts a search has; that is not read from the mapping again. */
static int find_starts(struct hnsw *h, struct err *err)
{
	const struct chunk *c = chunk_find(&h->chunks, STARTS);
	h->starts = 1;
	if (!c)
		return 0;
	if (c->size != sizeof h->starts)
		return bad(h, err, "number of starts");
	memcpy(&h->starts, c->data, sizeof h->starts);
	if (h->starts < 1 || h->starts > HNSW_MAX_STARTS)
		return bad(h, err, "number of starts");
	return 0;
}

static int find_parts(struct hnsw *h, struct err *err)
{
	const struct chunk *head = chunk_find(&h->chunks, HEAD);
	if (!head || head->size != sizeof h->head)
		return bad(h, err, "header");
	memcpy(&h->head, head->data, sizeof h->head);
	if (check_head(h, err) != 0)
		return -1;
	hnsw_use_storage(h, h->head.storage);
	const struct chunk *text = chunk_find(&h->chunks, ID_TEXT);
	h->id_text_bytes = text ? text->size : 0;
	for (size_t i = 0; i < N_PARTS; i++) {
		const struct chunk *c = chunk_find(&h->chunks, parts[i].name);
		if (parts[i].optional ? !c : !has_part(h, &parts[i]))
			continue;
		if (!c || c->size != part_bytes(h, parts[i].name))
			return err_set(err, ERR_DATA,
				       "'%s' is damaged: chunk '%.4s' has %llu bytes, its header "
				       "asks for %llu",
				       h->name, (const char *)&parts[i].name,
				       (unsigned long long)(c ? c->size : 0),
				       (unsigned long long)part_bytes(h, parts[i].name));
		memcpy((char *)h + parts[i].pointer, &c->data, sizeof c->data);
	}
	if (!h->id_end != !text)
		return bad(h, err, "table of ids");
	if (find_starts(h, err) != 0)
		return -1;
	return check_tables(h, err);
}

/* Read the whole file into memory of our own. */
static int load_file(struct hnsw *h, int fd, struct io_map *view, struct err *err)
{
	struct stat st, now;
	size_t size;
	if (fstat(fd, &st) != 0)
		return err_sys(err, "cannot stat '%s'", h->name);
	void *p = hnsw_block(h, (size_t)st.st_size, 1, err);
	if (!p || io_read_at(fd, h->name, p, (size_t)st.st_size, 0, &size, err) != 0)
		return -1;
	if (fstat(fd, &now) != 0)
		return err_sys(err, "cannot stat '%s'", h->name);
	if (now.st_size != st.st_size || now.st_mtim.tv_sec != st.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != st.st_mtim.tv_nsec)
		return changed(h, err);
	*view = (struct io_map){.data = p, .size = size};
	return 0;
}

/* Read all chunks of a mapped file but the vectors into memory of our own. */
static int load_chunks(struct hnsw *h, int fd, struct err *err)
{
	struct chunk_set *c = &h->chunks;
	size_t bytes = 0, got;
	/* There is nothing to read ahead around a row. */
	(void)madvise((void *)(uintptr_t)h->map.data, h->map.size, MADV_RANDOM);
	for (uint32_t i = 0; i < c->count; i++)
		if (c->chunk[i].name != VECTORS)
			bytes += num_round_up(c->chunk[i].size, CHUNK_ALIGN);
	unsigned char *p = hnsw_block(h, bytes, 1, err);
	for (uint32_t i = 0; p && i < c->count; i++) {
		struct chunk *one = &c->chunk[i];
		if (one->name == VECTORS)
			continue;
		if (io_read_at(fd, h->name, p, one->size,
			       (off_t)((const unsigned char *)one->data - h->map.data), &got,
			       err) != 0)
			return -1;
		if (got < one->size)
			return bad(h, err, "size");
		one->data = p;
		p += num_round_up(one->size, CHUNK_ALIGN);
	}
	return p ? 0 : -1;
}

struct hnsw *hnsw_open(const char *path, enum hnsw_open_mode mode, struct err *err)
{
	struct hnsw *h = mem_zeroed(1, sizeof *h, err);
	if (!h)
		return NULL;
	h->name = span_dup(span_of(path));
	int fd = h->name ? io_open(path, err) : err_nomem(err), ret = -1;
	struct io_map view;
	if (fd >= 0 && mode == HNSW_LOAD) {
		ret = load_file(h, fd, &view, err);
	} else if (fd >= 0) {
		ret = io_map_fd(&h->map, fd, path, err);
		view = h->map;
	}
	if (ret == 0)
		ret = chunk_read(&h->chunks, &view, HNSW_KIND, HNSW_VERSION, h->name, err);
	if (ret == 0 && mode == HNSW_DISK)
		ret = load_chunks(h, fd, err);
	if (fd >= 0)
		close(fd);
	if (ret != 0 || find_parts(h, err) != 0) {
		hnsw_free(h);
		return NULL;
	}
	h->on_disk = mode == HNSW_DISK && h->vectors;
	return h;
}

void hnsw_free(struct hnsw *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->blocks; i++)
		mem_block_release(&h->block[i]);
	io_map_close(&h->map);
	free(h->name);
	free(h);
}

/* ---- figures ---- */

static uint32_t degree(const uint32_t *row, uint32_t room, uint32_t total)
{
	uint32_t n = 0;
	while (n < room && row[n] < total)
		n++;
	return n;
}

void hnsw_info(const struct hnsw *h, bool deep, struct hnsw_info *out)
{
	const struct hnsw_head *d = &h->head;
	*out = (struct hnsw_info){
	    .params = {.metric = (enum vec_metric)d->metric,
		       .m = d->m,
		       .ef_construction = d->ef_construction,
		       .ef_search = d->ef_search,
		       .seed = d->seed,
		       .storage = (enum hnsw_storage)d->storage,
		       .keep_pruned = d->flags & HNSW_KEEP_PRUNED},
	    .dim = d->dim,
	    .rows = d->rows,
	    .nodes = d->nodes,
	    .m0 = d->m0,
	    .max_level = d->max_level,
	    .starts = h->starts,
	    .vectors_digest = d->vectors_digest,
	    .graph_digest = d->graph_digest,
	};
	for (size_t i = 0; i < N_PARTS; i++) {
		if (!has_part(h, &parts[i]))
			continue;
		uint64_t bytes = part_bytes(h, parts[i].name);
		if (parts[i].name == VECTORS)
			out->vector_bytes += bytes;
		else if (parts[i].name == CODES || parts[i].name == NORMS)
			out->code_bytes += bytes;
		else if (parts[i].optional)
			out->id_bytes += bytes;
		else
			out->link_bytes += bytes;
	}
	out->disk_bytes = h->on_disk ? out->vector_bytes : 0;
	out->total_bytes = out->vector_bytes + out->code_bytes + out->link_bytes + out->id_bytes;
	if (!deep)
		return;
	out->level_nodes[0] = d->nodes - d->upper;
	for (uint32_t u = 0; u < d->upper; u++) {
		uint32_t levels = h->upper_first[u + 1] - h->upper_first[u];
		out->level_nodes[levels]++;
		for (uint32_t l = 1; l <= levels; l++)
			out->upper_links += degree(hnsw_row_upper(h, u, l), d->m, d->upper);
	}
	for (uint32_t i = 0; i < d->nodes; i++) {
		uint32_t n = degree(hnsw_row0(h, i), d->m0, d->nodes);
		out->links += n;
		if (n > out->max_degree)
			out->max_degree = n;
	}
}
