package httpd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dialtone/provision"
)

// maxWaiting is how many workers wait for a connection at most. One that ends is
// as good as a new one, and its stack has its size already.
const maxWaiting = 32

// pool is the workers that serve the connections of one listener. Each takes a
// connection, makes sure that another worker waits for the next one, and serves
// it: nothing is handed over, which would cost more than the answer does.
type pool struct {
	*Server
	door    *door
	ctx     context.Context // ends when what still runs is cut
	cancel  context.CancelFunc
	buffers sync.Pool // of *[]byte, for answers

	workers  atomic.Int64
	waiting  atomic.Int64
	running  sync.WaitGroup
	stopping atomic.Bool
	failed   chan error

	mu      sync.Mutex
	conns   map[*conn]struct{}
	sources map[netip.Addr]int
}

func newPool(ctx context.Context, s *Server, d *door) *pool {
	p := &pool{
		Server: s, door: d,
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		failed:  make(chan error, 1),
		conns:   make(map[*conn]struct{}),
		sources: make(map[netip.Addr]int),
	}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return p
}

// serve answers what comes until ctx ends.
func (p *pool) serve(ctx context.Context) error {
	p.start()
	var err error
	select {
	case <-ctx.Done():
	case err = <-p.failed:
	}
	p.stop()
	ended := make(chan struct{})
	go func() {
		p.running.Wait()
		close(ended)
	}()
	grace := time.NewTimer(p.Grace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
	}
	p.cut()
	if err != nil {
		return fmt.Errorf("accepting connections: %w", err)
	}
	return nil
}

// start adds a worker, where the limit allows one more connection.
func (p *pool) start() {
	if p.workers.Add(1) > int64(p.Connections) {
		p.workers.Add(-1)
		return
	}
	p.waiting.Add(1)
	p.running.Go(func() {
		defer p.workers.Add(-1)
		p.work()
	})
}

// work serves one connection after the other.
func (p *pool) work() {
	w := newWorker(p)
	for {
		c, err := p.accept()
		if err != nil {
			select {
			case p.failed <- err:
			default:
			}
			return
		}
		if p.waiting.Add(-1) == 0 {
			p.start()
		}
		w.serve(c)
		if p.waiting.Add(1) > maxWaiting {
			p.waiting.Add(-1)
			return
		}
	}
}

// accept waits for a connection of a source that has not too many.
func (p *pool) accept() (*conn, error) {
	delay := 5 * time.Millisecond
	for {
		inner, err := p.door.accept()
		if err != nil {
			var passes interface{ Temporary() bool }
			if p.stopping.Load() || !errors.As(err, &passes) || !passes.Temporary() {
				return nil, err
			}
			// No descriptor is left, say: others will be given back.
			time.Sleep(delay)
			delay = min(2*delay, time.Second)
			continue
		}
		source := inner.remote.Addr()
		c := &conn{Conn: inner, stall: p.Stall, source: source, local: inner.local.Addr(), counted: provision.SourceOf(source)}
		if p.enter(c) {
			return c, nil
		}
		inner.Close()
	}
}

func (p *pool) enter(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sources[c.counted] >= p.PerSource {
		return false
	}
	p.sources[c.counted]++
	p.conns[c] = struct{}{}
	return true
}

func (p *pool) leave(c *conn) {
	p.mu.Lock()
	delete(p.conns, c)
	if p.sources[c.counted] > 1 {
		p.sources[c.counted]--
	} else {
		delete(p.sources, c.counted)
	}
	p.mu.Unlock()
	c.Close()
}

// stop takes no more connections, and ends those that wait for a request.
func (p *pool) stop() {
	p.stopping.Store(true)
	p.door.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.idle.Load() {
			c.stop()
		}
	}
}

// cut ends whatever still runs.
func (p *pool) cut() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}
