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

LIBS_FOR = libcrypto libssl libsodium libevent_core libevent_extra libcares yaml-0.1
ifeq ($(filter help clean layers attacks,$(MAKECMDGOALS)),)
MISSING := $(shell tools/need.sh $(PKG_CONFIG) $(LIBS_FOR))
ifneq ($(MISSING),)
$(error missing: $(MISSING); `./bootstrap all` installs what is needed)
endif
endif

OPT = -O2 -g
WARN = -std=c11 -Wall -Wextra -Wconversion -Wshadow -Werror \
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
HARDEN = -fPIE -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection -D_FORTIFY_SOURCE=2
ifdef SAN
HARDEN = -fPIE
endif
CPPFLAGS = -I. -D_GNU_SOURCE $(shell $(PKG_CONFIG) --cflags $(LIBS_FOR))
CFLAGS = $(OPT) $(WARN) $(HARDEN) $(SANFLAGS)
LDFLAGS = -pie -Wl,-z,relro,-z,now $(SANFLAGS)
CORE_LIBS := $(shell $(PKG_CONFIG) --libs libcrypto libsodium yaml-0.1)
ALL_LIBS := $(shell $(PKG_CONFIG) --libs $(LIBS_FOR))

FOLDERS = base dkim2 smtp dsn config
lib = $(B)/lib$(1).a
obj = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c))
CORES = $(foreach f,config dsn dkim2 smtp base,$(if $(wildcard $(f)/*.c),$(call lib,$(f))))

all: $(B)/hopseald $(B)/hopseal

define library
$(B)/lib$(1).a: $(call obj,$(1))
	@rm -f $$@
	$(AR) rcsD $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call library,$(f))))

$(B)/hopseald: $(call obj,daemon) $(CORES)
	$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(B)/hopseal: $(call obj,cli) $(CORES)
	$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(B) -name '*.d' 2>/dev/null)
include tests/tests.mk

help:
	@sed -n 's/^## //p' Makefile tests/tests.mk
clean:
	rm -rf build build-san build-fuzz

.PHONY: all help clean
.DELETE_ON_ERROR:
.SECONDARY:
