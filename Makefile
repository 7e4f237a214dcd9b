# mcp-reap - see README.md.  CC, CPPFLAGS, CFLAGS and LDFLAGS are yours.

CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wformat=2
# Bound before the fork, symbols cost the two processes one page between them.
LINK = -Wl,-z,relro -Wl,-z,now
COMPILE = $(CC) -std=gnu11 $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(LINK) $(LDFLAGS)

DESTDIR =
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
INSTALL = install

# The binary that the tests run, and how many of them at a time.
MCP_REAP = $(CURDIR)/mcp-reap
JOBS = 4
FIXTURES = $(patsubst test/fixtures/%.c,test/bin/%,$(wildcard test/fixtures/*.c))
# bats runs in parallel only where GNU parallel is installed.
BATS = bats $(shell command -v parallel >/dev/null && echo --jobs $(JOBS))

all: mcp-reap

mcp-reap: mcp-reap.c
	$(COMPILE) -o $@ mcp-reap.c

test/bin/%: test/fixtures/%.c
	@mkdir -p test/bin
	$(COMPILE) -pthread -o $@ $<

check: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) $(BATS) test

check-interop: $(MCP_REAP) $(FIXTURES)
	cd test/interop && npm install --no-audit --no-fund --no-package-lock --silent
	MCP_REAP=$(MCP_REAP) bats test/interop

test/bin/sanitized/mcp-reap: mcp-reap.c
	@mkdir -p test/bin/sanitized
	$(COMPILE) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ mcp-reap.c

# All but what looks at memory, descriptors and /proc: the sanitizers' own are in the way.
check-sanitized: test/bin/sanitized/mcp-reap $(FIXTURES)
	MCP_REAP=$(CURDIR)/test/bin/sanitized/mcp-reap $(BATS) \
		$(filter-out test/degraded.bats test/transparency.bats,$(wildcard test/*.bats))

check-valgrind: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) test/valgrind

# Every system call fails once; SAMPLE=n: every nth injection only.
check-faults: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) JOBS=$(JOBS) test/faults

# ROUNDS=n random sessions from SEED=s; ROUND=n: that one only.
soak: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) JOBS=$(JOBS) test/soak

# QUICK=1: small; PLOT=file.svg: draw it.
bench: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) test/bench

demo: mcp-reap $(FIXTURES)
	MCP_REAP=$(MCP_REAP) test/demo

compare: $(MCP_REAP) $(FIXTURES)
	MCP_REAP=$(MCP_REAP) test/compare

install: mcp-reap
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 755 mcp-reap $(DESTDIR)$(BINDIR)/mcp-reap
	$(INSTALL) -m 644 man/mcp-reap.1 $(DESTDIR)$(MANDIR)/man1/mcp-reap.1

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/mcp-reap $(DESTDIR)$(MANDIR)/man1/mcp-reap.1

clean:
	rm -rf mcp-reap test/bin

.PHONY: all bench check check-faults check-interop check-sanitized \
	check-valgrind compare demo soak install uninstall clean
