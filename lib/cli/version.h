/* SPDX-License-Identifier: MIT */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

extern const char cli_version[];     /* "0.1.0" */
extern const char cli_flags[];	     /* of the compiler, one line */
extern const char cli_build_flags[]; /* compiler and flags, a line each */

#endif
