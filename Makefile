# Everything a developer or CI does. `make help` lists it.

GO       ?= go
NPM      ?= npm
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BIN      := bin
ARGS     ?=
GOTESTFLAGS ?=

LDFLAGS  := -s -w -X github.com/ownline/ownline/internal/version.number=$(VERSION)
GOBUILD  := CGO_ENABLED=0 $(GO) build -trimpath
# The router's binary has to be small. Inlining is a tenth of it, which the proxy is worth where
# there is room for the proxy itself (docs/adr/0004-small-core.md).
CORE     := -ldflags '$(LDFLAGS) -buildid= -funcalign=16'
SMALL    := -tags noproxy -gcflags=all=-l -ldflags '$(LDFLAGS) -buildid= -funcalign=2'

GOFUMPT     := $(GO) run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help axe lighthouse screenshots build core http3 cross compiler database peers systemd desktop ssh fwknop nmap firewalls igd schemathesis pages demo test check bench soak fmt generate clean guests

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: pages core ## build all three programs into bin/
	$(GOBUILD) -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/ownline-web ./cmd/ownline

# The one without the reverse proxy is for routers with little room.
core: ## build ownline-core for this machine into bin/, and the one without the reverse proxy
	$(GOBUILD) $(CORE) -o $(BIN)/ownline-core ./cmd/ownline-core
	$(GOBUILD) $(SMALL) -o $(BIN)/ownline-core-noproxy ./cmd/ownline-core
	@for f in ownline-core:13000000 ownline-core-noproxy:8000000; do size=$$(wc -c <$(BIN)/$${f%:*}); \
	[ $$size -lt $${f#*:} ] || { echo "$(BIN)/$${f%:*} has $$size bytes; it must stay below $${f#*:} (docs/adr/0004-small-core.md)"; exit 1; }; done

http3: ## build an ownline-core that speaks HTTP/3, which is too large for the usual one, into bin/
	$(GOBUILD) -tags http3 $(CORE) -o $(BIN)/ownline-core-http3 ./cmd/ownline-core

# What ownline runs on.
SYSTEMS := linux/amd64 linux/arm64 linux/arm darwin/arm64 windows/amd64 freebsd/amd64 android/arm64

cross: ## build for other machines into bin/GOOS-GOARCH/: ownline, and ownline-core for routers, for the small ones without the proxy
	@for s in $(SYSTEMS); do echo "ownline for $$s"; os=$${s%/*}; [ $$os = windows ] && exe=.exe || exe=; \
	GOOS=$$os GOARCH=$${s#*/} GOARM=7 $(GOBUILD) -ldflags '$(LDFLAGS)' -o $(BIN)/$$os-$${s#*/}/ownline$$exe ./cmd/ownline || exit 1; done
	GOOS=linux GOARCH=arm64 $(GOBUILD) $(CORE) -o $(BIN)/linux-arm64/ownline-core ./cmd/ownline-core
	GOOS=linux GOARCH=arm GOARM=7 $(GOBUILD) $(CORE) -o $(BIN)/linux-armv7/ownline-core ./cmd/ownline-core
	GOOS=linux GOARCH=mipsle GOMIPS=softfloat $(GOBUILD) $(SMALL) -o $(BIN)/linux-mipsle/ownline-core ./cmd/ownline-core
	GOOS=linux GOARCH=riscv64 $(GOBUILD) $(SMALL) -o $(BIN)/linux-riscv64/ownline-core ./cmd/ownline-core

PAGES := internal/web/ui/dist/index.html

pages: $(PAGES) ## build the app that ownline-web serves

$(PAGES): pwa/node_modules/.package-lock.json $(shell find pwa/src pwa/guest pwa/build pwa/public pwa/index.html pwa/vite.config.ts pwa/vite.guest.config.ts -type f 2>/dev/null)
	cd pwa && $(NPM) run build

pwa/node_modules/.package-lock.json: pwa/package-lock.json
	cd pwa && $(NPM) ci --no-audit --no-fund

screenshots: pages guests ## take the pictures in docs/screenshots anew
	cd pwa && $(NPM) run screenshots

axe: pages guests ## look for what keeps people from using the app: every page, size, theme and language
	cd pwa && $(NPM) run axe

lighthouse: pages guests ## run Lighthouse five times over the pages that people meet first, and hold the medians to its limits
	cd pwa && $(NPM) run lighthouse -- 5

demo: build ## play the main job with real packets; ARGS=--exit ends after the story
	$(BIN)/ownline demo $(ARGS)

# Invitations are redeemed through a real broker, by the real page in a real browser.
guests:
	@PATH=$$PATH:/usr/sbin; missing=; command -v mosquitto >/dev/null || missing=mosquitto; \
	command -v mosquitto_pub >/dev/null || missing="$$missing mosquitto-clients"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	[ -z "$$missing" ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }

# The race detector is linked by a C compiler, which a machine with Go alone may lack.
compiler:
	@command -v $${CC:-cc} >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev; }

# The tests start PostgreSQL of their own; the server that the package starts is not needed.
database:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { apt-get update -q && \
	apt-get install -y -q --no-install-recommends postgresql-common && \
	sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf && \
	apt-get install -y -q --no-install-recommends postgresql; }

# systemd-analyze checks the units.
systemd:
	@command -v systemd-analyze >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends systemd; }

# A keyring as on a desktop.
desktop:
	@command -v gnome-keyring-daemon >/dev/null && command -v dbus-run-session >/dev/null || { apt-get update -q && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gnome-keyring dbus-daemon; }

# OpenSSH's client and server. Nothing is started: sshd's own units would only be in the way.
ssh:
	@PATH=$$PATH:/usr/sbin; missing=; command -v ssh >/dev/null || missing=openssh-client; command -v sshd >/dev/null || missing="$$missing openssh-server"; \
	[ -z "$$missing" ] || { apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }

# A client that Ownline takes packets of.
fwknop:
	@command -v fwknop >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends fwknop-client; }

