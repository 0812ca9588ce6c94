/* SPDX-License-Identifier: MIT */
/* bucket-list - print the buckets of a store and whether they can be reached */
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "cli/cli.h"
#include "json/write.h"

static struct {
	const char *store;
} o;

static const struct cli_opt opts[] = {
    CLI_OPT_STORE(&o.store),
};

static struct cli cli = {
    .usage = "[NAME...]",
    .about =
	"Print the buckets named, or all of the store, a JSON line each: where it is, whether it\n"
	"can be reached, and the registered indexes that live in it.  Exits 1 if one named is no\n"
	"bucket of the store.",
    CLI_OPTS(opts),
};

/* Registered indexes and the bucket of each. */
struct homes {
	struct store_names index, bucket; /* of equal length */
};

static int find_homes(struct catalog *c, struct homes *h, struct err *err)
{
	int ret = catalog_index_list(c, &h->index, err);
	for (size_t i = 0; ret == 0 && i < h->index.count; i++) {
		struct index_meta m;
		struct err why = {0};
		int known = catalog_index_get(c, h->index.name[i], &m, &why);
		if (known < 0)
			warn(&c->warn, "%s", why.msg);
		/* One whose record cannot be read lives nowhere. */
		const char *bucket = known < 0		       ? ""
				     : m.bucket && m.bucket[0] ? m.bucket
							       : META_BUCKET_DEFAULT;
		ret = store_names_add(&h->bucket, bucket, err);
		index_meta_release(&m);
	}
	return ret;
}

static int print(struct catalog *c, const char *name, const struct homes *h, struct err *err)
{
	struct json_out j = {.b = &cli_out.b};
	struct bucket_state state;
	if (buckets_probe(c->buckets, name, &state, err) != 0)
		return -1;
	json_open(&j, '{');
	json_kv_cstr(&j, "bucket", name);
	json_kv_cstr(&j, "url", state.url.data);
	json_key(&j, "reachable");
	json_bool(&j, state.reachable);
	json_key(&j, "empty");
	json_bool(&j, state.empty);
	json_key(&j, "indexes");
	json_open(&j, '[');
	for (size_t i = 0; i < h->bucket.count; i++)
		if (strcmp(h->bucket.name[i], name) == 0)
			json_str(&j, span_of(h->index.name[i]));
	json_close(&j, ']');
	json_key(&j, "error");
	if (state.reachable)
		json_null(&j);
	else
		json_str(&j, span_of(state.why.msg));
	json_close(&j, '}');
	buf_addc(&cli_out.b, '\n');
	buf_release(&state.url);
	return io_sink_spill(&cli_out, err);
}

static bool is_among(const struct store_names *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->name[i], name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct err err = {0}, why = {0};
	struct catalog c = {0};
	struct store_names all = {0};
	struct homes homes = {0};
	int status = 0;
	cli_parse(&cli, argc, argv, 0, SIZE_MAX);
	c.warn = cli_warn_to(&cli);
	int ret = catalog_open(&c, cli_store(o.store), true, &err);
	if (ret == 0)
		ret = buckets_list(c.buckets, &all, &err);
	if (ret == 0 && find_homes(&c, &homes, &why) != 0)
		warn(&c.warn, "cannot tell which indexes live where: %s", why.msg);
	for (size_t i = 0; ret == 0 && i < cli.n_operands; i++) {
		if (is_among(&all, cli.operand[i])) {
			ret = print(&c, cli.operand[i], &homes, &err);
			continue;
		}
		err_set(&why, ERR_NO, "store '%s' has no bucket '%s'", buckets_url(c.buckets),
			cli.operand[i]);
		status = cli_error(&cli, &why);
	}
	for (size_t i = 0; ret == 0 && cli.n_operands == 0 && i < all.count; i++)
		ret = print(&c, all.name[i], &homes, &err);
	store_names_release(&homes.index);
	store_names_release(&homes.bucket);
	store_names_release(&all);
	catalog_close(&c);
	return cli_finish(&cli, ret == 0 ? status : cli_error(&cli, &err));
}
