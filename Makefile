# orch-sandbox: one file, GNU make. Everything it makes is under build/.
#
#   make            build/orch-sandbox and the in-sandbox client build/llm
#   make check      lints, unit, command line and acceptance tests; as root also as an ordinary user
#   make help       all targets
#
# VARIANT keeps objects of differently built trees apart: release (default), asan, fuzz.

VERSION  := 0.1.0
VARIANT  ?= release
PREFIX   ?= /usr/local
DESTDIR  ?=
CC       ?= cc
FUZZ_SECONDS ?= 10
SOAK_RUNS    ?= 20
SOAK_SECONDS ?= 3600

# V=1 shows the commands.
V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-4s %s\n' $(1) $@
else
Q :=
say = @:
endif

# Lower layers first. A test of one layer is linked with that layer and the lower ones only.
comma  := ,
LAYERS := common policy sandbox gates supervisor

B := build/$(VARIANT)
ifeq ($(VARIANT),release)
OUT := build
else
OUT := build/$(VARIANT)
endif

# ---- flags -----------------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wcast-qual
WERROR := -Werror
CPPFLAGS_ALL := -D_GNU_SOURCE -DORCH_VERSION='"$(VERSION)"' -I. $(CPPFLAGS)
OPT  := -O2 -g
HARD := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -fcf-protection
LINK := -pie -Wl,-z,relro,-z,now
LIBS := -lseccomp -lcap -lcjson -lsodium
# Reproducible: no absolute path of the build tree ends up in the binary.
MAPS := -ffile-prefix-map=$(CURDIR)=.

ifeq ($(VARIANT),asan)
OPT  := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
HARD := -fPIE
LINK := -pie -fsanitize=address,undefined
endif
ifeq ($(VARIANT),fuzz)
CC     := clang
OPT    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
HARD   := -fPIE
LINK   := -pie -fsanitize=fuzzer,address,undefined
WERROR :=
endif

CFLAGS_ALL := -std=gnu17 $(OPT) $(WARN) $(WERROR) $(HARD) $(MAPS) $(CFLAGS)
# Sign and width conversions are an error where untrusted numbers are read.
CONV_common := -Wconversion
CONV_policy := -Wconversion

# ---- sources ---------------------------------------------------------------------------------------------------------

