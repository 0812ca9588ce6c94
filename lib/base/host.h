/* SPDX-License-Identifier: MIT */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#define HOST_TEXT_MAX 128

/* Name of this machine, and model of its processor; "unknown" where that cannot be told. */
void host_name(char out[static HOST_TEXT_MAX]);
void host_cpu(char out[static HOST_TEXT_MAX]);

#endif
