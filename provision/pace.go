package provision

import (
	"context"
	"io"
	"sync"
	"time"
)

// Pace bounds how much is sent in a second by all who share it.
type Pace struct {
	rate int64 // octets per second
	wait func(context.Context, time.Duration) error

	mu   sync.Mutex
	next time.Time // when what was taken so far is sent
}

// NewPace makes a Pace of so many octets per second. wait is what waits, nil for
// a timer.
func NewPace(rate int64, wait func(context.Context, time.Duration) error) *Pace {
	if wait == nil {
		wait = sleep
	}
	return &Pace{rate: rate, wait: wait}
}

// PaceStride is how much is best taken at once, in octets: less than a second's
// worth at the slowest pace, so that no reader waits for long.
const PaceStride = 32 << 10

// Take gives how long to wait before n more octets are sent. Whoever shares the
// pace waits in the order of asking.
func (p *Pace) Take(now time.Time, n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := max(0, p.next.Sub(now))
	p.next = now.Add(wait + time.Duration(int64(n)*int64(time.Second)/p.rate))
	return wait
}

// Wait takes n octets and waits until they may be sent.
func (p *Pace) Wait(ctx context.Context, now time.Time, n int) error {
	wait := p.Take(now, n)
	if wait == 0 {
		return ctx.Err()
	}
	return p.wait(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Reader gives what r has at the pace.
func (p *Pace) Reader(ctx context.Context, r io.Reader, now func() time.Time) io.Reader {
	return &pacedReader{p, ctx, r, now}
}

type pacedReader struct {
	pace *Pace
	ctx  context.Context
	r    io.Reader
	now  func() time.Time
}

func (r *pacedReader) Read(b []byte) (int, error) {
	b = b[:min(len(b), PaceStride)]
	if err := r.pace.Wait(r.ctx, r.now(), len(b)); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
