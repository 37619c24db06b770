package main

import (
	"runtime"
	"testing"
)

func TestGarbagePercent(t *testing.T) {
	t.Parallel()
	for inUse, want := range map[uint64]int{
		0: 600, 1 << 20: 600, 2 << 20: 300, 5 << 20: 120, 8 << 20: 70, 12 << 20: 50, 1 << 40: 50,
	} {
		if got := garbagePercent(inUse); got != want {
			t.Errorf("%d octets in use: %d %%, want %d", inUse, got, want)
		}
	}
}

func TestAfterCollections(t *testing.T) {
	t.Parallel()
	called := make(chan struct{})
	afterCollections(func() { called <- struct{}{} })
	for times := 0; times < 3; {
		runtime.GC()
		select {
		case <-called:
			times++
		default:
		}
	}
}