# What a stranger looks with, and the host's own firewall that he looks at.
nmap:
	@PATH=$$PATH:/usr/sbin; missing=; command -v nmap >/dev/null || missing=nmap; command -v nft >/dev/null || missing="$$missing nftables"; \
	[ -z "$$missing" ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }

# The firewalls that core drives: iptables of both variants, what it ends sessions by, ufw, and
# firewalld, whose unit is masked: it would become the firewall of this machine.
firewalls:
	@PATH=$$PATH:/usr/sbin; missing=; command -v iptables-legacy-restore >/dev/null || missing=iptables; command -v ipset >/dev/null || missing="$$missing ipset"; \
	command -v nft >/dev/null || missing="$$missing nftables"; command -v ufw >/dev/null || missing="$$missing ufw"; \
	command -v firewalld >/dev/null || { missing="$$missing firewalld"; mkdir -p /etc/systemd/system && ln -sf /dev/null /etc/systemd/system/firewalld.service; }; \
	command -v dbus-daemon >/dev/null || missing="$$missing dbus-daemon"; \
	[ -z "$$missing" ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }

# A provider's router that opens ports; its package starts nothing.
igd:
	@PATH=$$PATH:/usr/sbin; missing=; command -v miniupnpd >/dev/null || missing=miniupnpd-nftables; command -v nft >/dev/null || missing="$$missing nftables"; \
	[ -z "$$missing" ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }

# A tool from PyPI, in an environment of its own. EXAMPLES for each operation, SECONDS for each role.
TOOL := $(CURDIR)/$(BIN)/schemathesis/bin/schemathesis
EXAMPLES ?= 20
SECONDS  ?= 300

$(TOOL):
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends python3 python3-venv; }
	python3 -m venv $(BIN)/schemathesis
	$(BIN)/schemathesis/bin/pip install -q --disable-pip-version-check schemathesis==4.32.5

schemathesis: $(TOOL) ## hold the API against its description, as admin and as user
	SCHEMATHESIS=$(TOOL) EXAMPLES=$(EXAMPLES) SECONDS=$(SECONDS) $(GO) test -count=1 -timeout 30m -run TestAPI ./test/schemathesis

# SQLite is C made into Go, which the race detector need not watch: without it, the tests of the
# store take 37 s of a processor instead of 102.
# Only this one package: those with copies of others' generic code, as of sync.Map, must be watched,
# or the linker may take their copies for everybody, and races are found where there are none.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false

# make check vets, and nobody debugs these programs.
LEAN := -vet=off -ldflags=-w

test: build compiler guests database peers systemd desktop ssh fwknop nmap firewalls igd $(TOOL) ## run every test
	SCHEMATHESIS=$(TOOL) $(GO) test $(RACE) $(LEAN) -timeout 25m $(GOTESTFLAGS) ./...
	$(GO) test $(RACE) $(LEAN) -tags http3 $(GOTESTFLAGS) -run HTTP3 ./internal/core/proxy/embedded ./test/e2e
	$(GO) test $(LEAN) -tags noproxy $(GOTESTFLAGS) ./cmd/ownline-core ./internal/core ./internal/core/doctor
	OWNLINE_TEST_DATABASE=postgres $(GO) test $(LEAN) $(GOTESTFLAGS) ./internal/web ./internal/web/access ./internal/web/api
	cd pwa && $(NPM) test && $(NPM) run budgets && $(NPM) run axe -- --few

check: pages ## formatting, vet, staticcheck, known vulnerabilities, types and lint of the app
	@out=$$($(GOFUMPT) -l .); if [ -n "$$out" ]; then echo "run make fmt:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags noproxy ./internal/core ./internal/core/doctor ./internal/core/firewall/nft ./cmd/ownline-core
	$(GO) vet -tags http3 ./internal/core/... ./cmd/ownline-core ./test/e2e
	GOOS=darwin $(GO) vet ./internal/... ./cmd/ownline
	GOOS=windows $(GO) vet $$(GOOS=windows $(GO) list -deps ./cmd/ownline | grep ^github.com/ownline/) # all that runs there
	$(STATICCHECK) ./...
	@$(GOVULNCHECK) ./... || { [ $$? -ne 3 ] && echo "the vulnerability database can't be reached; not checked"; }
	$(GO) mod tidy -diff
	cd pwa && $(NPM) run check && $(NPM) run lint

# What ours is compared with, the load, and what a bench changes the router with. Nothing is started.
PEERS := nginx:nginx caddy:caddy wrk:wrk nft:nftables iptables:iptables fwknop:fwknop-client fwknopd:fwknop-server

peers:
	@PATH=$$PATH:/usr/sbin; for p in $(PEERS); do command -v $${p%:*} >/dev/null || missing="$$missing $${p#*:}"; done; \
	[ -z "$$missing" ] || { apt-get update -q && \
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }

bench: core database peers firewalls ## measure, and write bench-results.json
	$(GOBUILD) -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/ownline-web ./cmd/ownline ./test/bench
	$(BIN)/bench -programs $(BIN) $(ARGS)

SOAK ?= 2m
soak: build database peers guests fwknop nmap firewalls ## fuzz every parser of bytes from the network, kill web under load, SOAK each, the proxy, the API and the look of the app at length, a short bench
	./test/fuzz.sh $(SOAK)
	OWNLINE_SOAK=$(SOAK) $(GO) test ./test/e2e -run 'TestKilledUnderLoad|TestKilledWhileKnocking' -count 1 -v -timeout 0
	OWNLINE_SOAK=$(SOAK) $(GO) test ./test/e2e -run TestProxyMemory -count 1 -v -timeout 0
	OWNLINE_SOAK=$(SOAK) $(GO) test ./test/e2e -run 'TestNmap|TestRouterClock' -count 1 -v -timeout 0
	OWNLINE_SOAK=$(SOAK) $(GO) test ./internal/web/mqttbroker -run TestStrangersHoldEverything -count 1 -v -timeout 0
	OWNLINE_SOAK=$(SOAK) $(GO) test ./internal/core/firewall/iptables -count 1 -v -timeout 0
	OWNLINE_SOAK=$(SOAK) $(GO) test ./internal/core/firewall/firewalld -run 'TestManySessions|TestByIPTables' -count 1 -v -timeout 0
	OWNLINE_SOAK=$(SOAK) $(GO) test ./internal/core/proxy/embedded -run 'TestContract/sessions|TestLoad' -p 1 -count 1 -v -timeout 0
	OWNLINE_SOAK=$(SOAK) $(GO) test ./internal/core/proxy/nginx ./internal/core/proxy/caddy -run 'TestContract/IPv4/sessions|TestLoad' -p 1 -count 1 -v -timeout 0
	$(GOBUILD) -o $(BIN)/ ./test/bench
	$(BIN)/bench -programs $(BIN) -quick -out ""
	WHOLE=1 $(MAKE) axe
	$(MAKE) lighthouse
	$(MAKE) schemathesis EXAMPLES=200 SECONDS=1200

fmt: ## format the Go code
	$(GOFUMPT) -w .

generate: ## write generated files anew: vectors, API description, the app's types
	$(GO) test ./internal/knock ./internal/link ./internal/invitation ./internal/web/api -update
	cd pwa && $(NPM) run generate

clean: ## remove what was built
	rm -rf $(BIN) internal/web/ui/dist internal/web/guestpage/dist pwa/node_modules bench-results.json
