package rollout

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dialtone/internal/golden"
	"dialtone/internal/mac"
)

func phone(n int) mac.Addr { return mac.Addr{0x00, 0x04, 0x13, 0, 0, byte(n)} }

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// TestDialogues plays the scripts in testdata. A line is a moment and what
// happens: "12:00 ask 1 old" (phone 1 asks for its firmware), "see" (it asks for
// something else), "sent 1", "pause", "resume", "resume retry", "restart",
// "state" (a line that shows it). What comes of it stands below, indented.
func TestDialogues(t *testing.T) {
	t.Parallel()
	golden.Each(t, "testdata/*.txt", func(t *testing.T, script string) {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		golden.File(t, script, []byte(play(t, string(text))))
	})
}

func play(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	plan := Plan{Name: "r", Firmware: "new", CanaryCount: 1, Wave: 3, Downloads: 5, Patience: 30 * time.Minute}
	s := &State{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "\t") {
			continue // said before
		}
		out.WriteString(line + "\n")
		words := strings.Fields(strings.SplitN(line, "#", 2)[0])
		if len(words) == 0 {
			continue
		}
		if words[0] == "plan" {
			for _, w := range words[1:] {
				name, value, _ := strings.Cut(w, "=")
				var n int
				_, _ = fmt.Sscan(value, &n)
				switch name {
				case "canaries":
					plan.CanaryCount = n
				case "canary":
					plan.Canaries = append(plan.Canaries, phone(n))
				case "wave":
					plan.Wave = n
				case "downloads":
					plan.Downloads = n
				case "phones":
					for i := range n {
						plan.Phones = append(plan.Phones, phone(i+1))
					}
				case "window":
					_, err := fmt.Sscanf(value, "%d-%d", &plan.Window.From, &plan.Window.To)
					if err != nil {
						t.Fatal(err)
					}
				case "firmware":
					plan.Firmware = value
				case "without":
					plan.Covers = func(m mac.Addr) bool { return m != phone(n) }
				default:
					t.Fatalf("%s: no such word", w)
				}
			}
			continue
		}
		clock, err := time.Parse("15:04", words[0])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		now := noon.Truncate(24 * time.Hour).Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute)
		m := &machine{State: s, plan: plan, now: now}
		var n int
		if len(words) > 2 {
			_, _ = fmt.Sscan(words[2], &n)
		}
		switch words[1] {
		case "ask", "see":
			r := Report{MAC: phone(n), Known: true, Version: strings.TrimPrefix(words[3], "silent"), Reached: words[3] == plan.Firmware, Ready: true, Asks: words[1] == "ask"}
			if !r.Reached {
				r.Image = plan.Firmware + ".bin"
				if len(words) > 4 {
					r.Image = words[4]
				}
			}
			hold := m.report(r)
			if words[1] == "ask" {
				fmt.Fprintf(&out, "\t%s\n", map[bool]string{true: "may", false: hold}[hold == ""])
			}
		case "sent":
			m.sent(phone(n), "new.bin")
		case "expire":
			m.leave()
			m.expire()
		case "pause":
			m.pause()
		case "resume":
			m.resume(len(words) > 2)
		case "restart":
			b, err := json.Marshal(s)
			again := &State{}
			if err == nil {
				err = json.Unmarshal(b, again)
			}
			if err != nil {
				t.Fatal(err)
			}
			s = again
			m.State = s
			m.restarted()
		default:
			t.Fatalf("%s: no such event", line)
		}
		for _, e := range m.events {
			who := "rollout"
			if !e.MAC.IsZero() {
				who = fmt.Sprint(e.MAC[5])
			}
			fmt.Fprintf(&out, "\t%s: %s\n", who, e.Text)
		}
	}
	return out.String()
}

// model is what a rollout must never break, kept in the plainest way.
type model struct {
	plan   Plan
	s      *State
	now    time.Time
	on     map[mac.Addr]string // what each phone really runs
	got    map[mac.Addr]bool   // it was told to load
	loaded map[mac.Addr]bool
}

