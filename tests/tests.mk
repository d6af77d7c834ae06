# Tests. A program for each tests/FOLDER/test_FILE.c (cmocka), pytest for
# tests/FOLDER/test_FILE.py, a replay of the corpus for each fuzz target.
# tools/check.sh runs and counts them.
TEST_SOURCES = $(wildcard tests/*/test_*.c)
TESTS = $(patsubst %.c,$(B)/%,$(TEST_SOURCES))
# These need the objects of the program around the cores.
DAEMON_TESTS = $(filter $(B)/tests/daemon/%,$(TESTS))
CLI_TESTS = $(filter $(B)/tests/cli/%,$(TESTS))
SCENARIO_TESTS = $(filter $(B)/tests/scenario/%,$(TESTS))
DELIVERY_TESTS = $(filter $(B)/tests/delivery/%,$(TESTS))
CORE_TESTS = $(filter-out $(DAEMON_TESTS) $(CLI_TESTS) $(SCENARIO_TESTS) $(DELIVERY_TESTS),$(TESTS))
FUZZ_SOURCES = $(wildcard tests/fuzz/fuzz_*.c)
REPLAYS = $(patsubst %.c,$(B)/%,$(FUZZ_SOURCES))
# What tests call that is no test.
TOOLS = $(patsubst %.c,$(B)/%,$(filter-out $(TEST_SOURCES),$(wildcard tests/tools/*.c)))
comma = ,
CHECK = B=$(B) T='$(T)' SAN='$(SAN)' tools/check.sh

.SECONDEXPANSION:
$(CORE_TESTS): $(B)/%: $(B)/%.o $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CMOCKA) $(CORE_LIBS)
# As archives, so that a test links only with what it needs.
$(B)/parts-%.a: $$(filter-out %/main.o,$$(call obj,$$*))
	@rm -f $@
	$(Q)$(AR) rcsD $@ $^
$(DAEMON_TESTS): $(B)/%: $(B)/%.o $(B)/parts-daemon.a $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CMOCKA) $(ALL_LIBS)
# Calls on the disk fail, or are the last ones, as the test says.
SPOOL_WRAPPED = writev sync_file_range fdatasync fsync renameat2 unlinkat \
	ftruncate flock fstatfs nanosleep
$(filter $(B)/tests/daemon/test_spool%,$(TESTS)): LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(SPOOL_WRAPPED))
# The time of day is as the test says, and a slow machine is none.
SHARED_TESTS = $(addprefix $(B)/tests/daemon/,test_shared_arrivals test_shared_claims \
	test_shared_copies)
$(SHARED_TESTS): LDFLAGS += $(addprefix -Wl$(comma)--wrap=,loop_time_s redis_ask)
# What the kernel has is as the test says.
$(B)/tests/daemon/test_guard: LDFLAGS += -Wl$(comma)--wrap=guard_seccomp_is_there -Wl$(comma)--wrap=guard_landlock_abi
$(CLI_TESTS): $(B)/%: $(B)/%.o $(B)/parts-cli.a $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CMOCKA) $(ALL_LIBS)
# The daemon's own code, its loop, signer and sockets replaced.
SCENARIO_PARTS = $(patsubst %.c,$(B)/%.o,$(filter-out $(TEST_SOURCES),$(wildcard tests/scenario/*.c)))
WRAPPED = socket connect accept4 send recv getsockopt setsockopt getsockname \
	__recv_chk close write \
	malloc calloc realloc reallocarray arena_new
$(SCENARIO_TESTS): $(B)/%: $(B)/%.o $(SCENARIO_PARTS) $(B)/parts-daemon.a $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(WRAPPED)) -o $@ $^ $(CMOCKA) $(ALL_LIBS)
# The queue's run in the same world, over the real spool.
DELIVERY_PARTS = $(patsubst %.c,$(B)/%.o,$(filter-out $(TEST_SOURCES),$(wildcard tests/delivery/*.c)) \
	$(wildcard tests/scenario/world*.c) \
	tests/scenario/memory.c tests/scenario/arrivals.c)
$(DELIVERY_TESTS): $(B)/%: $(B)/%.o $(DELIVERY_PARTS) $(B)/parts-daemon.a $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(WRAPPED) pwrite) -o $@ $^ $(CMOCKA) $(ALL_LIBS)
$(REPLAYS): $(B)/%: $(B)/%.o $(B)/tests/fuzz/replay.o $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)
# The one library that is not of a core.
$(B)/tests/fuzz/fuzz_redis: CORE_LIBS += -lhiredis
$(TOOLS): $(B)/%: $(B)/%.o $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

# The mail, the load and the sink of `make bench`; no tests.
BENCH_TOOLS = $(addprefix $(B)/tests/bench/,mint load sink core)
$(BENCH_TOOLS): $(B)/%: $(B)/%.o $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

# The clients, next hops and the ledger of `make soak`.
SOAK = $(B)/tests/soak/soak
$(SOAK): $(patsubst %.c,$(B)/%.o,$(filter-out $(TEST_SOURCES),$(wildcard tests/soak/*.c))) $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

tested = $(TESTS) $(REPLAYS) $(TOOLS) $(BENCH_TOOLS) $(SOAK) \
	$(if $(wildcard daemon/main.c),$(B)/hopseald) \
	$(if $(wildcard cli/main.c),$(B)/hopseal)

## check         every group below, then `N passed, N failed`; T=NAME: one test
check: $(tested)
	@$(CHECK) structure core lists dsn ops soak -- smtp queue
## check-core    base, dkim2, config, the commands, vectors, the peer
check-core: $(tested)
	@$(CHECK) structure core
## check-smtp    SMTP, the daemon, real MTAs on loopback
check-smtp: $(tested)
	@$(CHECK) smtp
## check-queue   the spool, the schedule, delivery from the queue
check-queue: $(tested)
	@$(CHECK) queue
## check-lists   list managers and forwarders, and models of what they do
check-lists: $(tested)
	@$(CHECK) lists
## check-dsn     bounces on real paths: chains, backscatter, forged ones
check-dsn: $(tested)
	@$(CHECK) dsn
## check-ops     manuals, unit, package: what an operator sees
check-ops: $(tested)
	@$(CHECK) ops
## check-soak    messages through all modes with troubles, each accounted for
check-soak: $(tested)
	@$(CHECK) soak
## check-asan    the same programs and one end-to-end run under sanitizers
check-asan:
	@$(MAKE) --no-print-directory SAN=1 T='$(T)' check-san
check-san: $(tested)
	@$(CHECK) san -- san-py
## check-32      the cores and their tests for 32 bits, under UBSan
check-32:
	@T='$(T)' tools/check32.sh
check-32-run: $(CORE_TESTS) $(REPLAYS)
	@$(CHECK) cores
## check-long    check with more messages, kills and mutations
check-long: $(tested)
	@LONG=1 REPLAY_CHANGES=5000 $(CHECK) structure core lists dsn ops soak -- smtp queue
	@$(MAKE) --no-print-directory SAN=1 soak
## unit          only the cmocka programs
unit: $(TESTS)
	@$(CHECK) unit

## layers        who may include whom, no writable globals, sizes of files
layers: $(CORES)
	@B=$(B) tools/layers.sh
## attacks       the rows of tests/attacks.txt and the tests that name them
attacks:
	@tools/attacks.sh
## bench-core    libdkim2's speed against the peer and bare SHA-256
bench-core: $(B)/tests/bench/core
	@PYTHONDONTWRITEBYTECODE=1 tests/bench/core.py $(B)
## bench-memory  what the delivered memory costs, with a million entries
$(B)/tests/bench/memory: $(B)/tests/bench/memory.o $(B)/parts-daemon.a $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)
bench-memory: $(B)/tests/bench/memory
	@mkdir -p $(B)/bench-memory
	@rm -f $(B)/bench-memory/store.*
	@$(B)/tests/bench/memory $(B)/bench-memory
	@$(B)/tests/bench/memory $(B)/bench-memory $(or $(ENTRIES),1000000)
	@rm -f $(B)/bench-memory/store.*
## bench-tls     handshakes, octets and memory of TLS connections
$(B)/tests/bench/tls: $(B)/tests/bench/tls.o $(B)/parts-daemon.a $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(ALL_LIBS)
bench-tls: $(B)/tests/bench/tls
	@$(B)/tests/bench/tls
## bench-queue   the queue beside Postfix's, and a start with 100,000 messages
$(B)/tests/bench/queue: $(B)/tests/bench/queue.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^
bench-queue: all $(B)/tests/bench/queue
	@PYTHONDONTWRITEBYTECODE=1 tests/bench/queue.py $(B)
## bench         hopseald in each mode beside real relays, and the aims; ONLY=
bench: all $(BENCH_TOOLS)
	@B=$(B) PYTHONDONTWRITEBYTECODE=1 python3 tests/bench/relay.py
## soak          N=1000000 messages in all modes, with troubles; SAN=1: 100000
soak: all $(SOAK)
	@B=$(B) SAN='$(SAN)' N='$(N)' PYTHONDONTWRITEBYTECODE=1 \
		python3 tests/soak/soak.py
## coverage      branches of libdkim2 that its tests take; GAPS=1 lists the rest
COVERED = $(wildcard $(addprefix dkim2/,verify*.c recipe*.c taglist.c \
	instance.c signature.c keyrec.c chain.c))
coverage:
	@$(MAKE) --no-print-directory B=build-coverage OPT='-O0 -g --coverage' \
		LDFLAGS='-pie --coverage' coverage-run
coverage-run: $(filter $(B)/tests/dkim2/%,$(TESTS)) $(B)/hopseal
	@find $(B) -name '*.gcda' -delete
	@for t in $(filter $(B)/tests/dkim2/%,$(TESTS)); do \
		$$t >$(B)/unit.log 2>&1 || { cat $(B)/unit.log; exit 1; }; done
	@PYTHONDONTWRITEBYTECODE=1 tests/interop/run_cases.py $(B)/hopseal
	@B=$(B) PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q \
		-c tests/pytest.ini tests/interop/test_rules.py -k 'not test_peer'
	@tools/coverage.py $(B) $(if $(GAPS),--gaps) $(COVERED)
## peer          builds the live peer of the interoperability tests
peer:
	@B=$(B) tests/interop/peer.sh

## fuzz          each target for FUZZ_SECONDS (60) with clang's libFuzzer
FUZZ_SECONDS = 60
FUZZ_SEED = 1
FUZZ_SAN = address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
fuzz:
	@command -v clang >/dev/null || { echo 'missing Debian packages: clang' \
		'libclang-rt-14-dev; ./bootstrap fuzz installs them'; exit 1; }
	@$(MAKE) --no-print-directory CC=clang B=build-fuzz HARDEN=-fPIE \
		SANFLAGS='-fsanitize=fuzzer-no-link,$(FUZZ_SAN)' fuzz-run
fuzz-run: $(CORES) $(patsubst %.c,$(B)/%.o,$(FUZZ_SOURCES))
	@B=$(B) FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) T='$(T)' \
		LINK='-fsanitize=fuzzer,$(FUZZ_SAN) -pie' LIBS='$(CORES) $(CORE_LIBS) -lhiredis' \
		tools/fuzz.sh

.PHONY: check-32 check-32-run check check-core check-smtp check-queue check-lists check-dsn \
	check-ops check-soak check-asan check-san check-long unit layers attacks peer fuzz \
	soak bench bench-core bench-memory bench-tls bench-queue coverage coverage-run \
	fuzz-run
