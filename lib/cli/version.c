/* SPDX-License-Identifier: MIT */
#include "cli/version.h"

/* The Makefile defines both macros for this file alone. */
const char cli_version[] = HNSW_TOOLS_VERSION;
const char cli_flags[] = HNSW_TOOLS_FLAGS;
const char cli_build_flags[] = "compiler: " __VERSION__ "\nflags: " HNSW_TOOLS_FLAGS;
