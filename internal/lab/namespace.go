// Package lab builds small networks inside network namespaces: a bridge, a
// namespace for each machine, a cable between them. Whoever calls it should
// be in a namespace of its own already (Inside), so that nothing of it shows
// on the machine.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"dialtone/internal/mac"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Isolated changes cmd so that it starts in a network, mount and PID
// namespace of its own: its interfaces, mounts and processes end with it.
// Where user is set it gets a user namespace too, in which it is root; that
// needs no privilege.
func Isolated(cmd *exec.Cmd, user bool) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	a := cmd.SysProcAttr
	a.Cloneflags |= syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
	if user {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
}

// Settle makes the namespaces of Isolated usable, from inside: mounts stay
// private, /proc shows the processes of this namespace, loopback is up.
func Settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// Containers often forbid this; the outer /proc does for all but names of
	// processes.
	_ = unix.Mount("proc", "/proc", "proc", 0, "")
	return up("lo")
}

// Namespace is a network namespace, one machine of the lab.
type Namespace struct {
	handle netns.NsHandle
}

// New makes an empty namespace with its loopback interface up.
func New() (*Namespace, error) {
	n := &Namespace{handle: netns.None()}
	err := onThread(func() error {
		handle, err := netns.New()
		if err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		n.handle = handle
		return up("lo")
	})
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close lets go of the namespace. It ends with its last process.
func (n *Namespace) Close() error {
	if !n.handle.IsOpen() {
		return nil
	}
	return n.handle.Close()
}

// Do calls f on a thread that is in the namespace. Sockets that f opens
// itself belong there; goroutines that it starts do not.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return f()
	})
}

// Start starts cmd in the namespace.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// onThread calls f on a thread that ends with it, since a thread that has
// changed its namespace is no use to other goroutines.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- f()
	}()
	return <-result
}

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("setting interface %s up: %w", name, err)
	}
	return nil
}

// Bridge makes a bridge in the caller's namespace, up and with the address
// where that is valid.
func Bridge(name string, address netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return fmt.Errorf("making bridge %s: %w", name, err)
	}
	if address.IsValid() {
		if err := SetAddress(name, address); err != nil {
			return err
		}
	}
	return up(name)
}

// SetAddress gives an interface of the caller's namespace an address.
func SetAddress(name string, address netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up interface %s: %w", name, err)
	}
	ip := &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), 32)}
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ip}); err != nil {
		return fmt.Errorf("setting address %s on %s: %w", address, name, err)
	}
	return nil
}

// Plug lays a cable from a bridge of the caller's namespace to the namespace,
// where it ends in the interface name with the address hw. It returns when
// frames pass. port names the bridge's end, at most 15 bytes.
func (n *Namespace) Plug(ctx context.Context, bridge, port, name string, hw mac.Addr) error {
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("looking up bridge %s: %w", bridge, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = port, br.Attrs().Index
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerNamespace = name, hw[:], netlink.NsFd(n.handle)
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("making cable %s: %w", port, err)
	}
	if err := up(port); err != nil {
		return err
	}
	if err := n.Do(func() error { return up(name) }); err != nil {
		return err
	}
	if err := n.Do(func() error { return WaitUp(ctx, name) }); err != nil {
		return err
	}
	return WaitUp(ctx, port)
}

// WaitUp returns when an interface of the caller's namespace carries traffic.
func WaitUp(ctx context.Context, name string) error {
	for {
		up, err := watchUp(ctx, name)
		if up || err != nil {
			return err
		}
	}
}

// watchUp waits for an interface to be up. It reports false where the kernel
// ended the watch early: it does so when it had more to say than it could keep.
func watchUp(ctx context.Context, name string) (bool, error) {
	updates, done := make(chan netlink.LinkUpdate, 16), make(chan struct{})
	if err := netlink.LinkSubscribe(updates, done); err != nil {
		return false, fmt.Errorf("watching interface %s: %w", name, err)
	}
	defer func() {
		close(done)
		// The subscription ends only once nobody keeps it from sending.
		go func() {
			for range updates {
			}
		}()
	}()
	// Asked after the watch has begun, so that no change falls between.
	l, err := netlink.LinkByName(name)
	if err != nil {
		return false, fmt.Errorf("looking up interface %s: %w", name, err)
	}
	if carries(l.Attrs()) {
		return true, nil
	}
	for {
		select {
		case u, ok := <-updates:
			if !ok {
				return false, nil
			}
			if a := u.Attrs(); a.Index == l.Attrs().Index && carries(a) {
				return true, nil
			}
		case <-ctx.Done():
			return false, fmt.Errorf("waiting for interface %s to be up: %w", name, context.Cause(ctx))
		}
	}
}

// carries reports whether an interface is up. Drivers without carrier detection
// say "unknown" for ever.
func carries(a *netlink.LinkAttrs) bool {
	return a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown && a.Flags&net.FlagUp != 0
}

// Remove deletes an interface of the caller's namespace.
func Remove(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("looking up interface %s: %w", name, err)
	}
	if err := netlink.LinkDel(l); err != nil {
		return fmt.Errorf("deleting interface %s: %w", name, err)
	}
	return nil
}
