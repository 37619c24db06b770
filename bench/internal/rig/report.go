package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Row is a line of the table.
type Row struct {
	Key, Title string
	Less       bool // less is better
	Decimals   int
}

// Figure is one measurement.
type Figure struct {
	Value float64 `json:"value"`
	Note  string  `json:"note,omitempty"`
}

// Report is what a run came to.
type Report struct {
	Command string                       `json:"command"`
	Date    string                       `json:"date"`
	Machine []string                     `json:"machine"`
	Peers   []string                     `json:"servers"` // in order
	Titles  map[string]string            `json:"titles"`
	Figures map[string]map[string]Figure `json:"figures"` // by row, by server
	Notes   []string                     `json:"notes,omitempty"`
}

// Record keeps the figure of a row and a server.
func (r *Report) Record(key, peer string, f Figure) {
	if r.Figures[key] == nil {
		r.Figures[key] = make(map[string]Figure)
	}
	r.Figures[key][peer] = f
}

// ours is the server that the others are compared with.
const ours = "dialtone"

// WriteMarkdown prints the table. A figure of another server is followed by
// the ratio of ours to it.
func (r *Report) WriteMarkdown(w io.Writer, rows []Row) error {
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
	for _, row := range rows {
		measured := r.Figures[row.Key]
		if len(measured) == 0 {
			continue
		}
		arrow := "↑"
		if row.Less {
			arrow = "↓"
		}
		fmt.Fprintf(&b, "| %s %s |", row.Title, arrow)
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

func (r *Report) cell(row Row, peer string) string {
	f, ok := r.Figures[row.Key][peer]
	if !ok {
		return "–"
	}
	text := Digits(f.Value, row.Decimals)
	if us, ok := r.Figures[row.Key][ours]; ok && peer != ours {
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
		return Digits(q, 0) + "×"
	case q >= 1:
		return strconv.FormatFloat(q, 'f', 1, 64) + "×"
	default:
		return strconv.FormatFloat(q, 'g', 2, 64) + "×"
	}
}

// Digits writes a number with commas between the thousands.
func Digits(v float64, decimals int) string {
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

// Note adds a remark, on one line.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

// Write prints what was measured, as JSON or as a table of rows. Where ctx has
// ended it says that there would be more, and gives its error.
func (r *Report) Write(ctx context.Context, w io.Writer, asJSON bool, rows []Row) error {
	if ctx.Err() != nil {
		r.Note("Interrupted: the table is not complete.")
	}
	if asJSON {
		return errors.Join(ctx.Err(), r.WriteJSON(w))
	}
	return errors.Join(ctx.Err(), r.WriteMarkdown(w, rows))
}

// WriteJSON prints all that was recorded.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// NewReport begins the report of the bench that is run as go run ./bench/NAME,
// and describes the machine and, where it matters, the disk that holds folder.
func NewReport(name, folder string) (*Report, error) {
	r := &Report{
		Command: strings.TrimSpace("go run ./bench/" + name + " " + strings.Join(os.Args[1:], " ")),
		Date:    time.Now().Format(time.DateOnly),
		Titles:  make(map[string]string), Figures: make(map[string]map[string]Figure),
	}
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
	disk, err := FileSystem(folder)
	if err != nil {
		return nil, err
	}
	r.Machine = append(r.Machine, "state folders on "+disk, "TCP with "+Congestion+" over a veth pair")
	return r, nil
}

// AddPeer gives a server its column. Each program that it consists of is run
// with the arguments that have it say its version.
func (r *Report) AddPeer(name, title string, programs ...[]string) {
	r.Peers = append(r.Peers, name)
	r.Titles[name] = title
	var versions []string
	for _, p := range programs {
		versions = append(versions, versionOf(p))
	}
	r.Machine = append(r.Machine, title+": "+strings.Join(versions, "; "))
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

// FileSystem names the file system of a folder. One in memory is an error: it
// would make every sync free.
func FileSystem(folder string) (string, error) {
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
func versionOf(command []string) string {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	line, _, _ = strings.Cut(line, "  Copyright")
	if err != nil && line == "" {
		return err.Error()
	}
	return line
}

// Milliseconds, with what is left of them.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Megabytes of a million.
func Megabytes(n int64) float64 { return float64(n) / 1e6 }

// Quantile gives the value that the part q of d is not above; d is sorted by
// it and not empty.
func Quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(len(d)-1, int(float64(len(d))*q))]
}
