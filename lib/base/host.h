/* SPDX-License-Identifier: MIT */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#define HOST_TEXT_MAX 128

/* Name of this machine, and model of its processor; "unknown" where that cannot be told. */
void host_name(char out[static HOST_TEXT_MAX]);
void host_cpu(char out[static HOST_TEXT_MAX]);

/*
 * Keep the calling thread on the processor that it is on, so that it does not wander while
 * something is timed.  The number of that processor, or -1 where that cannot be had.
 */
int host_pin(void);

#endif
