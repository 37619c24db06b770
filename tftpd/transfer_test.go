package tftpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// stage plays the part of the loop for one transfer, with a clock of its own.
type stage struct {
	transfer
	feeder *feeder
	now    time.Time
}

func newStage(file []byte, t terms, retries int) *stage {
	return &stage{
		transfer: transfer{terms: t, retries: retries},
		feeder:   newFeeder(bytes.NewReader(file), -1, t),
		now:      time.Unix(1_000_000, 0),
	}
}

// read gives the transfer the next run of the file.
func (s *stage) read() step { return s.readInto(s.feeder.buffer()) }

func (s *stage) readInto(buf []byte) step {
	r, ended, err := s.feeder.fill(buf)
	if err != nil {
		panic(err)
	}
	return s.feed(r, ended, s.now)
}

// packets are what the transfer has in flight.
func (s *stage) packets() (all [][]byte) {
	for packets := range s.flight {
		if s.base == 0 {
			return [][]byte{packets}
		}
		all = slices.AppendSeq(all, slices.Chunk(packets, s.stride()))
	}
	return all
}

// told describes a step in a word or two: the packets sent, as "3 4" for blocks.
func (s *stage) told(next step, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case next == wait:
		return ""
	case next == finish:
		return fmt.Sprintf("finished, %d octets", s.sent)
	}
	var words []string
	for _, p := range s.packets() {
		if p[1] == opOACK {
			words = append(words, "OACK")
		} else {
			words = append(words, fmt.Sprint(binary.BigEndian.Uint16(p[2:])))
		}
	}
	return strings.Join(words, " ")
}

func ackOf(block int) []byte { return binary.BigEndian.AppendUint16([]byte{0, opACK}, uint16(block)) }

func TestTransfer(t *testing.T) {
	t.Parallel()
	const (
		gaveUp = "the client does not answer"
		late   = 1001 * time.Millisecond
	)
	oack := []byte{0, opOACK}
	for _, tt := range []struct {
		name   string
		octets int
		terms  terms
		// An int is an ACK, a string another packet, a duration goes by, nil reads
		// a run: 2,048 blocks of 8, or 4 of 4,096; then comes what is sent.
		play []any
	}{
		{
			name: "lockstep", octets: 20, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", 1, "2", 2, "3", 3, "finished, 20 octets"},
		},
		{
			name: "a multiple of the block ends with an empty one", octets: 16, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", 1, "2", 2, "3", 3, "finished, 16 octets"},
		},
		{
			name: "nothing", octets: 0, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", 1, "finished, 0 octets"},
		},
		{
			name: "options", octets: 20, terms: terms{block: 8, window: 2, oack: oack},
			play: []any{"start", "OACK", nil, "", 1, "", late, "OACK", 0, "1 2", 2, "3", 3, "finished, 20 octets"},
		},
		{
			name: "the file comes later than the ACK of the options", octets: 20, terms: terms{block: 8, window: 2, oack: oack},
			play: []any{"start", "OACK", 0, "", late, "", 0, "", nil, "1 2"},
		},
		{
			name: "an ACK counts once in lockstep", octets: 20, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", 1, "2", 1, "", 0, "", 3, "", 2, "3", 1, "", 2, "", 3, "finished, 20 octets"},
		},
		{
			name: "no answer: each wait is twice as long", octets: 20, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", late, "1", late, "", late, "1", 2 * late, "", 2 * late, "1", 4 * late, "", 4 * late, gaveUp},
		},
		{
			name: "every block has all tries", octets: 20, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", late, "1", 2 * late, "1", 4 * late, "1", 1, "2", late, "2", 2 * late, "2", 4 * late, "2", 2, "3"},
		},
		{
			name: "no wait is longer than the longest that is agreed to", octets: 20, terms: terms{block: 8, window: 1, timeout: 6 * time.Second},
			play: []any{"start", "", nil, "1", 6 * late, "1", maxTimeout - time.Second, "", time.Second, "1", maxTimeout, "1", maxTimeout, gaveUp},
		},
		{
			name: "what says nothing does not put the time off", octets: 20, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", late - time.Second, "", 7, "", "\x00\x04", "", "", "", "\x00\x03\x00\x01x", "", time.Second, "1"},
		},
		{
			name: "the client ends it", octets: 20, terms: terms{block: 8, window: 1},
			play: []any{"start", "", nil, "1", "\x00\x05\x00\x03disk full\x00", `the client ended it with code 3: "disk full\x00"`},
		},
		{
			name: "window", octets: 8 * 7, terms: terms{block: 8, window: 3},
			play: []any{"start", "", nil, "1 2 3", 3, "4 5 6", 6, "7 8", 8, "finished, 56 octets"},
		},
		{
			name: "a part of a window was lost", octets: 8 * 7, terms: terms{block: 8, window: 3},
			play: []any{"start", "", nil, "1 2 3", 1, "2 3 4", 4, "5 6 7", 5, "6 7 8", 8, "finished, 56 octets"},
		},
		{
			name: "the first of a window was lost: the ACK counts once", octets: 8 * 7, terms: terms{block: 8, window: 3},
			play: []any{"start", "", nil, "1 2 3", 3, "4 5 6", 3, "4 5 6", 3, "", 6, "7 8", 6, "", late, "7 8", 8, "finished, 56 octets"},
		},
		{
			name: "a window waits for the file", octets: 8 * 4096, terms: terms{block: 4096, window: 3},
			play: []any{
				"start", "", nil, "1 2 3", 2, "", late, "", 2, "", nil, "3 4 5", 5, "6 7 8", 8, "",
				nil, "9", 9, "finished, 32768 octets",
			},
		},
		{
			name: "an ACK while the file is awaited", octets: 8 * 4096, terms: terms{block: 4096, window: 3},
			play: []any{"start", "", nil, "1 2 3", 2, "", 3, "", nil, "4 5 6"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.terms.timeout == 0 {
				tt.terms.timeout = time.Second
			}
			s := newStage(make([]byte, tt.octets), tt.terms, 3)
			for i := 0; i < len(tt.play); i += 2 {
				got := ""
				switch do := tt.play[i].(type) {
				case nil:
					got = s.told(s.read(), nil)
				case int:
					got = s.told(s.receive(ackOf(do), s.now))
				case string:
					if do == "start" {
						got = s.told(s.start(s.now), nil)
					} else {
						got = s.told(s.receive([]byte(do), s.now))
					}
				case time.Duration:
					s.now = s.now.Add(do)
					if !s.due.IsZero() && !s.now.Before(s.due) {
						got = s.told(s.expire(s.now))
					}
				}
				if want := tt.play[i+1].(string); got != want {
					t.Fatalf("step %d, %v: %.200q, want %.200q", i/2, tt.play[i], got, want)
				}
			}
		})
	}
}

