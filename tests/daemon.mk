# Tests of daemon/: programs as in tests.mk, with the libraries of the daemon.
DAEMON_TESTS = $(patsubst %.c,$(B)/%,$(wildcard tests/daemon/test_*.c))

$(B)/libdaemon.a: $(filter-out $(B)/daemon/main.o,$(call obj,daemon))
	@rm -f $@
	$(AR) rcsD $@ $^

$(DAEMON_TESTS): $(B)/%: $(B)/%.o $(B)/libdaemon.a $(CORES)
	$(CC) $(LDFLAGS) -o $@ $^ $(CMOCKA) $(ALL_LIBS)

unit-daemon: $(DAEMON_TESTS)
	@for t in $(DAEMON_TESTS); do $$t 2>&1 || exit 1; done

unit: unit-daemon
.PHONY: unit-daemon
