# hnsw-tools.  One makefile for everything; settings can be given on the command
# line or kept in config.mk.
#
#   make                      build into build/<hash of the flags>/, bin/ points there
#   make install              PREFIX=/usr/local DESTDIR= PROGPREFIX=
#   make demo check bench     what scripts/demo, scripts/check, tests/bench/run do
#   make bench PART=append    one part of it
#   make chaos SECONDS=600    kill programs at random, look for what was lost
#   make interleave           stop one program at each call that changes state, run another
#   make faults               let every call of every command fail once, or be the last one
#   make bench-duel           live duels of equal and of faster indexes, with a load beside
#   make bench-tuner          strategies of propose against exact tables
#   make DEVELOPER=1          all warnings, as errors
#   make SAN=address,undefined
#   make fuzz FUZZ_SECONDS=60 FUZZ="index records"   fuzz the readers, with clang

-include config.mk

PREFIX ?= /usr/local
DESTDIR ?=
# Put before the names of programs and man pages, where "promote" or "embed" are too plain.
PROGPREFIX ?=
CC ?= cc
CFLAGS ?= -O2 -g
DEVELOPER ?=
SAN ?=
FUZZER ?=
FUZZ_SECONDS ?= 60
FUZZ ?=

bindir = $(PREFIX)/bin
mandir = $(PREFIX)/share/man
docdir = $(PREFIX)/share/doc/hnsw-tools
bashdir = $(PREFIX)/share/bash-completion/completions
zshdir = $(PREFIX)/share/zsh/site-functions
fishdir = $(PREFIX)/share/fish/vendor_completions.d

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

VERSION := $(shell cat VERSION)
comma := ,

base_flags = -std=c11 -D_GNU_SOURCE -ffp-contract=off -Ilib
ifneq ($(DEVELOPER),)
base_flags += -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wundef -Wvla -Werror
endif
ifneq ($(SAN),)
base_flags += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifneq ($(FUZZER),)
base_flags += -fsanitize=fuzzer-no-link
endif

ALL_CFLAGS = $(base_flags) $(CFLAGS)
ALL_LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) -pthread -Wl,--as-needed $(LDFLAGS)
LDLIBS = -lcurl -ljq -lzstd -lz -lm