// readers give b as a file and as something else.
func readers(t *testing.T, b []byte) map[string]io.Reader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return map[string]io.Reader{"file": file, "reader": bytes.NewReader(b)}
}

// Whatever a network does to the packets, the file arrives whole, no more than a
// window is sent at once, and so many buffers as there are do.
func TestTransferOnAnyNetwork(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		file := noise(rapid.IntRange(0, 300_000).Draw(t, "octets"))
		agreed := terms{
			block:   rapid.SampledFrom([]int{8, 512, 1000, 1428, 9000}).Draw(t, "block"),
			window:  rapid.IntRange(1, 64).Draw(t, "window"),
			timeout: time.Second,
		}
		if agreed.block == 8 {
			file = file[:min(len(file), 40_000)] // more than a run
		}
		if agreed.block != defaultBlock || agreed.window > 1 {
			agreed.oack = []byte{0, opOACK}
		}
		s := newStage(file, agreed, 1_000_000)
		lost, doubled := rapid.IntRange(0, 30).Draw(t, "% lost"), rapid.IntRange(0, 30).Draw(t, "% doubled")
		fate := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "fate"), 0))
		// deliver gives how often a packet arrives.
		deliver := func() int {
			switch n := fate.IntN(100); {
			case n < lost:
				return 0
			case n < lost+doubled:
				return 2
			}
			return 1
		}
		var got []byte
		next, unacknowledged, gap := uint16(1), 0, false
		// client takes a block and gives the ACKs.
		client := func(p []byte) (acks []uint16) {
			if p[1] == opOACK {
				return []uint16{0}
			}
			number := binary.BigEndian.Uint16(p[2:])
			if number != next {
				if gap && agreed.window > 1 {
					return nil
				}
				gap, unacknowledged = true, 0
				return []uint16{next - 1}
			}
			gap = false
			got = append(got, p[headerLen:]...)
			next++
			unacknowledged++
			if unacknowledged == agreed.window || len(p) < s.stride() {
				unacknowledged = 0
				return []uint16{number}
			}
			return nil
		}
		out := max(s.start(s.now), s.readInto(s.feeder.first()))
		buffers, full := 0, len(s.feeder.buffer())
		var free [][]byte
		for turns := 0; ; turns++ {
			if turns > 50_000 {
				t.Fatal("the transfer does not end")
			}
			var acks []uint16
			if out == send {
				sent := s.packets()
				if len(sent) > agreed.window {
					t.Fatalf("%d packets sent at once", len(sent))
				}
				for _, p := range sent {
					for range deliver() {
						acks = append(acks, client(p)...)
					}
				}
			}
			out = wait
			for _, a := range acks {
				for range deliver() {
					if out == finish {
						continue
					}
					// Only the last flight matters for the client: the ones between are
					// as if lost.
					step, err := s.receive(ackOf(int(a)), s.now)
					if err != nil {
						t.Fatal(err)
					}
					out = max(out, step)
				}
			}
			for _, buf := range s.spent {
				if len(buf) == full {
					free = append(free, buf)
				}
			}
			s.spent = nil
			if out == finish {
				break
			}
			for !s.ended && (len(free) > 0 || s.begun && buffers < s.feeder.runs) {
				var buf []byte
				if len(free) > 0 {
					buf, free = free[0], free[1:]
				} else {
					buf = s.feeder.buffer()
					buffers++
				}
				out = max(out, s.readInto(buf))
			}
			if out == wait {
				if s.due.IsZero() {
					t.Fatalf("stuck: %d blocks ready of %d, %d buffers", s.ready, s.window, buffers)
				}
				s.now, gap = s.due, false // the client is impatient too
				var err error
				if out, err = s.expire(s.now); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !bytes.Equal(got, file) || s.sent != int64(len(file)) {
			t.Fatalf("%d octets arrived and %d count as acknowledged, of %d", len(got), s.sent, len(file))
		}
	})
}