srcs = $(sort $(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(B)/%.o,$(filter-out supervisor/main.c,$(call srcs,$(1))))
ALL_SRCS := $(foreach l,$(LAYERS),$(call srcs,$(l)))
ALL_OBJS := $(foreach l,$(LAYERS),$(call objs,$(l)))
C_FILES  := $(sort $(ALL_SRCS) $(wildcard $(addsuffix /*.h,$(LAYERS)) supervisor/client/*.c \
              tests/lib/*.[ch] tests/unit/*/*.[ch] tests/helpers/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch] \
              tests/redteam/*/*.[ch] tests/fault/*.[ch]))

UNIT_SRCS   := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_BINS   := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(UNIT_SRCS))
HELPER_BINS := $(patsubst tests/helpers/%.c,$(OUT)/helpers/%,$(sort $(wildcard tests/helpers/*.c))) $(OUT)/helpers/redteam
FUZZ_BINS   := $(patsubst tests/fuzz/%.c,$(OUT)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
TESTLIB     := $(patsubst tests/lib/%.c,$(B)/tests/lib/%.o,$(sort $(wildcard tests/lib/*.c)))
FAULT_BIN   := $(OUT)/fault/orch-sandbox
DEPFILES    := $(B)/tests/fault/fault.d $(ALL_OBJS:.o=.d) $(B)/supervisor/main.d $(TESTLIB:.o=.d) $(addsuffix .d,$(UNIT_BINS) $(HELPER_BINS)) \
               $(addsuffix .d,$(FUZZ_BINS)) $(OUT)/measure.d $(OUT)/cage.d build/llm.d build/probe.d

.DELETE_ON_ERROR:
.PHONY: all help lib unit-bins helpers fuzz-bins fault-bin check unit fault redteam asan valgrind tidy cppcheck shellcheck format format-check \
        check-layers check-style check-size check-trace check-threats fuzz bench soak demo install uninstall dist clean deps
.DEFAULT_GOAL := all

all: $(OUT)/orch-sandbox build/llm build/probe

help:
	@echo 'build:   all lib unit-bins helpers clean deps'
	@echo 'test:    check unit redteam asan valgrind fuzz fault bench soak demo'
	@echo 'lint:    check-layers check-style check-size check-trace check-threats tidy cppcheck shellcheck format format-check'
	@echo 'ship:    install dist     (PREFIX=$(PREFIX) DESTDIR=$(DESTDIR))'

# ---- product ---------------------------------------------------------------------------------------------------------

define compile
$(call say,CC)
@mkdir -p $(@D)
$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(1) -MMD -MP -MF $(2) -MT $@ -c $< -o $@
endef

$(B)/%.o: %.c Makefile
	$(call compile,$(CONV_$(firstword $(subst /, ,$*))),$(@:.o=.d))

# One archive per layer, so that a link line shows who may use whom.
define layer_rule
$(B)/$(1).a: $(call objs,$(1)) Makefile
	@rm -f $$@
	$(Q)ar rcsD $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))

# upto NAME = the archives of layer NAME and below, highest first (all of them for any other name).
rev  = $(if $(1),$(call rev,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
low  = $(if $(filter $(1),$(firstword $(2))),$(firstword $(2)),$(firstword $(2)) $(call low,$(1),$(wordlist 2,$(words $(2)),$(2))))
upto = $(addsuffix .a,$(addprefix $(B)/,$(call rev,$(if $(filter $(1),$(LAYERS)),$(call low,$(1),$(LAYERS)),$(LAYERS)))))

lib: $(call upto,supervisor)

$(OUT)/orch-sandbox: $(B)/supervisor/main.o $(call upto,supervisor)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS_ALL) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

# The agent's side of the control socket: static, because it is copied into sandboxes that have no libraries.
build/llm: supervisor/client/llm.c Makefile
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -Os $(WARN) $(WERROR) -Wconversion $(CPPFLAGS_ALL) $(MAPS) -static -fstack-protector-strong \
	    -Wl,-z,noexecstack -Wl,--build-id=none -s -MMD -MP -MF $@.d -MT $@ -o $@ $<

# What `policy test` runs in a sandbox: no C library, so that a profile can refuse no call that only it needs.
build/probe: supervisor/client/probe.c Makefile
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -Os $(WARN) $(WERROR) -Wconversion $(CPPFLAGS_ALL) $(MAPS) -static -nostdlib -ffreestanding \
	    -fno-stack-protector -fno-pic -no-pie -fno-asynchronous-unwind-tables -mgeneral-regs-only -Wl,-z,noexecstack \
	    -Wl,--build-id=none -s -MMD -MP -MF $@.d -MT $@ -o $@ $<

# .incbin leaves no trace in dependency files.
$(B)/supervisor/client_blob.o: build/llm
$(B)/supervisor/probe_blob.o: build/probe
$(B)/policy/builtin.o: $(wildcard profiles/*.json)

# ---- tests -----------------------------------------------------------------------------------------------------------

unit-bins: $(UNIT_BINS) $(HELPER_BINS)
helpers: $(HELPER_BINS)

$(B)/tests/lib/%.o: tests/lib/%.c Makefile
	$(call compile,,$(@:.o=.d))

define unit_rule
$(OUT)/unit/$(1)/%: tests/unit/$(1)/%.c $(call upto,$(1)) $(TESTLIB) Makefile
	@printf '  %-4s %s\n' TEST $$@
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -MF $$@.d -MT $$@ $(LINK) $(LDFLAGS) -o $$@ $$< \
	    $(TESTLIB) $(call upto,$(1)) -lcmocka $(LIBS)
endef
$(foreach d,$(sort $(notdir $(patsubst %/,%,$(dir $(UNIT_SRCS))))),$(eval $(call unit_rule,$(d))))

# Helpers run inside sandboxes, so they are static; one that cannot be says so in its first line: "link: dynamic".
$(OUT)/helpers/%: tests/helpers/%.c Makefile
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 -g $(WARN) $(WERROR) $(CPPFLAGS_ALL) $(MAPS) -pthread -MMD -MP -MF $@.d -MT $@ \
	    $(if $(shell head -1 $< | grep 'link: dynamic'),-fPIE -pie,-static) -o $@ $<

# The attack program of tests/redteam: static, of several files, one for each class of acts.
$(OUT)/helpers/redteam: $(sort $(wildcard tests/redteam/attack/*.c)) tests/redteam/attack/attack.h policy/sysgroups_list.h Makefile
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 -g $(WARN) $(WERROR) $(CPPFLAGS_ALL) $(MAPS) -pthread -static -o $@ $(filter %.c,$^)

# The product's own objects, with the calls that change something on disk or open something led through
# tests/fault/fault.c. tests/fault/sweep.py refuses to run if an object uses such a call that is not in this list.
FAULT_WRAPS := __dprintf_chk __openat_2 chmod chown copy_file_range fchmod fchown fchownat fdatasync fsetxattr fsync \
               ftruncate futimens lchown linkat memfd_create mkdir mkdirat mkdtemp mknodat open openat opendir pipe2 rename renameat \
               renameat2 rmdir signalfd socketpair symlink symlinkat syncfs syscall unlink unlinkat utimensat write

fault-bin: $(FAULT_BIN)

$(FAULT_BIN): $(B)/supervisor/main.o $(call upto,supervisor) $(B)/tests/fault/fault.o
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LINK) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(FAULT_WRAPS)) -o $@ \
	    $(B)/supervisor/main.o $(B)/tests/fault/fault.o $(call upto,supervisor) $(LIBS)

$(B)/tests/fault/%.o: tests/fault/%.c Makefile
	$(call compile,,$(@:.o=.d))

# These two do everything on a fresh machine: install what is missing, build, run.
check:
	@tests/lib/deps.sh
	@$(MAKE) --no-print-directory all unit-bins fault-bin
	@tests/lib/check.sh

# make unit FOLDERS='common policy' builds and runs the tests of these layers only.
FOLDERS ?= $(sort $(notdir $(patsubst %/,%,$(dir $(UNIT_SRCS)))))
unit_of = $(filter $(foreach f,$(1),$(OUT)/unit/$(f)/%),$(UNIT_BINS))
unit: $(call unit_of,$(FOLDERS)) $(HELPER_BINS)
	@ORCH_BUILD=$(OUT) ORCH_UNIT_FOLDERS='$(FOLDERS)' tests/lib/suite.sh unit

asan:
	@$(MAKE) --no-print-directory all helpers
	@$(MAKE) --no-print-directory VARIANT=asan all unit-bins
	@ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    ORCH_BUILD=build/asan ORCH_TEST_TIMEOUT=900 tests/lib/suite.sh unit
	@tests/lib/asan.sh

# Only folders whose tests do not fork sandboxes. valgrind answers ENOSYS to openat2 and pidfd_open, so tests that open
# files beneath a directory or compile a filter (in a child) cannot pass there; make asan covers them.
VALGRIND_SKIP := common/test_io common/test_json policy/test_workflow policy/test_messages policy/test_bombs policy/test_manual \
                 policy/test_filter policy/test_filter_cache policy/test_filter_child policy/test_filter_known policy/test_filter_random \
                 policy/test_within
valgrind: $(call unit_of,common policy) $(HELPER_BINS)
	@ORCH_BUILD=$(OUT) ORCH_UNIT_FOLDERS='common policy' ORCH_UNIT_SKIP='$(VALGRIND_SKIP)' ORCH_TEST_TIMEOUT=900 \
	    ORCH_UNIT_WRAP='valgrind -q --error-exitcode=97 --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite' \
	    tests/lib/suite.sh unit

fuzz-bins: $(FUZZ_BINS)

$(OUT)/fuzz_%: tests/fuzz/fuzz_%.c $(call upto,all) Makefile
	$(call say,FUZZ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -MF $@.d -MT $@ $(LINK) -o $@ $< $(call upto,all) $(LIBS)

fuzz:
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-bins
	@tests/lib/fuzz.sh build/fuzz $(FUZZ_SECONDS)

# Every Nth durable operation, killed or failing: tests/README.md.
fault: all helpers fault-bin
	@ORCH_BUILD=$(OUT) tests/lib/suite.sh fault

# Links what it measures.
$(OUT)/measure $(OUT)/cage $(OUT)/floor: $(OUT)/%: tests/bench/%.c $(call upto,all) Makefile
	$(call say,TEST)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -MF $@.d -MT $@ $(LINK) $(LDFLAGS) -o $@ $< $(call upto,all) $(LIBS)

# Every act of tests/redteam/attacks.table, as root also as an ordinary user.
redteam: all helpers
	@ORCH_BUILD=$(OUT) tests/redteam/all

bench: all helpers $(OUT)/measure $(OUT)/cage $(OUT)/floor
	@tests/bench/run
	@tests/bench/cheap

soak: all helpers fault-bin $(OUT)/unit/policy/test_filter_random $(OUT)/unit/sandbox/test_resolve
	@tests/lib/soak.sh $(SOAK_RUNS)
	@ORCH_BUILD=$(OUT) tests/lib/soak-audit.sh
	@tests/vm/cgroup2 || [ $$? -eq 77 ]
	@ORCH_SOAK_SECONDS=$(SOAK_SECONDS) $(OUT)/unit/policy/test_filter_random
	@ORCH_BUILD=$(OUT) tests/redteam/all --only 'T-SC-*' --rounds 10000
	@ORCH_BUILD=$(OUT) tests/redteam/all --only races --starts 10000
	@ORCH_BUILD=$(OUT) ORCH_FAULT_FULL=1 ORCH_TEST_TIMEOUT=14400 tests/lib/suite.sh fault

demo:
	@tests/lib/deps.sh
	@$(MAKE) --no-print-directory all
	@demo/run.sh

# ---- lints -----------------------------------------------------------------------------------------------------------

check-layers check-style check-size check-trace check-threats:
	@tests/lint/$@

format:
	clang-format -i $(C_FILES)

format-check:
	clang-format --dry-run -Werror $(C_FILES)

# One file a run: several in one make clang-tidy 14 lose track of va_start.
tidy:
	@printf '%s\n' $(ALL_SRCS) $(wildcard supervisor/client/*.c) | xargs -P "$$(nproc)" -I {} \
	    clang-tidy --quiet {} -- -std=gnu17 $(subst ',,$(subst ",\",$(CPPFLAGS_ALL))) $(WARN)

cppcheck:
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem --include=tests/lint/cppcheck.h -D_GNU_SOURCE -D__x86_64__ -I. $(ALL_SRCS) $(wildcard supervisor/client/*.c)

shellcheck:
	shellcheck -s sh .ci/run demo/*.sh profiles/examples/*/*.sh tests/lib/*.sh tests/lint/check-* tests/redteam/all

# ---- shipping --------------------------------------------------------------------------------------------------------

SHARE := $(DESTDIR)$(PREFIX)/share
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/man/man1 $(SHARE)/man/man5 $(SHARE)/orch-sandbox
	install -m 0755 $(OUT)/orch-sandbox $(DESTDIR)$(PREFIX)/bin/orch-sandbox
	install -m 0644 docs/man/*.1 $(SHARE)/man/man1
	install -m 0644 docs/man/*.5 $(SHARE)/man/man5
	cp -R profiles $(SHARE)/orch-sandbox/
	chmod -R u=rwX,go=rX $(SHARE)/orch-sandbox

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/orch-sandbox
	rm -f $(addprefix $(SHARE)/man/man1/,$(notdir $(wildcard docs/man/*.1)))
	rm -f $(addprefix $(SHARE)/man/man5/,$(notdir $(wildcard docs/man/*.5)))
	rm -rf $(SHARE)/orch-sandbox

dist:
	@mkdir -p build
	git archive --format=tar --prefix=orch-sandbox-$(VERSION)/ HEAD | gzip -n9 > build/orch-sandbox-$(VERSION).tar.gz

clean:
	rm -rf build

deps:
	@tests/lib/deps.sh

-include $(wildcard $(DEPFILES))
