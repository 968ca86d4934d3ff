# zeval: one non-recursive Makefile. `make help` lists the targets.
#   CC=clang      another compiler          BUILD=dir     another output folder
#   WERROR=       warnings stay warnings    SANITIZE=address,undefined   instrumented build
#   ONEDNN=1      bench/gemm takes turns with oneDNN (docs/PERFORMANCE.md)

ifeq ($(origin CC),default)
CC      := gcc
endif
BUILD   ?= build
PREFIX  ?= /usr/local
WERROR  ?= -Werror
OPTIMIZE ?= -O2
VERSION := 0.1.0
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

PACKAGES := libcurl libcjson sqlite3 libpcre2-8 yaml-0.1 zlib libcrypto libutf8proc snappy libzstd liblz4 libbrotlidec
ifeq ($(filter clean help,$(MAKECMDGOALS)),)
ifneq ($(shell pkg-config --exists $(PACKAGES) && echo yes),yes)
$(error Libraries are missing (pkg-config: $(PACKAGES)). Run ./demo or ./check, which install them, or on Debian: apt-get install $(shell cat tools/packages.txt 2>/dev/null | tr '\n' ' '))
endif
endif

CFLAGS   ?= -g
CPPFLAGS += -I. -D_GNU_SOURCE -DPCRE2_CODE_UNIT_WIDTH=8 $(shell pkg-config --cflags $(PACKAGES))
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla $(WERROR)
LIBS     := $(shell pkg-config --libs $(PACKAGES)) -lbz2 -lm -lpthread
ifneq ($(SANITIZE),)
override CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SANITIZE)
endif
ALL_CFLAGS = -std=c11 $(WARNINGS) $(OPTIMIZE) $(CFLAGS) -ffp-contract=off -fno-math-errno -MMD -MP

# ---- rooms: each may include those below it, never above (docs/ARCHITECTURE.md)
ROOMS := cli reports eval tasks runner zoo db base
sources = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))
archives = $(foreach room,$(1),$(BUILD)/lib$(room).a)

NEEDS_base    := base
NEEDS_db      := db base
NEEDS_zoo     := zoo base
NEEDS_tasks   := tasks base
NEEDS_runner  := runner base
NEEDS_eval    := eval tasks runner zoo db base
NEEDS_reports := reports db base
NEEDS_cli     := $(ROOMS)

.PHONY: all test check format asan install clean help bench FORCE
.SECONDARY:
all: $(BUILD)/zeval

