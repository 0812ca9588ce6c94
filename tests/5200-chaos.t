#!/bin/sh
# The chaos test in its short form; make chaos runs the long one.
exec "$(dirname "$0")/chaos" 12 4
