# mcp-reap - see README.md.  CC, CPPFLAGS, CFLAGS and LDFLAGS are yours.

CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wformat=2
# One compiler call builds it: mcp-reap.c and the rooms of src/.
SRC = mcp-reap.c $(wildcard src/*/*.c)
HEADERS = $(wildcard src/*/*.h)
# Bound before the fork, symbols cost the two processes one page between them.
LINK = -Wl,-z,relro -Wl,-z,now
# On 32 bits too a trace can be larger than 2 GiB, and 2038 comes.
WIDE = -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
COMPILE = $(CC) -std=gnu11 $(WIDE) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(LINK) $(LDFLAGS)

DESTDIR =
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
INSTALL = install

# The binary that the tests run, how many of them at a time (they mostly wait), and which files of the suite.
MCP_REAP = $(CURDIR)/mcp-reap
JOBS ?= 8
SUITE ?= test test/unit
# inject knows two architectures only, and is for check-faults only.
FIXTURES = $(filter-out test/bin/inject,$(patsubst test/fixtures/%.c,test/bin/%,$(wildcard test/fixtures/*.c)))
# bats runs in parallel only where GNU parallel (moreutils have another one of that name) and flock are installed.
BATS = test/suite $(shell parallel --version 2>/dev/null </dev/null | grep -q '^GNU' && command -v flock >/dev/null && \
	echo --jobs $(JOBS))

# The version is in src/base/options.h alone. The time of a release is that of its last commit, which the tarball's files keep.
VERSION = $(shell sed -n 's/^\#define VERSION "\(.*\)"/\1/p' src/base/options.h)
NAME = mcp-reap-$(VERSION)
SOURCE_DATE_EPOCH ?= $(shell if [ -e .git ]; then git log -1 --format=%ct; else stat -c %Y NEWS.md; fi)
# What is not source: what `make clean` removes.
BUILT = mcp-reap test/bin dist

all: mcp-reap

mcp-reap: $(SRC) $(HEADERS)
	$(COMPILE) -o $@ $(SRC)
# By its whole path it is the same.
$(CURDIR)/mcp-reap: mcp-reap ;

test/bin/%: test/fixtures/%.c
	@mkdir -p test/bin
	$(COMPILE) -pthread -o $@ $<

# The rooms that the messages pass, alone: what is linked with them knows nothing of sessions.
ROOMS = src/base/cache.c src/base/digest.c src/base/fd.c src/base/json.c src/base/say.c src/base/self.c src/base/text.c \
	src/talk/answers.c src/talk/key.c src/talk/message.c src/talk/opening.c
UNITS = $(patsubst test/unit/%.c,test/bin/unit/%,$(wildcard test/unit/*.c))
test/bin/unit/%: test/unit/%.c $(ROOMS) $(ROOMS:.c=.h)
	@mkdir -p test/bin/unit
	$(COMPILE) -o $@ $< $(ROOMS)

# And the floor of trees, which stands beside them.
TREE = $(wildcard src/base/*.c src/sight/*.c src/tree/*.c)
test/bin/unit/look: test/unit/look.c $(TREE) $(TREE:.c=.h)
	@mkdir -p test/bin/unit
	$(COMPILE) -pthread -o $@ $< $(TREE)

check: $(MCP_REAP) $(FIXTURES) $(UNITS) check-layers
	MCP_REAP=$(MCP_REAP) $(BATS) $(SUITE)

test: check

# The floors of src/ hold.
check-layers:
	CC='$(CC)' test/layers

# Builds without warnings, analysers, style; apart from the suite, as each version of them says something else.
lint:
	test/lint

check-interop: $(MCP_REAP) $(FIXTURES)
	cd test/interop && npm install --no-audit --no-fund --no-package-lock --silent
	MCP_REAP=$(MCP_REAP) $(BATS) test/interop

# Of the install scripts only two are run, which put their package's program in its place.
test/clients/node_modules/.installed: test/clients/package.json
	cd test/clients && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --silent
	cd test/clients && npm rebuild --silent @anthropic-ai/claude-code opencode-ai
	touch $@

check-clients: $(MCP_REAP) test/bin/mcp test/clients/node_modules/.installed
	MCP_REAP=$(MCP_REAP) $(BATS) test/clients

# The README's table of real clients, from what that suite has seen.
clients: $(MCP_REAP) test/bin/mcp test/clients/node_modules/.installed
	@rm -f test/bin/clients-left
	@RESULTS=$(CURDIR)/test/bin/clients-left MCP_REAP=$(MCP_REAP) $(BATS) -f 'leaves nothing' test/clients >&2
	@test/clients/table test/bin/clients-left

test/bin/sanitized/mcp-reap: $(SRC) $(HEADERS)
	@mkdir -p test/bin/sanitized
	$(COMPILE) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(SRC)

# All but what looks at memory, descriptors and /proc: the sanitizers' own are in the way. What skips for that may.
# Leaks are valgrind's: LeakSanitizer stops the process that exits by SIGSTOP, which the SIGCONT of a client's death
# cancels, and then waits for ever.
SANITIZED = $(filter-out test/degraded.bats test/transparency.bats,$(wildcard test/*.bats))
check-sanitized: test/bin/sanitized/mcp-reap $(FIXTURES)
	MCP_REAP_TEST_STRICT= ASAN_OPTIONS=detect_leaks=0 MCP_REAP=$(CURDIR)/test/bin/sanitized/mcp-reap $(BATS) \
		$(SANITIZED)

check-valgrind: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) test/valgrind

# Every system call fails once; SAMPLE=n: every nth injection only.
check-faults: $(MCP_REAP) $(FIXTURES) test/bin/inject
	MCP_REAP=$(MCP_REAP) JOBS=$(JOBS) test/faults

# What reads the messages, against JSON.parse (node) and under libFuzzer (clang). MESSAGES=n from SEED=s, SECONDS=n of each
# kind: how much.
MESSAGES = 50000
SECONDS = 60
test/bin/lines: test/fuzz/lines.c $(ROOMS) $(ROOMS:.c=.h)
	@mkdir -p test/bin
	$(COMPILE) -o $@ $< $(ROOMS)

test/bin/fuzz: test/fuzz/scanner.c $(ROOMS) $(ROOMS:.c=.h)
	@mkdir -p test/bin
	clang -std=gnu11 $(WARNINGS) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< \
		$(ROOMS)

test/bin/fuzz-answers: test/fuzz/answers.c $(ROOMS) $(ROOMS:.c=.h)
	@mkdir -p test/bin
	clang -std=gnu11 $(WARNINGS) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< \
		$(ROOMS)

check-scanner: test/bin/lines test/bin/fuzz test/bin/fuzz-answers
	node test/fuzz/compare.mjs test/bin/lines $(MESSAGES) $(or $(SEED),1)
	test/bin/fuzz -dict=test/fuzz/json.dict -max_total_time=$(SECONDS) -max_len=2000 \
		-print_funcs=0 -verbosity=0 -print_final_stats=1 -artifact_prefix=test/bin/
	test/bin/fuzz-answers -dict=test/fuzz/answers.dict -max_total_time=$(SECONDS) -max_len=2000 \
		-print_funcs=0 -verbosity=0 -print_final_stats=1 -artifact_prefix=test/bin/
	test/fuzz/throughput test/bin/lines

# ROUNDS=n random sessions from SEED=s; ROUND=n: that one only.
soak: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) JOBS=$(JOBS) test/soak

# QUICK=1: small; PLOT=file.svg: draw it.
bench: $(MCP_REAP) $(FIXTURES) test/bin/lines
	MCP_REAP=$(MCP_REAP) test/bench
	test/fuzz/throughput test/bin/lines
	[ "$(QUICK)" = 1 ] || ! command -v npm >/dev/null || $(MAKE) sessions

# N=n sessions of a real server by npx that nobody closes: plain, with -l, -z, -f and -i.
sessions: $(MCP_REAP)
	cd test/interop && npm install --no-audit --no-fund --no-package-lock --silent
	MCP_REAP=$(MCP_REAP) test/sessions

# Prints its table and nothing else.
demo:
	@$(MAKE) -s $(MCP_REAP) test/bin/client test/bin/server
	@MCP_REAP=$(MCP_REAP) test/demo

compare: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) test/compare

install: mcp-reap
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) \
		$(DESTDIR)$(FISHDIR)
	$(INSTALL) -m 755 mcp-reap $(DESTDIR)$(BINDIR)/mcp-reap
	$(INSTALL) -m 644 man/mcp-reap.1 $(DESTDIR)$(MANDIR)/man1/mcp-reap.1
	$(INSTALL) -m 644 completions/mcp-reap.bash $(DESTDIR)$(BASHDIR)/mcp-reap
	$(INSTALL) -m 644 completions/_mcp-reap $(DESTDIR)$(ZSHDIR)/_mcp-reap
	$(INSTALL) -m 644 completions/mcp-reap.fish $(DESTDIR)$(FISHDIR)/mcp-reap.fish

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/mcp-reap $(DESTDIR)$(MANDIR)/man1/mcp-reap.1 $(DESTDIR)$(BASHDIR)/mcp-reap \
		$(DESTDIR)$(ZSHDIR)/_mcp-reap $(DESTDIR)$(FISHDIR)/mcp-reap.fish

clean:
	rm -rf $(BUILT)

# What is released goes to dist/.

# The tarball: what git tracks or, without git, what came out of a tarball. The same files give the same bits.
dist:
	@mkdir -p dist
	if [ -e .git ]; then git ls-files; else find . -name node_modules -prune -o -type f -print | cut -c 3- | \
		grep -Ev '^(mcp-reap$$|test/bin/|dist/)'; fi | LC_ALL=C sort >dist/files
	test -s dist/files
	tar -c --format=ustar --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@$(SOURCE_DATE_EPOCH) \
		--transform='s,^,$(NAME)/,' -T dist/files -f dist/$(NAME).tar
	rm dist/files
	gzip -9nf dist/$(NAME).tar

distcheck: dist
	test/distcheck dist/$(NAME).tar.gz

# One file that runs on any Linux, with the compiler of Debian's musl-dev, or with the CC and CFLAGS of the command line.
# To be small it has no tables for debuggers, and no gaps between code and data.
static: static-x86_64
static-x86_64 static-aarch64: static-%: $(SRC) $(HEADERS)
	@mkdir -p dist
	$(COMPILE) -static -s -o dist/$(NAME)-linux-$* $(SRC)
static-%: CC = $*-linux-musl-gcc
static-%: CFLAGS = -Os -fno-asynchronous-unwind-tables -Wl,-z,noseparate-code

# Debian's package, its source included, with the suite as a part of the build (DEB_BUILD_OPTIONS=nocheck: without).
deb: dist
	rm -rf dist/deb
	mkdir dist/deb
	tar -C dist/deb -xzf dist/$(NAME).tar.gz
	cp -R packaging/debian dist/deb/$(NAME)/debian
	chmod -R u=rwX,go=rX dist/deb/$(NAME)
	cp dist/$(NAME).tar.gz dist/deb/mcp-reap_$(VERSION).orig.tar.gz
	cd dist/deb/$(NAME) && dpkg-buildpackage -us -uc $(DEBFLAGS)

# The same with rpmbuild (RPMFLAGS=--nocheck). On Debian it knows of no installed package: RPMFLAGS=--nodeps.
rpm: dist
	rm -rf dist/rpm
	rpmbuild -ta --define '_topdir $(CURDIR)/dist/rpm' $(RPMFLAGS) dist/$(NAME).tar.gz

# The package for npm, with the static binaries of both architectures.
npm-pack: static-x86_64 static-aarch64
	rm -rf dist/npm
	mkdir -p dist/npm/x86_64 dist/npm/aarch64
	sed 's/"version": ".*"/"version": "$(VERSION)"/' packaging/npm/package.json >dist/npm/package.json
	chmod 644 dist/npm/package.json
	install -m 644 LICENSE man/mcp-reap.1 packaging/npm/README.md dist/npm
	install -m 755 packaging/npm/mcp-reap dist/npm
	install -m 755 dist/$(NAME)-linux-x86_64 dist/npm/x86_64/mcp-reap
	install -m 755 dist/$(NAME)-linux-aarch64 dist/npm/aarch64/mcp-reap
	cd dist/npm && npm pack --silent --pack-destination ..

# Builds all of them from the tarball, installs them, runs a real server with a real client behind each, uninstalls.
check-packages: dist $(FIXTURES)
	cd test/interop && npm install --no-audit --no-fund --no-package-lock --silent
	$(BATS) --no-parallelize-within-files test/packages

.PHONY: all bench check check-clients check-faults check-interop check-layers check-packages check-sanitized check-scanner \
	check-valgrind clean clients compare deb demo dist distcheck install lint npm-pack rpm sessions soak \
	static static-aarch64 static-x86_64 test uninstall
