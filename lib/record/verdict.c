/* SPDX-License-Identifier: MIT */
#include "record/verdict.h"

/* One side: its config, and the digest of its graph if ${graph} is not NULL. */
static bool scan_side(struct scan *s, struct config *config, struct span *graph)
{
	struct span key;
	bool seen = false;
	if (!scan_object(s))
		return false;
	while (scan_member(s, &key)) {
		if (span_is(key, "config"))
			seen = config_scan(s, config);
		else if (span_is(key, "graph_digest") && graph)
			scan_string(s, graph);
		else
			scan_skip(s, NULL);
	}
	return seen;
}

int verdict_parse(struct verdict *v, struct span text, struct err *err)
{
	struct scan s;
	struct span key, winner = {0};
	bool champion = false, challenger = false;
	*v = (struct verdict){0};
	scan_init(&s, text);
	if (scan_object(&s))
		while (scan_member(&s, &key)) {
			if (span_is(key, "winner"))
				scan_string(&s, &winner);
			else if (span_is(key, "reason"))
				scan_string(&s, &v->reason);
			else if (span_is(key, "champion"))
				champion = scan_side(&s, &v->champion, NULL);
			else if (span_is(key, "challenger"))
				challenger = scan_side(&s, &v->challenger, &v->graph_digest);
			else if (span_is(key, "vectors_digest"))
				scan_string(&s, &v->vectors_digest);
			else if (span_is(key, "eval_digest"))
				scan_string(&s, &v->eval_digest);
			else if (span_is(key, "goal"))
				scan_skip(&s, &v->goal);
			else
				scan_skip(&s, NULL);
		}
	if (!scan_end(&s))
		return scan_err(&s, err);
	if (!champion || !challenger || !v->graph_digest.p || !v->vectors_digest.p ||
	    !v->eval_digest.p || !v->reason.p)
		return err_set(err, ERR_DATA, "lacks a key of what trial-duel prints");
	v->challenger_won = span_is(winner, "challenger");
	if (!v->challenger_won && !span_is(winner, "champion"))
		return err_set(err, ERR_DATA,
			       "the winner is '%.*s', expected 'champion' or 'challenger'",
			       (int)winner.n, winner.p ? winner.p : "");
	return 0;
}

int verdict_confirms(const struct verdict *v, const struct trial *t, const struct config *champion,
		     struct err *err)
{
	if (!config_same(&v->challenger, &t->config) ||
	    !span_same(v->graph_digest, t->graph_digest))
		return err_set(err, ERR_NO, "the verdict is on another challenger");
	if (!config_same(&v->champion, champion))
		return err_set(err, ERR_NO, "the verdict is on another champion");
	if (!span_same(v->vectors_digest, t->vectors_digest) ||
	    !span_same(v->eval_digest, t->eval_digest))
		return err_set(err, ERR_NO, "the verdict is on other vectors or another eval set");
	if (!v->challenger_won)
		return err_set(err, ERR_NO, "the champion won the duel: %.*s", (int)v->reason.n,
			       v->reason.p);
	return 0;
}
