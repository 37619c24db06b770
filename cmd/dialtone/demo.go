package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"dialtone/etc"
	"dialtone/internal/lab"
	"dialtone/internal/mac"
	"dialtone/internal/phonesim"
)

type demoCmd struct {
	Timeout time.Duration `default:"2m" help:"Give up after this long."`
	// Inside is the folder of a demonstration that has its namespaces already.
	Inside string `hidden:""`
}

// self is this program, whatever became of its file.
const self = "/proc/self/exe"

// demoPhone is one of the phones that boot.
type demoPhone struct {
	name, model string
	mac         mac.Addr
	image       string // the firmware file that it should get
	colour      string
}

// demoPhones are of three generations; demoConfig sends one of them to TFTP.
func demoPhones() []demoPhone {
	return []demoPhone{
		{"reception", "snomD785", mac.Addr{0x00, 0x04, 0x13, 0x92, 0x2d, 0x24}, "snomD785-10.1.215.13-SIP-r.bin", "36"},
		{"anna", "snom370", mac.Addr{0x00, 0x04, 0x13, 0x23, 0x1a, 0x02}, "snom370-8.7.5.35-SIP-f.bin", "33"},
		{"jörg", "snom760", mac.Addr{0x00, 0x04, 0x13, 0x23, 0x1a, 0x03}, "snom760-8.9.3.80-SIP-r.bin", "35"},
	}
}

const (
	demoWire    = "eth0" // the example's interface
	demoAddress = "192.168.50.1/24"
	demoConfig  = `# One model over TFTP, the other two as the example has it.
model "snom760" {
  scheme   = "tftp"
  firmware = "8.9.3.80"
}
`
)

func (c *demoCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("the time of %s is over", c.Timeout))
	defer cancel()
	if c.Inside != "" {
		// The first process of a PID namespace, or a person with a curious mind
		// whose network this would change.
		if os.Getpid() != 1 {
			return errors.New("--inside is for the demonstration's own use")
		}
		return demonstrate(ctx, a, c.Inside)
	}
	dir, err := os.MkdirTemp("", "dialtone-demo")
	if err != nil {
		return fmt.Errorf("making a folder for the demonstration: %w", err)
	}
	defer os.RemoveAll(dir)

	// Linux kills the child when the thread that started it ends: this one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Root is tried without a user namespace first, which some systems forbid
	// even to root.
	for _, user := range []bool{false, true} {
		if !user && os.Geteuid() != 0 {
			continue
		}
		cmd := exec.CommandContext(ctx, self, "demo", "--inside", dir, "--timeout", c.Timeout.String())
		cmd.Args[0] = "dialtone"
		cmd.Stdout, cmd.Stderr = a.Stdout, a.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		lab.Isolated(cmd, user)
		if err = cmd.Start(); err == nil {
			return demoStatus(ctx, cmd.Wait())
		}
	}
	return noNamespaces(err)
}

// demoStatus turns the end of the inner process, which has said what there
// was to say, into this one's.
func demoStatus(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the demonstration did not end: %w", context.Cause(ctx))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exitError{exit.ExitCode()}
	}
	if err != nil {
		return fmt.Errorf("running the demonstration: %w", err)
	}
	return nil
}

// noNamespaces says what to do about a kernel that gives no namespaces.
func noNamespaces(err error) error {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("making a network namespace: %w; this system gives none to an ordinary user (see the sysctls "+
			"kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns and user.max_user_namespaces): run dialtone demo as root", err)
	}
	return fmt.Errorf("making a network namespace: %w", err)
}

// demo is a demonstration that runs.
type demo struct {
	dir    string
	out    *demoOutput
	hashes map[string]string // of the firmware images, by file name
}

