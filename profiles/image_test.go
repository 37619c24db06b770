package profiles

import (
	"strings"
	"testing"
)

func TestImage(t *testing.T) {
	t.Parallel()
	s, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Image{
		{"snomD785-10.1.215.13-SIP-r.bin", ImageFirmware, "snomD785", "10.1.215.13"},
		{"snomD865-10.1.215.13-SIP-r.swu", ImageFirmware, "snomD865", "10.1.215.13"},
		{"snom370-8.7.5.35-SIP-f.bin", ImageFirmware, "snom370", "8.7.5.35"},
		{"snom360-6.5.20-SIP-j.bin", ImageFirmware, "snom360", "6.5.20"},
		{"snom360-3.38-l.bin", ImageStep, "snom360", ""},
		{"snom360-ramdiskToJffs2-3.36-br.bin", ImageStep, "snom360", ""},
		{"snom360-from6to7-7.3.14-bf.bin", ImageStep, "snom360", "7.3.14"},
		{"snomD785-ramdisk-chained-update-r.bin", ImageHelper, "snomD785", ""},
		{"snomUXM-2.1.1.bin", ImageModule, "UXM", "2.1.1"},
		{"snomD7C-1.6.1-r.bin", ImageModule, "D7C", "1.6.1"},
		{"snomD8C-1.6.1-r.bin", ImageModule, "D8C", "1.6.1"},
		{"M900/M900_v0740_b0104.fwu", ImageFirmware, "snomM900", "740.104"},
		{"M65/M65_v0740_b0104.fwu", ImageHandset, "M65", "740.104"},
		{"firmware.bin", "", "", ""},
		{"snomD785-latest.bin", "", "snomD785", ""},
		{"notes.txt", "", "", ""},
	} {
		if got := s.Image("/some/folder/" + baseName(want.Path)); got != want {
			t.Errorf("%s: got %+v, want %+v", want.Path, got, want)
		}
		if want.Kind == "" {
			continue
		}
		// It is stored as phones ask for it, which keep the case.
		for _, other := range []string{strings.ToLower(baseName(want.Path)), strings.ToUpper(baseName(want.Path))} {
			if got := s.Image(other); got != want {
				t.Errorf("%s: got %+v, want %+v", other, got, want)
			}
		}
	}
}
