/* SPDX-License-Identifier: MIT */
/* What a name may be, for those that are typed and those that are read. */
#include "base/name.h"

#include <stdbool.h>
#include <string.h>

#include "base/scan.h"

/* Of ASCII, or of those beyond it that terminals obey, too: U+0080..U+009F. */
static bool has_control(struct span name)
{
	const unsigned char *p = (const unsigned char *)name.p;
	for (size_t i = 0; i < name.n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f ||
		    (p[i] == 0xC2 && i + 1 < name.n && p[i + 1] >= 0x80 && p[i + 1] < 0xA0))
			return true;
	return false;
}

const char *name_fault(struct span name)
{
	if (name.n == 0)
		return "is empty";
	if (name.n > NAME_BYTES_MAX)
		return "is longer than 200 bytes";
	if (name.p[0] == '.')
		return "begins with a dot";
	if (memchr(name.p, '/', name.n))
		return "has a slash";
	if (has_control(name))
		return "has a control character";
	return scan_is_utf8(name) ? NULL : "is not UTF-8";
}

const char *name_path_fault(struct span path)
{
	for (;;) {
		const char *slash = path.n ? memchr(path.p, '/', path.n) : NULL;
		size_t n = slash ? (size_t)(slash - path.p) : path.n;
		const char *fault = name_fault((struct span){path.p, n});
		if (fault || !slash)
			return n == 0 ? "has an empty part" : fault;
		path.p += n + 1;
		path.n -= n + 1;
	}
}
