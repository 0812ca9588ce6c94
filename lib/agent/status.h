/* SPDX-License-Identifier: MIT */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/agent.h"

/* Append what there is to know as one JSON object, or as text for people. */
int agent_status(struct agent *a, bool text, struct buf *out, struct err *err) MUST_CHECK;

#endif
