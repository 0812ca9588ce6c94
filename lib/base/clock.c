/* SPDX-License-Identifier: MIT */
/* Clocks, and times as text. */
#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

#define LAST_SECOND 253402300799 /* of the year 9999 */

uint64_t clock_mono_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec < 0)
		return 0;
	if (ts.tv_sec > LAST_SECOND)
		return (uint64_t)LAST_SECOND * 1000000u + 999999u;
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

int clock_now(uint64_t *wall_us, struct err *err)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec < 0 || ts.tv_sec > LAST_SECOND)
		return err_set(err, ERR_ENV, "the clock of this machine is set %s, so nothing can be dated",
			       ts.tv_sec < 0 ? "before 1970" : "after 9999");
	*wall_us = clock_wall_us();
	return 0;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-compatible
 * low-level date algorithms"). */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t)doe - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, unsigned *m, unsigned *d)
{
	z += 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (int64_t)yoe + era * 400 + (*m <= 2);
}

void clock_format(uint64_t wall_us, char out[static CLOCK_TEXT_MAX])
{
	uint64_t secs = wall_us / 1000000u;
	int64_t y;
	unsigned m, d, s = (unsigned)(secs % 86400u);
	civil_from_days((int64_t)(secs / 86400u), &y, &m, &d);
	snprintf(out, CLOCK_TEXT_MAX, "%04lld-%02u-%02uT%02u:%02u:%02u.%06uZ", (long long)y, m, d,
		 s / 3600, s / 60 % 60, s % 60, (unsigned)(wall_us % 1000000u));
}

static unsigned days_of_month(unsigned y, unsigned m)
{
	unsigned leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
	return m == 2 ? 28 + leap : 30 + (m + m / 8) % 2;
}

int clock_now_text(char out[static CLOCK_TEXT_MAX], struct err *err)
{
	uint64_t now = 0;
	int ret = clock_now(&now, err);
	clock_format(now, out);
	return ret;
}

static int digits(const char **p, const char *end, int count, unsigned *out)
{
	*out = 0;
	while (count--) {
		if (*p == end || !isdigit((unsigned char)**p))
			return -1;
		*out = *out * 10 + (unsigned)(*(*p)++ - '0');
	}
	return 0;
}

static int literal(const char **p, const char *end, char want)
{
	if (*p == end || **p != want)
		return -1;
	(*p)++;
	return 0;
}

int clock_parse(struct span text, uint64_t *wall_us)
{
	const char *p = text.p, *end = text.p + text.n;
	unsigned y, mo, d, h, mi, s, us = 0;
	if (digits(&p, end, 4, &y) || literal(&p, end, '-') || digits(&p, end, 2, &mo) ||
	    literal(&p, end, '-') || digits(&p, end, 2, &d))
		return -1;
	if (p == end || (*p != 'T' && *p != 't' && *p != ' '))
		return -1;
	p++;
	if (digits(&p, end, 2, &h) || literal(&p, end, ':') || digits(&p, end, 2, &mi) ||
	    literal(&p, end, ':') || digits(&p, end, 2, &s))
		return -1;
	if (mo < 1 || mo > 12 || d < 1 || d > days_of_month(y, mo) || h > 23 || mi > 59 || s > 60)
		return -1;
	if (p != end && *p == '.') {
		unsigned scale = 100000;
		p++;
		if (p == end || !isdigit((unsigned char)*p))
			return -1;
		for (; p != end && isdigit((unsigned char)*p); p++, scale /= 10)
			us += (unsigned)(*p - '0') * scale;
	}
	int64_t offset_s = 0;
	if (p == end)
		return -1;
	if (*p == '+' || *p == '-') {
		int sign = *p++ == '-' ? 1 : -1;
		unsigned oh, om;
		if (digits(&p, end, 2, &oh) || literal(&p, end, ':') || digits(&p, end, 2, &om) ||
		    oh > 23 || om > 59)
			return -1;
		offset_s = sign * (int64_t)(oh * 3600 + om * 60);
	} else if (*p == 'Z' || *p == 'z') {
		p++;
	}
	if (p != end)
		return -1;
	int64_t secs =
	    days_from_civil(y, mo, d) * 86400 + (int64_t)(h * 3600 + mi * 60 + s) + offset_s;
	if (secs < 0)
		return -1;
	*wall_us = (uint64_t)secs * 1000000u + us;
	return 0;
}
