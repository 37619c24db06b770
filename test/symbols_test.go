package test

import (
	"debug/elf"
	"strings"
	"testing"
)

// TestNoLabelParser holds that the DHCP library's parser of domain names, which
// takes time by the square of a packet's length, cannot be reached: not a word of
// it is in the program, nor of what calls it (Summary, DomainSearch). The linker
// leaves out what nothing calls.
func TestNoLabelParser(t *testing.T) {
	t.Parallel()
	program, err := elf.Open(built(t))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	symbols, err := program.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	library := 0
	for _, s := range symbols {
		if !strings.Contains(s.Name, "insomniacslk/dhcp") || elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			continue
		}
		library++
		for _, part := range []string{"rfc1035label", "Summary", "DomainSearch", "(*DHCPv4).String"} {
			if strings.Contains(s.Name, part) {
				t.Errorf("%s is in the program", s.Name)
			}
		}
	}
	if library == 0 {
		t.Error("the program has no function of the library: its names were removed, or it is not used any more")
	}
}
