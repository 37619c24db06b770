package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// row is a line of the table.
type row struct {
	key, title string
	less       bool // less is better
	decimals   int
}

func rows(z sizes) []row {
	small, large := digits(float64(z.small), 0), digits(float64(z.large), 0)
	part := digits(float64(z.part), 0)
	burst := fmt.Sprintf("%d phones at once", z.burst)
	crowd := digits(float64(z.crowd), 0) + " phones at once"
	return []row{
		{"held-0", fmt.Sprintf("exchanges/s held for %d s, from no lease", z.seconds), false, 0},
		{"held-small", "… from " + small + " leases", false, 0},
		{"held-large", "… from " + large + " leases", false, 0},
		{"growth", "exchanges/s, closed loop from 0 to " + large + " leases", false, 0},
		{"growth-first", "… the first " + part, false, 0},
		{"growth-last", "… the last " + part, false, 0},
		{"growth-flat", "… last : first", false, 2},
		{"growth-resent", "… messages sent again after 1 s", true, 0},
		{"renew", "renewals/s at half the lease, closed loop, " + small + " leases", false, 0},
		{"cpu", "CPU seconds per 10,000 exchanges", true, 2},
		{"renew-cpu", "CPU seconds per 10,000 renewals", true, 2},
		{"start", "start to the first ACK, ms", true, 0},
		{"rss-0", "resident MB, no lease", true, 1},
		{"rss-small", "… " + small + " leases", true, 1},
		{"rss-large", "… " + large + " leases", true, 1},
		{"anon-large", "… … without mapped files", true, 1},
		{"sync", "sync calls per 1,000 exchanges", true, 0},
		{"written", "bytes written per exchange", true, 0},
		{"device", "… by the disk, from everybody", true, 0},
		{"renew-written", "bytes written per renewal", true, 0},
		{"burst-resent", burst + ", as shipped: messages sent again", true, 0},
		{"burst-p50", "… half have their ACK, ms", true, 0},
		{"burst-p99", "… 99 % have their ACK, ms", true, 0},
		{"burst-all", "… all, ms", true, 0},
		{"burst-trusting-resent", burst + ", no conflict checks: messages sent again", true, 0},
		{"burst-trusting-p50", "… half have their ACK, ms", true, 0},
		{"burst-trusting-p99", "… 99 % have their ACK, ms", true, 0},
		{"burst-trusting-all", "… all, ms", true, 0},
		{"crowd-resent", crowd + ", no conflict checks: messages sent again", true, 0},
		{"crowd-p50", "… half have their ACK, ms", true, 0},
		{"crowd-p99", "… 99 % have their ACK, ms", true, 0},
		{"crowd-all", "… all, ms", true, 0},
		{"hostile-quiet", "renewal of a known client, 99 %, ms", true, 1},
		{"hostile-p99", "… under the flood", true, 1},
		{"hostile-rate", "… messages/s of the flood", false, 0},
		{"hostile-before", "… resident MB before it", true, 1},
		{"hostile-after", "… at its end", true, 1},
		{"hostile-new", "… a new client bound afterwards, ms", true, 0},
	}
}

// figure is one measurement.
type figure struct {
	Value float64 `json:"value"`
	Note  string  `json:"note,omitempty"`
}

// report is what a run came to.
type report struct {
	Command string                       `json:"command"`
	Date    string                       `json:"date"`
	Machine []string                     `json:"machine"`
	Peers   []string                     `json:"servers"` // in order
	Titles  map[string]string            `json:"titles"`
	Figures map[string]map[string]figure `json:"figures"` // by row, by server
	Notes   []string                     `json:"notes,omitempty"`
}

func (r *report) record(key, peer string, f figure) {
	if r.Figures[key] == nil {
		r.Figures[key] = make(map[string]figure)
	}
	r.Figures[key][peer] = f
}

// ours is the server that the others are compared with.
const ours = "dialtone"

