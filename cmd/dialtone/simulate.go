package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"dialtone/internal/mac"
	"dialtone/internal/phonesim"
)

type simulateCmd struct {
	MAC             mac.Addr      `required:"" placeholder:"MAC" help:"The phone's MAC address, in any spelling."`
	Model           string        `default:"snomD785" help:"What the phone says it is (option 60): snom370, snomD785."`
	Interface       string        `xor:"where" required:"" placeholder:"NAME" help:"Lease an address on this interface. Needs CAP_NET_RAW and CAP_NET_ADMIN."`
	Server          string        `xor:"where" required:"" placeholder:"URL" help:"Go to this setting server without DHCP."`
	FirmwareVersion string        `placeholder:"V" help:"Firmware that the phone runs; left out: one that the model came with."`
	Firmware        bool          `default:"true" negatable:"" help:"Fetch the firmware where update_policy says so."`
	Restarts        int           `placeholder:"N" help:"Restart with the firmware that was fetched, up to N times, as phones do on their way to a target."`
	Certificate     string        `placeholder:"FILE" help:"Show this client certificate over HTTPS: a PEM file with its key."`
	Broadcast       bool          `help:"Set the broadcast flag of DHCP."`
	BlockSize       int           `placeholder:"BYTES" help:"Ask for this block size over TFTP."`
	Count           int           `default:"1" help:"Boot that many phones at once; their MACs count up."`
	Timeout         time.Duration `default:"2m" help:"End after this long."`
	Keep            bool          `help:"Keep the lease; otherwise it is released at the end."`
	JSON            bool          `name:"json" help:"Print what the phone would be set to; its way goes to standard error."`
}

// Validate is called by kong.
func (c *simulateCmd) Validate() error {
	if c.Count < 1 || c.Count > 10_000 {
		return errors.New("--count takes 1 to 10000")
	}
	return nil
}

// booted is one phone's boot.
type booted struct {
	state *phonesim.State
	err   error
	lease time.Duration // until the address was set; 0 without DHCP
	total time.Duration
}

func (b booted) works() error {
	if b.err != nil {
		return b.err
	}
	return b.state.Works()
}

func (c *simulateCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("the time of %s is over", c.Timeout))
	defer cancel()

	steps := a.Stdout
	if c.JSON {
		steps = a.Stderr
	}
	var certificate *tls.Certificate
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Certificate)
		if err != nil {
			return fmt.Errorf("reading the phone's certificate: %w", err)
		}
		certificate = &pair
	}
	phones := make([]booted, c.Count)
	var group sync.WaitGroup
	for i := range phones {
		m, err := addMAC(c.MAC, i)
		if err != nil {
			return err
		}
		group.Go(func() { phones[i] = c.boot(ctx, m, certificate, steps) })
	}
	group.Wait()
	return c.report(a, steps, phones)
}

// boot runs one phone from its power-on to the end.
func (c *simulateCmd) boot(ctx context.Context, m mac.Addr, certificate *tls.Certificate, steps io.Writer) booted {
	var b booted
	start := time.Now()
	phone, err := phonesim.New(phonesim.Config{
		MAC: m, Model: c.Model, Version: c.FirmwareVersion, Interface: c.Interface, Server: c.Server,
		Broadcast: c.Broadcast, SkipFirmware: !c.Firmware, Restarts: c.Restarts, BlockSize: c.BlockSize, Certificate: certificate,
		Event: func(e phonesim.Event) {
			if e.Kind == phonesim.Addressed {
				b.lease = time.Since(start)
			}
			if c.Count == 1 {
				fmt.Fprintln(steps, e)
			}
		},
	})
	if err != nil {
		b.err = err
		return b
	}
	b.state, b.err = phone.Boot(ctx)
	b.total = time.Since(start)
	end := phone.Release
	if c.Keep {
		end = phone.Close
	}
	if err := end(); err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("giving the lease back: %w", err))
	}
	return b
}

// report prints the outcome. The error is the verdict where it is bad.
func (c *simulateCmd) report(a *app, steps io.Writer, phones []booted) error {
	if c.JSON {
		var v any = phones[0].state
		if c.Count > 1 {
			states := make([]*phonesim.State, len(phones))
			for i, p := range phones {
				states[i] = p.state
			}
			v = states
		}
		if err := printPlainJSON(a.Stdout, v); err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
	}
	if c.Count == 1 {
		if err := phones[0].works(); err != nil {
			return fmt.Errorf("the phone would not work: %w", err)
		}
		fmt.Fprintf(steps, "works     %s\n", summary(phones[0].state))
		return nil
	}
	failed := 0
	for i, p := range phones {
		if err := p.works(); err != nil {
			m, _ := addMAC(c.MAC, i)
			fmt.Fprintf(steps, "%s  does not work: %v\n", m, err)
			failed++
		}
	}
	writeTimes(steps, phones)
	if failed > 0 {
		return fmt.Errorf("%d of %d phones would not work", failed, c.Count)
	}
	fmt.Fprintf(steps, "all %d phones work\n", c.Count)
	return nil
}

// summary counts what a phone is set to.
func summary(s *phonesim.State) string {
	text := fmt.Sprintf("%d settings, %d keys, %d contacts, %d languages", len(s.Settings), len(s.Keys), len(s.Phonebook), len(s.Languages))
	for _, i := range s.Firmware {
		text += fmt.Sprintf(", firmware of %d bytes (SHA-256 %.12s…)", i.Size, i.SHA256)
	}
	if s.Redirect != "" {
		text += "; sent on to " + s.Redirect
	}
	return text
}

// writeTimes prints how long the phones took, by percentiles.
func writeTimes(w io.Writer, phones []booted) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\t50 %\t90 %\t99 %\tall\t")
	for _, row := range []struct {
		name string
		of   func(booted) time.Duration
	}{
		{"address", func(b booted) time.Duration { return b.lease }},
		{"whole boot", func(b booted) time.Duration { return b.total }},
	} {
		var times []time.Duration
		for _, p := range phones {
			if d := row.of(p); d > 0 {
				times = append(times, d)
			}
		}
		if len(times) == 0 {
			continue
		}
		slices.Sort(times)
		fmt.Fprintf(table, "%s\t", row.name)
		for _, percent := range []int{50, 90, 99, 100} {
			fmt.Fprintf(table, "%s\t", times[(len(times)*percent+99)/100-1].Round(100*time.Microsecond))
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush()
}

// addMAC counts up from m, within the maker's range.
func addMAC(m mac.Addr, n int) (mac.Addr, error) {
	low := uint32(m[3])<<16 | uint32(m[4])<<8 | uint32(m[5])
	low += uint32(n)
	if low >= 1<<24 {
		return mac.Addr{}, fmt.Errorf("counting %d up from %s leaves the maker's range", n, m)
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], low)
	copy(m[3:], b[1:])
	return m, nil
}
