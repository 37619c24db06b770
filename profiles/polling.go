package profiles

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"dialtone/internal/config"
	"dialtone/internal/mac"
)

var pollingSchema = schema(attributes("every", "window"))

const (
	day         = 24 * time.Hour
	pollingLast = 10 // major version of the first firmware with prov_polling_*
)

// polling writes when the phone asks for its settings again. Phones of one
// office are spread: by their MAC where it is known, so that a phone keeps its
// time from one document to the next.
func (e *evaluator) polling(w word) {
	every, ok := e.every(w)
	if !ok {
		return
	}
	from, length, windowed := e.window(w)
	if windowed && every%day != 0 {
		e.fail(w.attrs["every"].Expr.Range(), "Interval beside a window", "With a window the phone asks once in a number of days, so every is 1d, 2d and so on, not %s.", every)
		return
	}
	rng := w.rng
	if a := w.attrs["every"]; a != nil {
		rng = a.Range
	}
	if !windowed || e.major < pollingLast {
		every -= time.Duration(spread(e.phone, int64(every/10/time.Second))) * time.Second
	}
	seconds := strconv.FormatInt(int64(every/time.Second), 10)
	if e.major < pollingLast {
		e.written("settings_refresh_timer", seconds, rng)
		return
	}
	e.written("prov_polling_enabled", "on", w.rng)
	e.written("prov_polling_period", seconds, rng)
	switch {
	case !windowed:
		e.written("prov_polling_mode", "rel", rng)
	case e.phone.IsZero():
		e.written("prov_polling_mode", "random", w.attrs["window"].Range)
		e.written("prov_polling_time", clock(from), w.attrs["window"].Range)
		e.written("prov_polling_time_rand_end", clock(from+length), w.attrs["window"].Range)
	default:
		e.written("prov_polling_mode", "abs", w.attrs["window"].Range)
		e.written("prov_polling_time", clock(from+time.Duration(spread(e.phone, int64(length/time.Minute)))*time.Minute), w.attrs["window"].Range)
	}
}

// every reads the interval; a day where only the window is said.
func (e *evaluator) every(w word) (time.Duration, bool) {
	a := w.attrs["every"]
	if a == nil {
		if w.attrs["window"] == nil {
			e.fail(w.rng, "Missing required argument", `polling needs every = "1d", or a window.`)
		}
		return day, w.attrs["window"] != nil
	}
	v, ok := e.text(w.attrs, "every")
	if !ok {
		return 0, false
	}
	d, err := config.ParseDuration(v.text)
	switch {
	case err != nil:
		e.fail(a.Expr.Range(), "Invalid duration", "%s.", capital(err.Error()))
		return 0, false
	case d < time.Minute || d > 365*day:
		e.fail(a.Expr.Range(), "Invalid duration", "every takes 1m to 365d, not %s.", v.text)
		return 0, false
	}
	return d, true
}

// window reads two times of the day: the first as a duration since midnight,
// and how long it is from there to the second.
func (e *evaluator) window(w word) (from, length time.Duration, ok bool) {
	a := w.attrs["window"]
	if a == nil {
		return 0, 0, false
	}
	times, ok := e.list(a)
	if !ok {
		return 0, 0, false
	}
	var at [2]time.Duration
	if len(times) == len(at) {
		for i, text := range times {
			t, err := time.Parse("15:04", text)
			if err != nil {
				times = nil
				break
			}
			at[i] = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
		}
	}
	if len(times) != len(at) {
		e.fail(a.Expr.Range(), "Invalid window", `window takes two times of the day, such as ["02:00", "04:00"].`)
		return 0, 0, false
	}
	return at[0], (at[1] - at[0] + day) % day, true
}

// clock writes a time of the day, HH:MM.
func clock(d time.Duration) string {
	d %= day
	return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}

// spread gives a number from 0 up to and without n, always the same one for a
// phone; 0 where there is no phone.
func spread(phone mac.Addr, n int64) int64 {
	if phone.IsZero() || n < 1 {
		return 0
	}
	h := fnv.New64a()
	h.Write(phone[:])
	return int64(h.Sum64() % uint64(n))
}