// TestMachine lets phones do what they like, and looks that the rules hold: who
// is let in, how many at once, and that nothing goes on after a stop.
func TestMachine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			plan: Plan{
				Name: "r", Firmware: "new", CanaryCount: rapid.IntRange(0, 2).Draw(t, "canaries"), Wave: rapid.IntRange(1, 3).Draw(t, "wave"),
				Downloads: rapid.IntRange(1, 4).Draw(t, "downloads"), Patience: 30 * time.Minute,
			},
			s: &State{}, now: noon, on: map[mac.Addr]string{}, got: map[mac.Addr]bool{}, loaded: map[mac.Addr]bool{},
		}
		if rapid.Bool().Draw(t, "named canaries") {
			m.plan.Canaries = []mac.Addr{phone(1), phone(2)}
		}
		if rapid.Bool().Draw(t, "window") {
			m.plan.Window = Window{11 * 60, 13 * 60}
		}
		someone := rapid.Custom(func(t *rapid.T) mac.Addr { return phone(rapid.IntRange(1, 9).Draw(t, "phone")) })
		do := func(happen func(*machine)) {
			// Each step on its own, as after a restart of the program.
			b, err := json.Marshal(m.s)
			again := &State{}
			if err == nil {
				err = json.Unmarshal(b, again)
			}
			if err != nil {
				t.Fatal(err)
			}
			m.s = again
			happen(&machine{State: m.s, plan: m.plan, now: m.now})
		}
		ask := func(t *rapid.T, who mac.Addr) {
			before := *m.s
			version := m.on[who]
			if version == "" {
				version = "old"
			}
			hold := ""
			do(func(x *machine) {
				r := Report{MAC: who, Known: true, Version: version, Reached: version == "new", Ready: true, Asks: true}
				if !r.Reached {
					r.Image = "new.bin"
				}
				hold = x.report(r)
			})
			if hold != "" || version == "new" {
				return
			}
			if before.Stopped != "" || m.s.Stopped != "" {
				t.Fatalf("%s is let in though the rollout has stopped", who)
			}
			if before.Paused {
				t.Fatalf("%s is let in though the rollout is paused", who)
			}
			if !m.got[who] && !m.plan.Window.Open(m.now) {
				t.Fatalf("%s is let in out of hours", who)
			}
			m.got[who], m.loaded[who] = true, false
			if before.Wave > 0 || m.s.Wave == 0 {
				return
			}
			back := 0
			for _, p := range m.s.Phones {
				if p.Stage == Updated {
					back++
				}
			}
			if want := (&machine{State: &State{}, plan: m.plan}).capacity(); back < want {
				t.Fatalf("the first wave has its turn when %d canaries are back, want %d", back, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) { ask(t, someone.Draw(t, "who")) },
			"load": func(t *rapid.T) {
				who := someone.Draw(t, "who")
				if m.got[who] {
					m.loaded[who] = true
					do(func(x *machine) { x.sent(who, "new.bin") })
				}
			},
			"come back": func(t *rapid.T) {
				who := someone.Draw(t, "who")
				if m.loaded[who] {
					m.on[who] = rapid.SampledFrom([]string{"new", "new", "new", "old"}).Draw(t, "version")
					ask(t, who)
				}
			},
			"wait": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute)
			},
			"pause": func(*rapid.T) { do((*machine).pause) },
			"resume": func(t *rapid.T) {
				retry := rapid.Bool().Draw(t, "retry")
				do(func(x *machine) { x.resume(retry) })
			},
			"restart": func(*rapid.T) { do((*machine).restarted) },
			"": func(t *rapid.T) {
				loading, perWave := 0, map[int]int{}
				for who, p := range m.s.Phones {
					if p.Stage == Loading {
						loading++
					}
					if p.Wave > 0 && m.got[who] || p.Wave == 0 && p.Stage != Failed {
						perWave[p.Wave]++
					}
					if p.Stage == Updated && m.on[who] != "new" {
						t.Fatalf("%s counts as updated, and runs %q", who, m.on[who])
					}
				}
				// A phone that came back without its image loads again, whoever
				// took its place meanwhile.
				if again := returned(m.s); loading > m.plan.Downloads+again {
					t.Fatalf("%d phones load at once, and %d may", loading, m.plan.Downloads)
				}
				for wave, n := range perWave {
					most := m.plan.Wave
					if wave == 0 {
						most = m.plan.CanaryCount
						if len(m.plan.Canaries) > 0 {
							most = len(m.plan.Canaries)
						}
					}
					if n > most {
						t.Fatalf("wave %d has %d phones, and may have %d", wave, n, most)
					}
				}
				// Whoever is in a later wave waited for all before it.
				for _, p := range m.s.Phones {
					if p.inFlight() && p.Wave < m.s.Wave && p.Wave >= 0 {
						t.Fatalf("wave %d has its turn, and a phone of wave %d is %s", m.s.Wave, p.Wave, p.Stage)
					}
				}
			},
		})
	})
}

func returned(s *State) int {
	n := 0
	for _, p := range s.Phones {
		if p.Returns > 0 && p.Stage == Loading {
			n++
		}
	}
	return n
}

func TestWindow(t *testing.T) {
	t.Parallel()
	night := Window{22 * 60, 5 * 60}
	for clock, want := range map[string]bool{"21:59": false, "22:00": true, "23:59": true, "00:00": true, "04:59": true, "05:00": false, "12:00": false} {
		at, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := night.Open(at); got != want {
			t.Errorf("%s at %s: %t", night, clock, got)
		}
	}
}