func TestFeeder(t *testing.T) {
	t.Parallel()
	all := noise(100_000)
	for _, block := range []int{8, 512, 1428, 33_000, 65_464} {
		for _, size := range []int{0, 1, block - 1, block, block + 1, 16_384, 100_000} {
			for _, known := range []int64{-1, int64(size)} {
				for name, body := range readers(t, all[:size]) {
					f := newFeeder(body, known, terms{block: block, window: 1})
					var got []byte
					number := uint16(0)
					for ended := false; !ended; {
						r, last, err := f.fill(f.buffer())
						if err != nil {
							t.Fatal(err)
						}
						for p := range slices.Chunk(r.packets, block+headerLen) {
							number++
							if want := binary.BigEndian.AppendUint16([]byte{0, opDATA}, number); !bytes.Equal(p[:headerLen], want) {
								t.Fatalf("header %x, want %x", p[:headerLen], want)
							}
							got = append(got, p[headerLen:]...)
						}
						ended = last
					}
					if !bytes.Equal(got, all[:size]) || int(number) != size/block+1 {
						t.Errorf("%s of %d octets in blocks of %d: %d octets in %d blocks", name, size, block, len(got), number)
					}
				}
			}
		}
	}
}

// The kernel's memory is asked first where there is a file, and gives what a
// read gives.
func TestFeederPoll(t *testing.T) {
	t.Parallel()
	all := noise(3*16_384 + 5)
	r := readers(t, all)
	f := newFeeder(r["file"], int64(len(all)), terms{block: 512, window: 1})
	var got []byte
	polled := 0
	for ended := false; !ended; {
		buf := f.buffer()
		run, ok := f.poll(buf)
		if ok {
			polled++
		} else {
			var err error
			if run, ended, err = f.fill(buf); err != nil {
				t.Fatal(err)
			}
		}
		for p := range slices.Chunk(run.packets, 512+headerLen) {
			got = append(got, p[headerLen:]...)
		}
	}
	if !bytes.Equal(got, all) || polled > 6 {
		t.Errorf("%d octets of %d, %d runs polled", len(got), len(all), polled)
	}
	if polled == 0 {
		t.Log("this file system does not say what is in memory")
	}
	f = newFeeder(r["reader"], -1, terms{block: 512, window: 1})
	if _, ok := f.poll(f.buffer()); ok {
		t.Error("a reader was polled")
	}
}

func TestFeederError(t *testing.T) {
	t.Parallel()
	f := newFeeder(broken{}, 10, terms{block: 512, window: 1})
	_, _, err := f.fill(f.buffer())
	fault, ok := errors.AsType[*fault](err)
	if !ok {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff("the file could not be read to its end", fault.text); diff != "" {
		t.Error(diff)
	}
}

// A client takes a short block for the end of the file, and was told its size: what
// comes to a file while it is sent is left out, and what goes is an error.
func TestFileChangesMeanwhile(t *testing.T) {
	t.Parallel()
	all := noise(100_000)
	for _, opened := range []int{0, 700, 1024, 16_384, 50_000, 100_000} {
		for _, now := range []int{0, 600, 1024, 16_384, 49_000, 50_000, 100_000} {
			for name, body := range readers(t, all[:now]) {
				f := newFeeder(body, int64(opened), terms{block: 512, window: 1})
				var got []byte
				var err error
				for ended := false; !ended && err == nil; {
					buf := f.buffer()
					r, ok := f.poll(buf)
					if !ok {
						r, ended, err = f.fill(buf)
					}
					for p := range slices.Chunk(r.packets, 512+headerLen) {
						got = append(got, p[headerLen:]...)
					}
				}
				if now < opened {
					if _, ok := errors.AsType[*fault](err); !ok {
						t.Errorf("%s of %d octets, then %d: %d octets, %v, want an error", name, opened, now, len(got), err)
					}
				} else if err != nil || !bytes.Equal(got, all[:opened]) {
					t.Errorf("%s of %d octets, then %d: %d octets, %v", name, opened, now, len(got), err)
				}
			}
		}
	}
}