// writeMarkdown prints the table. A figure of another server is followed by
// the ratio of ours to it.
func (r *report) writeMarkdown(w io.Writer, z sizes) error {
	var b strings.Builder
	fmt.Fprintf(&b, "`%s`, %s:\n\n", r.Command, r.Date)
	for _, m := range r.Machine {
		fmt.Fprintf(&b, "- %s\n", m)
	}
	b.WriteString("\nIn brackets: dialtone : that server. ↑ more is better, ↓ less is better.\n\n| |")
	line := "|---|"
	for _, p := range r.Peers {
		fmt.Fprintf(&b, " %s |", r.Titles[p])
		line += "--:|"
	}
	fmt.Fprintf(&b, "\n%s\n", line)
	for _, row := range rows(z) {
		measured := r.Figures[row.key]
		if len(measured) == 0 {
			continue
		}
		arrow := "↑"
		if row.less {
			arrow = "↓"
		}
		fmt.Fprintf(&b, "| %s %s |", row.title, arrow)
		for _, p := range r.Peers {
			fmt.Fprintf(&b, " %s |", r.cell(row, p))
		}
		b.WriteByte('\n')
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *report) cell(row row, peer string) string {
	f, ok := r.Figures[row.key][peer]
	if !ok {
		return "–"
	}
	text := digits(f.Value, row.decimals)
	if us, ok := r.Figures[row.key][ours]; ok && peer != ours {
		text += " (" + ratio(us.Value, f.Value) + ")"
	}
	if f.Note != "" {
		text += ", " + f.Note
	}
	return text
}

// ratio is a : b to two digits that count, "–" where it says nothing.
func ratio(a, b float64) string {
	if b == 0 {
		return "–"
	}
	q := a / b
	switch {
	case q >= 10:
		return digits(q, 0) + "×"
	case q >= 1:
		return strconv.FormatFloat(q, 'f', 1, 64) + "×"
	default:
		return strconv.FormatFloat(q, 'g', 2, 64) + "×"
	}
}

// digits writes a number with commas between the thousands.
func digits(v float64, decimals int) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	if v < 0 {
		whole = "-" + whole
	}
	return whole
}

func (r *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// newReport describes the machine, the disk that holds folder and the servers.
func newReport(folder string, among []peer) (*report, error) {
	r := &report{
		Command: "go run ./bench/dhcp " + strings.Join(os.Args[1:], " "),
		Date:    time.Now().Format(time.DateOnly),
		Titles:  make(map[string]string), Figures: make(map[string]map[string]figure),
	}
	r.Command = strings.TrimSpace(r.Command)
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, err
	}
	memory := float64(info.Totalram) * float64(info.Unit) / 1e9
	r.Machine = append(r.Machine, fmt.Sprintf("%d × %s, %.0f GB, Linux %s, %s", runtime.NumCPU(), processor(), memory,
		unix.ByteSliceToString(uts.Release[:]), runtime.Version()))
	// Sysinfo counts in 65,536ths.
	if load := float64(info.Loads[0]) / (1 << 16); load > 0.3 {
		r.Notes = append(r.Notes, fmt.Sprintf("The machine was not idle: its load average was %.1f before the first server was started.", load))
	}
	disk, err := fileSystem(folder)
	if err != nil {
		return nil, err
	}
	r.Machine = append(r.Machine, "state folders on "+disk)
	for _, p := range among {
		r.Peers = append(r.Peers, p.name)
		r.Titles[p.name] = p.title
		r.Machine = append(r.Machine, p.title+": "+versionOf(p))
	}
	return r, nil
}

func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// fileSystem names the file system of a folder. One in memory is an error: it
// would make every sync free.
func fileSystem(folder string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return "", fmt.Errorf("looking at %s: %w", folder, err)
	}
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.F2FS_SUPER_MAGIC: "f2fs",
	}
	switch magic := int64(st.Type); {
	case magic == unix.TMPFS_MAGIC || magic == unix.RAMFS_MAGIC:
		return "", fmt.Errorf("%s is in memory, not on a disk: name another folder with -dir", folder)
	case names[magic] != "":
		return names[magic], nil
	default:
		return fmt.Sprintf("file system %#x", magic), nil
	}
}

// versionOf is the first line that the program prints about itself.
func versionOf(p peer) string {
	out, err := exec.Command(p.program, p.version...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	line, _, _ = strings.Cut(line, "  Copyright")
	if err != nil && line == "" {
		return err.Error()
	}
	return line
}