$(BUILD)/zeval: $(call archives,$(ROOMS))
	$(CC) $(LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(LIBS)

define room_rules
$(BUILD)/lib$(1).a: $(call objects,$(1)) $(if $(filter base,$(1)),$(BUILD)/obj/embedded.o)
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach room,$(ROOMS),$(eval $(call room_rules,$(room))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(FILE_CFLAGS) -c -o $@ $<

# The build's identity is compiled into one file only.
$(BUILD)/obj/cli/version.o: CPPFLAGS += -DZEVAL_VERSION='"$(VERSION)"' -DZEVAL_COMMIT='"$(COMMIT)"'
$(BUILD)/obj/cli/version.o: $(BUILD)/commit.txt
$(BUILD)/commit.txt: FORCE
	@mkdir -p $(BUILD); echo '$(VERSION) $(COMMIT)' | cmp -s - $@ || echo '$(VERSION) $(COMMIT)' >$@

# CPU kernels: the same promise, one object per instruction set, chosen when the program starts.
$(BUILD)/obj/runner/cpu/%.o: OPTIMIZE = -O3
ifeq ($(findstring x86_64,$(shell $(CC) -dumpmachine)),x86_64)
$(BUILD)/obj/runner/cpu/%_avx2.o: FILE_CFLAGS = -mavx2 -mfma
$(BUILD)/obj/runner/cpu/%_avx512.o: FILE_CFLAGS = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma
$(BUILD)/obj/runner/cpu/%_avx512_bf16.o: FILE_CFLAGS = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma
endif

# ---- files that ship inside the binary
EMBEDDED := $(shell find tasks/library zoo/demo zoo/registry reports/published reports/page -type f 2>/dev/null | LC_ALL=C sort)
$(BUILD)/embedded.list: FORCE
	@mkdir -p $(BUILD); echo '$(EMBEDDED)' | cmp -s - $@ || echo '$(EMBEDDED)' >$@
$(BUILD)/embedded.S: $(BUILD)/embedded.list $(EMBEDDED) tools/embed.sh
	tools/embed.sh $(EMBEDDED) >$@
$(BUILD)/obj/embedded.o: $(BUILD)/embedded.S
	@mkdir -p $(@D)
	$(CC) -c -o $@ $<

# ---- tests: tests/ROOM/*.c make the program build/tests/test_ROOM
TEST_ROOMS := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard tests/*/*.c)))))
TEST_ROOMS := $(filter $(ROOMS),$(TEST_ROOMS))
TEST_PROGRAMS := $(foreach room,$(TEST_ROOMS),$(BUILD)/tests/test_$(room))
define test_rules
$(BUILD)/tests/test_$(1): $(call objects,tests/$(1)) $(call archives,$(NEEDS_$(1)))
	@mkdir -p $$(@D)
	$(CC) $(LDFLAGS) -o $$@ $(call objects,tests/$(1)) -Wl,--start-group $(call archives,$(NEEDS_$(1))) \
	    -Wl,--end-group $(LIBS) -lcmocka
.PHONY: test-$(1)
test-$(1): $(BUILD)/tests/test_$(1) $(if $(filter cli,$(1)),$(BUILD)/zeval)
	ZEVAL=$(BUILD)/zeval $$<
endef
$(foreach room,$(TEST_ROOMS),$(eval $(call test_rules,$(room))))

# Runs every test program, says which failed, and closes with one line of counts.
test: $(BUILD)/zeval $(TEST_PROGRAMS)
	ZEVAL=$(BUILD)/zeval tools/run_tests.sh $(TEST_PROGRAMS)

SOURCES_ALL = $(foreach room,$(ROOMS),$(call sources,$(room))) $(wildcard tests/*/*.c tests/fuzz/*.c bench/*.c)
HEADERS_ALL = $(foreach room,$(ROOMS),$(wildcard $(room)/*.h $(room)/*/*.h)) $(wildcard tests/*/*.h bench/*.h)
check:
	clang-format --dry-run -Werror $(SOURCES_ALL) $(HEADERS_ALL)
	tools/check_rooms.sh
	cppcheck --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --quiet -I. \
	    -D__x86_64__ --suppress=missingIncludeSystem -j 2 $(foreach room,$(ROOMS),$(call sources,$(room)))
format:
	clang-format -i $(SOURCES_ALL) $(HEADERS_ALL)

asan:
	ASAN_OPTIONS=detect_leaks=1 $(MAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined OPTIMIZE=-O1 test

# ---- fuzz targets: tests/fuzz/NAME.c -> build/fuzz/NAME (clang, libFuzzer)
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
.PHONY: fuzz
fuzz:
	$(MAKE) CC=clang BUILD=$(BUILD)/fuzz SANITIZE=address,undefined OPTIMIZE=-O1 \
	    CFLAGS='-g -fsanitize=fuzzer-no-link' $(addprefix $(BUILD)/fuzz/fuzz_,$(FUZZ))
$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/%.o $(call archives,$(filter-out cli,$(ROOMS)))
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# The short set: what runs by itself; the others want a checkpoint (docs/PERFORMANCE.md).
bench: $(patsubst bench/%.c,$(BUILD)/bench/%,$(filter-out bench/make_checkpoint.c bench/profile.c bench/start.c,$(wildcard bench/*.c)))
	@for program in $^; do $$program || exit 1; done
ifneq ($(ONEDNN),)
$(BUILD)/obj/bench/gemm.o: CPPFLAGS += -DBENCH_ONEDNN
$(BUILD)/bench/gemm: LIBS += -ldnnl
endif
$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(call archives,$(filter-out cli,$(ROOMS)))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

install: $(BUILD)/zeval
	install -D -m 755 $(BUILD)/zeval $(DESTDIR)$(PREFIX)/bin/zeval

clean:
	rm -rf $(BUILD)

help:
	@echo 'make            build $(BUILD)/zeval'
	@echo 'make test       build and run every test'
	@echo 'make check      formatting, room boundaries, static analysis'
	@echo 'make asan       the tests under AddressSanitizer and UBSan'
	@echo 'make fuzz       build the fuzz targets with clang'
	@echo 'make bench      build and run the benchmarks'
	@echo 'make install    copy the program to $$(PREFIX)/bin'
	@echo 'make clean      remove $(BUILD)'

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
