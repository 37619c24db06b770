package neighbour

import (
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

// A flood of strangers must not fill the memory with the stacks of those who ask
// the kernel for them.
func TestStackOfQuestions(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would make them smaller
	const askers, most = 200, 32 << 10
	var asked, done sync.WaitGroup
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	release, errs := make(chan struct{}), make(chan error, askers)
	for i := range askers {
		asked.Add(1)
		done.Go(func() {
			_, _, err := onWire(netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}), 1)
			errs <- err
			asked.Done()
			<-release
		})
	}
	asked.Wait()
	runtime.ReadMemStats(&after)
	close(release)
	done.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if used := after.StackInuse - before.StackInuse; used > askers*most {
		t.Errorf("%d goroutines have %d kB of stack each", askers, used/askers>>10)
	}
}
