# What make install puts where, and the Debian package made of it.

## man           the manual pages and the sample, under build/man
MANUALS = $(patsubst docs/man/%,$(B)/man/%,$(filter-out %/libdkim2.3,$(wildcard docs/man/*.[1-8])))
$(B)/man/hopseal.yaml.5: docs/man/hopseal.yaml.5 $(B)/hopseal
	@mkdir -p $(@D)
	$(Q)$(B)/hopseal config manual >$@.part
	$(Q)sed -e '/@DIRECTIVES@/{r $@.part' -e 'd}' $< >$@
	@rm -f $@.part
$(B)/man/hopseald.8: docs/man/hopseald.8 $(B)/hopseald
	@mkdir -p $(@D)
	$(Q)$(B)/hopseald --metrics >$@.part
	$(Q)sed -e '/@METRICS@/{r $@.part' -e 'd}' $< >$@
	@rm -f $@.part
$(B)/man/%: docs/man/%
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(B)/man/hopseal.yaml: $(B)/hopseal
	@mkdir -p $(@D)
	$(Q)$(B)/hopseal config sample >$@
man: $(MANUALS) $(B)/man/hopseal.yaml

## install       under DESTDIR and PREFIX: programs, library, manuals, unit
doc = $(DESTDIR)$(PREFIX)/share/doc/hopseal
examples = $(doc)/examples
install: all man install-lib
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin \
		$(examples) $(doc)/guide $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(B)/hopseal $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(B)/hopseald $(DESTDIR)$(PREFIX)/sbin/
	install -m 644 $(wildcard config/examples/*.yaml) \
		$(B)/man/hopseal.yaml $(examples)/
	install -m 644 $(wildcard docs/guide/*.md) $(doc)/guide/
	install -d $(doc)/alerts $(doc)/runbook
	install -m 644 $(wildcard docs/alerts/*.yml) $(doc)/alerts/
	install -m 644 $(wildcard docs/runbook/*.md) $(doc)/runbook/
	for page in $(MANUALS); do \
		install -D -m 644 $$page \
		    $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || \
		    exit 1; \
	done
	sed 's|/usr/sbin|$(PREFIX)/sbin|' systemd/hopseald.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/hopseald.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/hopseald.service
	install -m 644 systemd/hopseald.socket \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/
	install -D -m 644 systemd/hopseal.sysusers \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/hopseal.conf
	install -D -m 644 systemd/hopseal.tmpfiles \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/hopseal.conf

## deb           the Debian packages, as build/deb/*.deb
deb: all man $(libdkim2).a $(libdkim2).so.0
	@B=$(B) CC='$(CC)' RELEASE='$(RELEASE)' package/deb.sh

.PHONY: man install deb