// demonstrate runs the appliance and the phones, from inside the namespaces.
func demonstrate(ctx context.Context, a *app, dir string) error {
	if err := errors.Join(lab.Settle(), lab.Bridge(demoWire, netip.MustParsePrefix(demoAddress))); err != nil {
		return noNamespaces(err)
	}
	_, colour := terminal(a.Stdout)
	d := &demo{dir: dir, out: &demoOutput{w: a.Stdout, colour: colour}}
	if err := d.writeFiles(); err != nil {
		return err
	}
	d.out.line("", "", "The appliance starts with the example configuration, on a network that only this demonstration sees.")
	end, err := d.startAppliance(ctx, a)
	if err != nil {
		return err
	}
	defer end()

	phones := demoPhones()
	results := make([]demoResult, len(phones))
	var group sync.WaitGroup
	for i, p := range phones {
		group.Go(func() { results[i] = d.boot(ctx, p, fmt.Sprintf("port%d", i)) })
	}
	group.Wait()
	defer func() {
		for _, r := range results {
			if r.ns != nil {
				_ = r.ns.Close()
			}
		}
	}()
	problems := d.table(results)
	problems = append(problems, d.checkGuard(ctx, results)...)
	if len(problems) > 0 {
		for _, p := range problems {
			d.out.line("", "31", "wrong: "+p)
		}
		return exitError{exitWrong}
	}
	d.out.line("", "32", "All is well: three phones leased an address, fetched their settings and their firmware.")
	return nil
}

var demoFolder = regexp.MustCompile(`(?m)^(\s*(state_dir|files_dir)\s*=\s*)"[^"]*"`)

// writeFiles lays out the configuration and what the phones fetch.
func (d *demo) writeFiles() error {
	write := func(name string, body []byte) error {
		name = filepath.Join(d.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return fmt.Errorf("writing the demonstration's files: %w", err)
		}
		if err := os.WriteFile(name, body, 0o600); err != nil {
			return fmt.Errorf("writing the demonstration's files: %w", err)
		}
		return nil
	}
	err := fs.WalkDir(etc.Example, "dialtone", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(etc.Example, name)
		if err != nil {
			return err
		}
		body = demoFolder.ReplaceAllFunc(body, func(m []byte) []byte {
			parts := demoFolder.FindSubmatch(m)
			return fmt.Appendf(nil, "%s%q", parts[1], filepath.Join(d.dir, string(parts[2])))
		})
		return write("config/"+strings.TrimPrefix(name, "dialtone/"), body)
	})
	if err != nil {
		return fmt.Errorf("unpacking the example: %w", err)
	}
	files := map[string][]byte{
		"config/demo.hcl":                     []byte(demoConfig),
		"files_dir/languages/gui_lang_DE.xml": []byte("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<phrases/>\n"),
		"files_dir/languages/web_lang_DE.xml": []byte("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<w_phrases/>\n"),
	}
	d.hashes = map[string]string{}
	for i, p := range demoPhones() {
		image := make([]byte, 3<<20+i)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(image)
		sum := sha256.Sum256(image)
		d.hashes[p.image] = hex.EncodeToString(sum[:])
		files["files_dir/firmware/"+p.image] = image
	}
	for name, body := range files {
		if err := write(name, body); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(d.dir, "state_dir"), 0o700)
}

// startAppliance starts `dialtone serve` and returns once it is ready; end
// stops it. What it logs shows where it does not start, or ends badly.
func (d *demo) startAppliance(ctx context.Context, a *app) (end func(), err error) {
	notify, err := lab.ListenNotify(d.dir)
	if err != nil {
		return nil, err
	}
	defer notify.Close()
	var log bytes.Buffer
	cmd := exec.Command(self, "serve", "--config", filepath.Join(d.dir, "config"))
	cmd.Args[0] = "dialtone"
	cmd.Env = append(os.Environ(), notify.Env())
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the appliance: %w", err)
	}
	waitCtx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		err := cmd.Wait()
		cancel(fmt.Errorf("the appliance ended: %v", err))
		close(ended)
	}()
	end = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	}
	if err := notify.Wait(waitCtx, "READY=1"); err != nil {
		end()
		_, _ = log.WriteTo(a.Stderr)
		return nil, err
	}
	return end, nil
}

// demoResult is how a phone's boot ended.
type demoResult struct {
	phone demoPhone
	ns    *lab.Namespace
	state phonesim.State
	err   error
}

