/* SPDX-License-Identifier: MIT */
/*
 * A journal of Trials whose batches are the parts of the input between bytes 0xff: the first
 * byte of a part is what kind of batch it is.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "record/trial_log.h"
#include "tests/fuzz/fuzz.h"

static const char *root;

/* Remove a directory and the files in it, or what is left of it. */
static void remove_directory(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

static void make_root(void)
{
	char path[96];
	root = fuzz_root();
	snprintf(path, sizeof path, "%s/_hnsw_trials", root);
	MUST(mkdir(path, 0777) == 0);
}

static void add_batch(uint64_t number, const uint8_t *data, size_t size)
{
	static const char *const names[] = {"batch_%020llu.jsonl", "batch_compacted_%020llu.jsonl",
					    "batch_compacted_%020llu.jsonl.zst"};
	char name[96], path[256];
	if (size == 0)
		return;
	switch (data[0] % 3) {
	case 0:
		snprintf(name, sizeof name, names[0], (unsigned long long)number);
		break;
	case 1:
		snprintf(name, sizeof name, names[1], (unsigned long long)number);
		break;
	default:
		snprintf(name, sizeof name, names[2], (unsigned long long)number);
	}
	snprintf(path, sizeof path, "%s/_hnsw_trials/x/%s", root, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	MUST(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)size - 1);
	close(fd);
}

static int count(void *ctx, const struct trial *t, struct err *err)
{
	(void)err;
	MUST(t->line.n > 0);
	++*(uint64_t *)ctx;
	return 0;
}

static int count_trials(struct store *s, uint64_t *n)
{
	struct err err;
	struct warn_to quiet = {0};
	*n = 0;
	return trial_log_read(s, "x", true, count, n, &quiet, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err;
	struct journal_compaction made;
	uint64_t number = 1, before, after;
	char path[128];
	if (!root)
		make_root();
	snprintf(path, sizeof path, "%s/_hnsw_trials/x", root);
	MUST(mkdir(path, 0777) == 0);
	for (size_t at = 0; at < size && number < 20; number++) {
		const uint8_t *end = memchr(data + at, 0xff, size - at);
		size_t n = end ? (size_t)(end - data) - at : size - at;
		add_batch(number, data + at, n);
		at += n + 1;
	}
	struct store *s = store_open(root, &err);
	MUST(s);
	/* No Trial is lost by compacting; a batch that cannot be read stops both. */
	if (count_trials(s, &before) == 0 &&
	    trial_log_compact(s, "x", size & 1, false, &made, &err) == 0)
		MUST(count_trials(s, &after) == 0 && after == before);
	store_close(s);
	remove_directory(path);
	return 0;
}
