# Tests: a program for each tests/FOLDER/test_FILE.c, on cmocka.
TEST_SOURCES = $(filter-out $(wildcard tests/daemon/*.c),$(wildcard tests/*/test_*.c))
TESTS = $(patsubst %.c,$(B)/%,$(TEST_SOURCES))
CMOCKA = $(shell $(PKG_CONFIG) --libs cmocka)

$(TESTS): $(B)/%: $(B)/%.o $(CORES)
	$(CC) $(LDFLAGS) -o $@ $^ $(CMOCKA) $(CORE_LIBS)

unit: $(TESTS)
	@for t in $(TESTS); do $$t 2>&1 || exit 1; done
.PHONY: unit