// boot starts a phone in a namespace of its own and shows its way. Its lease
// stays.
func (d *demo) boot(ctx context.Context, p demoPhone, port string) demoResult {
	r := demoResult{phone: p}
	if r.ns, r.err = lab.New(); r.err != nil {
		return r
	}
	if r.err = r.ns.Plug(ctx, demoWire, port, "eth0", p.mac); r.err != nil {
		return r
	}
	cmd := exec.CommandContext(ctx, self, "simulate", "--mac", p.mac.String(), "--model", p.model, "--interface", "eth0", "--keep", "--json")
	cmd.Args[0] = "dialtone"
	var state bytes.Buffer
	cmd.Stdout = &state
	steps, w := io.Pipe()
	cmd.Stderr = w
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		for lines := bufio.NewScanner(steps); lines.Scan(); {
			d.out.line(p.name, p.colour, lines.Text())
		}
	}()
	if r.err = r.ns.Start(cmd); r.err == nil {
		r.err = cmd.Wait()
	}
	_ = w.Close()
	<-shown
	if err := json.Unmarshal(state.Bytes(), &r.state); err != nil && r.err == nil {
		r.err = fmt.Errorf("reading what %s is set to: %w", p.name, err)
	}
	return r
}

// table prints what each phone got and gives what is wrong with it.
func (d *demo) table(results []demoResult) []string {
	var problems []string
	wrong := func(p demoPhone, format string, args ...any) {
		problems = append(problems, p.name+": "+fmt.Sprintf(format, args...))
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PHONE\tMODEL\tADDRESS\tSETTING SERVER\tFILES\tSETTINGS\tKEYS\tFIRMWARE")
	for _, r := range results {
		s := r.state
		if r.err != nil {
			wrong(r.phone, "%v", r.err)
		}
		address, files, firmware := "none", 0, "none"
		if s.Lease != nil {
			address = s.Lease.Address.String()
		} else {
			wrong(r.phone, "no lease")
		}
		for _, f := range s.Requests {
			if f.OK {
				files++
			} else {
				wrong(r.phone, "%s: %s", f.URL, f.Status)
			}
		}
		if len(s.Firmware) == 1 {
			got := s.Firmware[0]
			firmware = path.Base(got.URL)
			if firmware != r.phone.image || got.SHA256 != d.hashes[firmware] {
				wrong(r.phone, "the firmware is not %s as it is on the disk", r.phone.image)
			}
		} else {
			wrong(r.phone, "%d firmware images, not one", len(s.Firmware))
		}
		if len(s.Settings) == 0 {
			wrong(r.phone, "no settings")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", r.phone.name, r.phone.model, address, s.SettingServer, files, len(s.Settings), len(s.Keys), firmware)
	}
	_ = table.Flush()
	d.out.line("", "", "")
	for line := range strings.Lines(text.String()) {
		d.out.line("", "", strings.TrimRight(line, "\n"))
	}
	d.out.line("", "", "")
	return problems
}

// checkGuard asks as the second phone for the first one's file, which has to
// be refused, and for its own.
func (d *demo) checkGuard(ctx context.Context, results []demoResult) []string {
	asker, other := results[1], results[0]
	if asker.state.Lease == nil {
		return nil // said already
	}
	err := asker.ns.Do(func() error { return lab.SetAddress("eth0", asker.state.Lease.Subnet()) })
	if err != nil {
		return []string{err.Error()}
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			err = asker.ns.Do(func() error {
				conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
				return err
			})
			return conn, err
		},
	}}
	server := netip.MustParsePrefix(demoAddress).Addr()
	var problems []string
	for _, c := range []struct {
		whose demoPhone
		want  int
	}{{other.phone, http.StatusForbidden}, {asker.phone, http.StatusOK}} {
		url := fmt.Sprintf("http://%s/%s/%s.xml", server, c.whose.model, c.whose.mac.Hex())
		status, err := get(ctx, &client, url)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		d.out.line(asker.phone.name, asker.phone.colour, fmt.Sprintf("guard     asks for the file of %s: %d %s", c.whose.name, status, http.StatusText(status)))
		if status != c.want {
			problems = append(problems, fmt.Sprintf("%s got %d for %s, not %d", asker.phone.name, status, url, c.want))
		}
	}
	return problems
}

func get(ctx context.Context, client *http.Client, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// demoOutput writes whole lines, with the name of the phone in its colour.
type demoOutput struct {
	mu     sync.Mutex
	w      io.Writer
	colour bool
}

func (o *demoOutput) line(who, colour, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if who != "" {
		pad := strings.Repeat(" ", max(0, 10-len([]rune(who))))
		text = o.paint(colour, who) + pad + " " + text
	} else {
		text = o.paint(colour, text)
	}
	fmt.Fprintln(o.w, text)
}

func (o *demoOutput) paint(colour, text string) string {
	if !o.colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
