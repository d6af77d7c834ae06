# hopseal: GNU make, no configure step. `make help` lists the targets.
# make never installs anything: ./bootstrap TARGET does.
CC = cc
AR = ar
PKG_CONFIG = pkg-config
PREFIX = /usr/local
B = build
SHELL = /bin/sh

ifdef SAN		# make SAN=1: Address and Undefined sanitizers
B := $(B)-san
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
endif

# Short lines; make V=1 shows the commands.
Q = $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)  $(2)')

LIBS_FOR = libcrypto libssl libsodium libevent_core libevent_extra libcares yaml-0.1 \
	libpsl sqlite3 hiredis
# These goals compile nothing.
IDLE_GOALS = help clean attacks peer check-32 coverage mutants fuzz
ifneq ($(filter-out $(IDLE_GOALS),$(or $(MAKECMDGOALS),all)),)
NEEDS = $(if $(filter check% coverage% unit $(B)/tests/%,$(MAKECMDGOALS)),cmocka) \
	$(if $(filter check%,$(MAKECMDGOALS)),pytest) \
	$(if $(filter demo,$(MAKECMDGOALS)),python3)
MISSING := $(shell tools/need.sh $(CC) $(PKG_CONFIG) $(LIBS_FOR) $(NEEDS))
ifneq ($(MISSING),)
$(error missing Debian packages: $(MISSING); `./bootstrap $(or $(MAKECMDGOALS),all)` installs what is needed)
endif
# hiredis asks for fstatfs64() and the like, which tests can not stand in for.
CPPFLAGS := -I. -D_GNU_SOURCE $(filter-out -D_FILE_OFFSET_BITS=64,\
	$(shell $(PKG_CONFIG) --cflags $(LIBS_FOR)))
CORE_LIBS := $(shell $(PKG_CONFIG) --libs libcrypto libsodium yaml-0.1 libpsl)
LIBDKIM2_LIBS := $(shell $(PKG_CONFIG) --libs libcrypto libsodium)
ALL_LIBS := $(shell $(PKG_CONFIG) --libs $(LIBS_FOR))
CMOCKA := $(if $(filter cmocka,$(NEEDS)),$(shell $(PKG_CONFIG) --libs cmocka))
endif

OPT = -O2 -g
WARN = -std=c11 -Wall -Wextra -Wconversion -Wshadow -Werror \
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
HARDEN = -fPIE
ifndef SAN
HARDEN += -fstack-protector-strong -fstack-clash-protection \
	-D_FORTIFY_SOURCE=2 \
	$(if $(filter x86_64 i%86,$(shell uname -m)),-fcf-protection)
endif
CFLAGS = $(OPT) $(WARN) $(HARDEN) $(SANFLAGS)
LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS)

FOLDERS = base dkim2 smtp dsn config queue
obj = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c))
CORES = $(foreach f,queue config dsn dkim2 smtp base,$(if $(wildcard $(f)/*.c),$(B)/lib$(f).a))

## all           hopseald and hopseal, under build/ (B=DIR, CC=clang, SAN=1)
all: $(B)/hopseald $(B)/hopseal

define library
$(B)/lib$(1).a: $(call obj,$(1))
	@rm -f $$@
	$(Q)$(AR) rcsD $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call library,$(f))))

$(B)/hopseald: $(call obj,daemon) $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(B)/hopseal: $(call obj,cli) $(CORES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

# Every system call that the headers know, with its name.
$(B)/syscalls.h: Makefile
	@mkdir -p $(@D)
	$(Q)echo '#include <sys/syscall.h>' | $(CC) -E -dM - | LC_ALL=C sort | \
		sed -n 's/^#define SYS_\([a-z0-9_]*\) .*/{SYS_\1, "\1"},/p' >$@
$(B)/daemon/guard_seccomp.o: CPPFLAGS += -I$(B)
$(B)/daemon/guard_seccomp.o: $(B)/syscalls.h

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  ,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(foreach f,$(FOLDERS) daemon cli tests/*,$(B)/$(f)/*.d))

## demo          two hops and a real message on loopback, explained
demo: all
	@B=$(B) PYTHONDONTWRITEBYTECODE=1 python3 demo/demo.py

include tests/tests.mk
include dkim2/install.mk
include package/install.mk

## mutants       takes out a rule at a time: the test it names must fail
mutants:
	@REDIS_SERVER=$$(python3 tests/e2e/redisserver.py) \
	PYTHONDONTWRITEBYTECODE=1 tools/mutants.py --only '$(T)' $(B)

help:
	@sed -n 's/^## //p' Makefile tests/tests.mk dkim2/install.mk package/install.mk
## clean         removes every build directory
clean:
	rm -rf build build-32 build-san build-fuzz build-clang build-coverage

.PHONY: all demo mutants help clean
.DELETE_ON_ERROR:
.SECONDARY:
