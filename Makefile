# dialtone. `make` alone says what there is.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
DESTDIR  ?=
PREFIX   ?= /usr
LDFLAGS   = -s -w $(if $(VERSION),-X main.version=$(VERSION))
BUILD     = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'

.PHONY: help build demo test check fuzz hostile bench-start bench-dhcp bench-files bench-storm cross install clean packages

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## the program, at bin/dialtone
	$(BUILD) -o bin/dialtone ./cmd/dialtone

demo: build ## watch three simulated phones boot; needs no root and touches no network
	bin/dialtone demo

test: packages ## everything, with the race detector, end to end with real clients
	$(GO) test -race -shuffle=on $(if $(CI),-count=1) ./...

check: ## format, vet, staticcheck, dead code, go.mod
	@out=$$($(GO) tool gofumpt -l .); test -z "$$out" || { echo "not gofumpt's layout: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@out=$$($(GO) tool deadcode -test ./...); test -z "$$out" || { echo "$$out"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) mod verify

POWERCUTS ?= 100000
powercuts: ## the lease file, with the power cut at POWERCUTS points of its writing
	$(GO) test ./dhcpd -run '^TestPowerCuts$$' -count=1 -v -timeout 60m -powercuts $(POWERCUTS)

HOSTILE ?= 10485760
hostile: ## HOSTILE octets of paths, headers and TFTP requests that nobody should send, some of them over TLS
	$(GO) test ./cmd/dialtone -run '^TestHostileRequests$$' -count=1 -v -hostile $(HOSTILE)

FUZZTIME ?= 20s
# To make each interesting input as short as can be, as Go does for a minute, would take
# most of the time.
fuzz: ## every fuzz target for FUZZTIME each
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$p || exit 1; \
	  done; done

bench-start: ## time from start to serving, and memory; as root
	REQUIRE_NETNS=1 $(GO) test -run '^$$' -bench ColdStart -benchtime 20x ./test

bench-dhcp: build ## DHCP against Kea, dnsmasq and ISC dhcpd: a table of ratios; as root, over an hour
	$(GO) run ./bench/dhcp

bench-files: build ## HTTP against nginx, TFTP against tftpd-hpa, atftpd and dnsmasq; as root, four minutes
	$(GO) run ./bench/files

bench-storm: build ## 250 phones powered on at once, against dnsmasq and nginx; as root, five minutes
	$(GO) run ./bench/storm

cross: ## the program for the machines that offices have, at dist/
	GOOS=linux GOARCH=amd64 $(BUILD) -o dist/dialtone-linux-amd64 ./cmd/dialtone
	GOOS=linux GOARCH=arm64 $(BUILD) -o dist/dialtone-linux-arm64 ./cmd/dialtone
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o dist/dialtone-linux-armv6 ./cmd/dialtone

install: build ## program, unit and example below DESTDIR
	install -D -m 0755 bin/dialtone $(DESTDIR)$(PREFIX)/bin/dialtone
	install -D -m 0644 systemd/dialtone.service $(DESTDIR)$(PREFIX)/lib/systemd/system/dialtone.service
	install -D -m 0644 systemd/dialtone.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/dialtone.conf
	install -D -m 0644 systemd/dialtone.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/dialtone.conf
	install -D -m 0644 README.md $(DESTDIR)$(PREFIX)/share/doc/dialtone/README.md
	cd etc/dialtone && find . -type f -exec install -D -m 0644 {} $(abspath $(DESTDIR)$(PREFIX))/share/doc/dialtone/example/{} \;
	install -d -m 0755 $(DESTDIR)/etc/dialtone

clean: ## what was built
	rm -rf bin dist

# What the end-to-end tests run beside the program. Root installs what is
# missing; anyone else is told.
packages:
	@missing=; for p in $$(grep -v '^#' test/packages.txt); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	test -z "$$missing" || if [ $$(id -u) = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing; \
	else \
	  echo "The end-to-end tests need:$$missing"; echo "Install: sudo apt-get install$$missing"; \
	  echo "Without them, and without root, those tests are skipped."; fi
