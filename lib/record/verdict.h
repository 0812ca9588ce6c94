/* SPDX-License-Identifier: MIT */
#ifndef RECORD_VERDICT_H
#define RECORD_VERDICT_H

#include "record/trial.h"

/*
 * What trial-duel found: who won, and which configs over which data.  The spans are raw JSON
 * strings inside the text it was read from.
 */
struct verdict {
	bool challenger_won;
	struct span reason;
	struct config champion, challenger;
	struct span graph_digest; /* of the challenger */
	struct span vectors_digest, eval_digest;
	struct span goal; /* that it was decided by, a JSON object; p NULL: none */
};

/* ERR_DATA: malformed, or a key is missing.  The text must outlive the verdict. */
int verdict_parse(struct verdict *v, struct span text, struct err *err) MUST_CHECK;

/*
 * 0 if it confirms that the Trial beats the champion of that config; else ERR_NO saying why
 * not: the champion won, or it is a verdict on something else.
 */
int verdict_confirms(const struct verdict *v, const struct trial *t, const struct config *champion,
		     struct err *err) MUST_CHECK;

#endif