# Objects of different flags never mix.
flag_hash := $(shell printf '%s' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(CPPFLAGS)' | cksum | cut -d' ' -f1)
OUT = build/$(flag_hash)

lib_src := $(sort $(wildcard lib/*/*.c))
cmd_src := $(sort $(wildcard cmd/*.c))
bench_src := $(sort $(wildcard tests/bench/*.c))
unit_src := $(sort $(wildcard tests/unit/*.c))
fuzz_src := $(sort $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
scripts := autotune activate index-status recall-watch trial-plot
programs := $(cmd_src:cmd/%.c=%) $(scripts)
man_pages := $(sort $(wildcard man/*.[157]))

cli_obj := $(patsubst %.c,$(OUT)/%.o,$(filter lib/cli/%,$(lib_src)))
lib_obj := $(patsubst %.c,$(OUT)/%.o,$(filter-out lib/cli/%,$(lib_src)))
library := $(OUT)/libhnsw-tools.a

.PHONY: all interleave unit replay injector faults fuzz fuzzers demo check check-layers check-docs bench bench-duel bench-tuner chaos install uninstall clean print-out

all: $(programs:%=$(OUT)/bin/%)
	@ln -sfn $(OUT)/bin bin

unit: $(unit_src:tests/unit/%.c=$(OUT)/unit/%)

# The fuzz targets, to run on files, and with libFuzzer.
replay: $(fuzz_src:tests/fuzz/%.c=$(OUT)/replay/%)

fuzzers: $(fuzz_src:tests/fuzz/%.c=$(OUT)/fuzz/%)

fuzz:
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz $(FUZZ)

# What stands between a program and the C library, for the fault campaign.
injector: $(OUT)/fault.so

$(OUT)/fault.so: tests/faults/fault.c
	@mkdir -p $(@D)
	@printf "  LD    %s\n" $@
	@$(CC) -std=c11 -O2 -Wall -Wextra -Werror -shared -fPIC -o $@ $<

faults: all injector
	@HNSW_BIN=$(OUT)/bin HNSW_FAULT=$(OUT)/fault.so JOBS=$(JOBS) tests/faults/run $(PART)

# Where this set of flags builds to, for scripts.
print-out:
	@echo $(OUT)

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	@printf '  CC    %s\n' $<
	@$(CC) $(ALL_CFLAGS) $(CPPFLAGS) $(FILE_FLAGS) -MMD -MP -c -o $@ $<

# Instructions that not every processor has stand in files of their own; these are only
# entered after the processor was asked.  Their loops begin at a line of cache, or what is linked
# before them moves their speed by a tenth.
ifneq ($(filter x86_64 amd64,$(shell uname -m)),)
$(OUT)/lib/vec/dist_portable.o $(OUT)/lib/hnsw/codec_byte.o $(OUT)/lib/hnsw/quantise.o \
$(OUT)/lib/hnsw/vector.o $(OUT)/lib/hnsw/load.o $(OUT)/lib/vec/elem.o $(OUT)/lib/vec/half.o: \
	FILE_FLAGS = -O3
aligned = -falign-functions=64 -falign-loops=64
$(OUT)/lib/vec/dist_avx2.o: FILE_FLAGS = -O3 $(aligned) -mavx2 -mfma -mf16c
$(OUT)/lib/vec/dist_avx512.o: FILE_FLAGS = -O3 $(aligned) -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx512vnni
endif

$(OUT)/tests/unit/%.o $(OUT)/tests/fuzz/%.o $(OUT)/tests/bench/%.o: FILE_FLAGS = -I.

$(OUT)/lib/cli/version.o: FILE_FLAGS = -DHNSW_TOOLS_VERSION='"$(VERSION)"' \
	-DHNSW_TOOLS_FLAGS='"$(ALL_CFLAGS)"'
$(OUT)/lib/cli/version.o: VERSION

$(library): $(lib_obj)
	@printf '  AR    %s\n' $@
	@rm -f $@ && $(AR) rcs $@ $^

$(OUT)/bin/%: $(OUT)/cmd/%.o $(cli_obj) $(library)
	@mkdir -p $(@D)
	@printf '  LD    %s\n' $@
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

# These calls come through the test first.
$(OUT)/unit/durable: UNIT_WRAPS = $(patsubst %,-Wl$(comma)--wrap=%,fsync write linkat renameat mkdir open __open_2 readdir)

$(OUT)/unit/%: $(OUT)/tests/unit/%.o $(library)
	@mkdir -p $(@D)
	@printf '  LD    %s\n' $@
	@$(CC) $(ALL_LDFLAGS) $(UNIT_WRAPS) -o $@ $^ $(LDLIBS)

$(OUT)/replay/%: $(OUT)/tests/fuzz/%.o $(OUT)/tests/fuzz/replay.o $(library)
	@mkdir -p $(@D)
	@printf '  LD    %s\n' $@
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/fuzz/%: $(OUT)/tests/fuzz/%.o $(library)
	@mkdir -p $(@D)
	@printf '  LD    %s\n' $@
	@$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

$(OUT)/bench/%: $(OUT)/tests/bench/%.o $(library)
	@mkdir -p $(@D)
	@printf '  LD    %s\n' $@
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

# Scripts call the programs by their installed names; what they share is put into each.
script_sed = sed -e '/^@common@$$/{r scripts/common.sh' -e 'd;}' | \
	sed -e '/^@tuning@$$/{r scripts/tuning.sh' -e 'd;}' | \
	sed -e 's|@PROGPREFIX@|$(1)|g' -e 's|@VERSION@|$(VERSION)|g'

$(scripts:%=$(OUT)/bin/%): $(OUT)/bin/%: scripts/% scripts/common.sh scripts/tuning.sh VERSION
	@mkdir -p $(@D)
	@<$< $(call script_sed,) > $@ && chmod +x $@

demo:
	@scripts/demo

check:
	@scripts/check

check-layers: $(library)
	@scripts/check-layers $(library)

check-docs: all
	@scripts/check-docs $(OUT)/bin

bench: all $(bench_src:tests/bench/%.c=$(OUT)/bench/%)
	@tests/bench/run $(OUT) $(PART)

bench-tuner: $(addprefix $(OUT)/bench/,tuner_table tuner_replay tuner_target generate)
	@tests/bench/tuner $(OUT)

# Every point at which one program can be stopped while another runs.
$(OUT)/faults/stop.so: tests/faults/stop.c
	@mkdir -p $(@D)
	@$(CC) -std=c11 -D_GNU_SOURCE -O1 -shared -fPIC -o $@ $< -ldl

interleave: all $(OUT)/faults/stop.so
	@PATH=$(CURDIR)/$(OUT)/bin:$$PATH tests/faults/interleave $(CURDIR)/$(OUT)/faults/stop.so $(STEP)

chaos: all
	@HNSW_BIN=$(OUT)/bin tests/chaos $(SECONDS)

bench-duel:
	@$(MAKE) bench PART=duel

install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(docdir)/examples
	for p in $(cmd_src:cmd/%.c=%); do \
		install -m 755 $(OUT)/bin/$$p $(DESTDIR)$(bindir)/$(PROGPREFIX)$$p || exit 1; done
	for p in $(scripts); do \
		<scripts/$$p $(call script_sed,$(PROGPREFIX)) > $(DESTDIR)$(bindir)/$(PROGPREFIX)$$p && \
		chmod 755 $(DESTDIR)$(bindir)/$(PROGPREFIX)$$p || exit 1; done
	for m in $(notdir $(man_pages)); do \
		s=$${m##*.}; p=; case $$s in 1) p=$(PROGPREFIX);; esac; \
		install -d $(DESTDIR)$(mandir)/man$$s && \
		install -m 644 man/$$m $(DESTDIR)$(mandir)/man$$s/$$p$$m || exit 1; done
	install -m 644 README.md NEWS.md LICENSE $(DESTDIR)$(docdir)
	install -m 644 scripts/sweep.mk $(DESTDIR)$(docdir)/examples/sweep.mk
	install -d $(DESTDIR)$(bashdir) $(DESTDIR)$(zshdir) $(DESTDIR)$(fishdir)
	scripts/completions bash $(OUT)/bin $(PROGPREFIX) > $(DESTDIR)$(bashdir)/$(PROGPREFIX)hnsw-tools
	scripts/completions zsh $(OUT)/bin $(PROGPREFIX) > $(DESTDIR)$(zshdir)/_$(PROGPREFIX)hnsw-tools
	scripts/completions fish $(OUT)/bin $(PROGPREFIX) > $(DESTDIR)$(fishdir)/$(PROGPREFIX)hnsw-tools.fish
	for p in $(programs:%=$(PROGPREFIX)%); do \
		ln -sf $(PROGPREFIX)hnsw-tools $(DESTDIR)$(bashdir)/$$p && \
		ln -sf $(PROGPREFIX)hnsw-tools.fish $(DESTDIR)$(fishdir)/$$p.fish || exit 1; done

uninstall:
	for p in $(programs); do rm -f $(DESTDIR)$(bindir)/$(PROGPREFIX)$$p; done
	for m in $(notdir $(man_pages)); do \
		s=$${m##*.}; p=; case $$s in 1) p=$(PROGPREFIX);; esac; \
		rm -f $(DESTDIR)$(mandir)/man$$s/$$p$$m; done
	for p in hnsw-tools $(programs); do \
		rm -f $(DESTDIR)$(bashdir)/$(PROGPREFIX)$$p $(DESTDIR)$(fishdir)/$(PROGPREFIX)$$p.fish; done
	rm -f $(DESTDIR)$(zshdir)/_$(PROGPREFIX)hnsw-tools
	rm -rf $(DESTDIR)$(docdir)

clean:
	rm -rf build bin

-include $(patsubst %.c,$(OUT)/%.d,$(lib_src) $(cmd_src) $(unit_src) $(bench_src) $(fuzz_src))
