# libdkim2 for other programs: make install puts it there. Its objects are
# compiled once more, since code for a program cannot stand in a .so.
LIBDIR = $(PREFIX)/lib
LIBDKIM2_HEADERS = base/arena.h base/buf.h base/bytes.h base/err.h \
	dkim2/crypto.h dkim2/dkim2.h
libdkim2 = $(B)/pic/libdkim2
# Not DKIM1, DMARC and results for people: their interface may still change.
pic = $(patsubst %.c,$(B)/pic/%.o,$(filter-out dkim2/dkim1% dkim2/dmarc% \
	dkim2/authres%,$(wildcard base/*.c dkim2/*.c)))
exported = $(shell sed -n 's/^\t\([a-z][a-z0-9_*]*\);$$/\1/p' dkim2/libdkim2.map)

$(B)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  ,$< (for libdkim2))
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(CFLAGS)) -fPIC -MMD -MP -c -o $@ $<

$(libdkim2).so.0: $(pic) dkim2/libdkim2.map dkim2/install.mk
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,libdkim2.so.0 -Wl,--no-undefined \
		-Wl,--version-script=dkim2/libdkim2.map \
		$(filter-out -pie,$(LDFLAGS)) -o $@ $(pic) $(LIBDKIM2_LIBS)

# One object, so that the names between its files are nobody else's.
$(libdkim2).a: $(pic) dkim2/libdkim2.map dkim2/install.mk
	$(call say,AR  ,$@)
	@rm -f $@
	$(Q)$(CC) -r -nostdlib -o $(libdkim2).o $(pic)
	$(Q)objcopy --wildcard $(foreach f,$(exported),\
		--keep-global-symbol='$(f)') $(libdkim2).o
	$(Q)$(AR) rcsD $@ $(libdkim2).o

-include $(wildcard $(B)/pic/base/*.d $(B)/pic/dkim2/*.d)

## install-lib   libdkim2 alone: headers, .a, .so, dkim2.pc, manual page
install-lib: $(libdkim2).a $(libdkim2).so.0
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(PREFIX)/include/hopseal/base \
		$(DESTDIR)$(PREFIX)/include/hopseal/dkim2 \
		$(DESTDIR)$(PREFIX)/share/man/man3
	install -m 644 $(libdkim2).a $(libdkim2).so.0 $(DESTDIR)$(LIBDIR)/
	ln -sf libdkim2.so.0 $(DESTDIR)$(LIBDIR)/libdkim2.so
	for header in $(LIBDKIM2_HEADERS); do \
		install -m 644 $$header \
		    $(DESTDIR)$(PREFIX)/include/hopseal/$$header || exit 1; \
	done
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(shell \
		sed -n 's/.*HOPSEAL_VERSION "\(.*\)"/\1/p' base/version.h)|' \
		dkim2/dkim2.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/dkim2.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/dkim2.pc
	install -m 644 docs/man/libdkim2.3 \
		$(DESTDIR)$(PREFIX)/share/man/man3/libdkim2.3

.PHONY: install-lib
