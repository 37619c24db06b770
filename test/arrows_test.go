package test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows says which packages of this module each may import: the layers of
// docs/architecture.md. What is not here does not exist yet; a new package is
// given its place by a line.
var arrows = map[string][]string{
	"bench/dhcp":         {"bench/internal/rig", "internal/mac"},
	"bench/files":        {"bench/internal/rig"},
	"bench/storm":        {"bench/internal/rig", "internal/mac"},
	"bench/internal/rig": {"internal/mac"},
	"cmd/dialtone": {
		"dhcpd", "dhcpd/lease", "dhcpd/probe", "etc", "httpd", "internal/config", "internal/daemon", "internal/firmware", "internal/folder", "internal/lab",
		"internal/leasefile", "internal/mac", "internal/migrate", "internal/password", "internal/phonefile", "internal/phonesim", "internal/register", "internal/rollout", "internal/state", "profiles", "provision", "tftpd",
		"internal/neighbour", "internal/pki",
	},
	"dhcpd":              {"dhcpd/lease", "dhcpd/probe", "internal/mac", "internal/option"},
	"dhcpd/lease":        {"internal/mac", "internal/state"},
	"dhcpd/probe":        {"internal/mac"},
	"etc":                nil,
	"httpd":              {"provision"},
	"internal/config":    {"internal/mac", "internal/option", "internal/pki"},
	"internal/daemon":    nil,
	"internal/firmware":  {"internal/folder"},
	"internal/folder":    nil,
	"internal/golden":    nil, // of tests alone
	"internal/isc":       nil,
	"internal/lab":       {"internal/mac"},
	"internal/leasefile": {"internal/isc", "internal/mac"},
	"internal/mac":       nil,
	"internal/migrate":   {"internal/isc", "internal/mac", "internal/option", "internal/phonefile"},
	"internal/neighbour": {"internal/mac"},
	"internal/netnstest": {"internal/lab", "internal/mac"},
	"internal/option":    nil,
	"internal/password":  {"internal/state"},
	"internal/phonefile": {"internal/mac"},
	"internal/register":  {"internal/mac", "internal/state"},
	"internal/rollout":   {"internal/mac", "internal/state"},
	"internal/phonesim":  {"internal/lab", "internal/mac", "internal/phonefile"},
	"internal/pki":       {"internal/mac", "internal/state"},
	"internal/state":     {"internal/folder"},
	"profiles":           {"internal/config", "internal/mac", "internal/phonefile"},
	"provision":          {"internal/mac", "profiles"},
	"test":               nil,
	"tftpd":              {"provision"},
}

// keptTo lists the libraries that only some packages may know.
var keptTo = map[string][]string{
	"github.com/hashicorp/hcl":     {"internal/config", "profiles"},
	"github.com/zclconf/go-cty":    {"internal/config", "profiles"},
	"github.com/alecthomas/kong":   {"cmd/dialtone"},
	"github.com/insomniacslk/dhcp": {"dhcpd", "internal/option", "internal/phonesim"},
	"go.etcd.io/bbolt":             {"cmd/dialtone", "dhcpd/lease", "internal/register", "internal/rollout", "internal/state"},
	"github.com/coreos/go-systemd": {"internal/daemon"},
}

func TestArrows(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "dialtone/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; seen++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "dialtone/")
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s has no line in arrows", name)
			continue
		}
		for _, i := range p.Imports {
			if own, ok := strings.CutPrefix(i, "dialtone/"); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, against the arrows", name, own)
			}
			for library, users := range keptTo {
				if strings.HasPrefix(i, library) && !slices.Contains(users, name) {
					t.Errorf("%s imports %s, which is kept to %s", name, i, strings.Join(users, ", "))
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d packages were listed", seen)
	}
}
