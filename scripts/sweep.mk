# A sweep of one's own with make: one target a build, and only what is missing is made.
#
#	make -f sweep.mk VECTORS=base.npy EVAL=eval.json
#	make -f sweep.mk VECTORS=base.npy EVAL=eval.json M="8 16 32" frontier
#
# Adding a value and running it again builds just that one.  Latencies want a machine
# with nothing else to do, so the targets run one after the other.

VECTORS ?= base.npy
EVAL ?= eval.json
METRIC ?= cosine
M ?= 8 16
EF_CONSTRUCTION ?= 40 80 160
EF_SEARCH ?= 10,20,40,80,160
SWEEP ?= sweep

builds := $(foreach m,$(M),$(foreach c,$(EF_CONSTRUCTION),m$(m)-c$(c)))
trials := $(builds:%=$(SWEEP)/%.trials)

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: all frontier

all: $(SWEEP)/best

# The fastest config for each recall that can be had.
frontier: $(SWEEP)/frontier
	@jq -r '[.metrics.recall_at_k, .metrics.search_latency_p50_us] + [.config | .m, .ef_construction, .ef_search] | @tsv' $<

$(SWEEP)/best: $(trials)
	cat -- $^ | trial-best --by pareto - >$@.tmp
	mv -- $@.tmp $@

$(SWEEP)/frontier: $(trials)
	cat -- $^ | trial-best --by frontier - >$@.tmp
	mv -- $@.tmp $@

# The record says how long the build took; the index itself goes once it was measured.
$(trials): $(SWEEP)/%.trials: $(SWEEP)/%.json $(EVAL)
	hnsw-bench -q --index $(SWEEP) -s $(EF_SEARCH) -- $< $(EVAL) >$@.tmp
	mv -- $@.tmp $@
	rm -f -- $(SWEEP)/$*.hnsw

# Stems are m16-c80.
$(trials:.trials=.json): $(SWEEP)/%.json: $(VECTORS)
	@mkdir -p -- $(SWEEP)
	hnsw-build -q --metric $(METRIC) -m $(patsubst m%,%,$(firstword $(subst -, ,$*))) \
		-c $(patsubst c%,%,$(lastword $(subst -, ,$*))) -o $(SWEEP)/$*.hnsw -- $< >$@.tmp
	mv -- $@.tmp $@
