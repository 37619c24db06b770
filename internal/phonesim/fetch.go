package phonesim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

// fetcher gets files by HTTP, HTTPS and TFTP from the phone's own address.
type fetcher struct {
	source    netip.Addr // zero: as the kernel picks
	resolver  *net.Resolver
	userAgent string
	// idle is how long a transfer may stand still.
	idle      time.Duration
	blockSize int // of TFTP; 0 negotiates none
	client    *http.Client
	// login gives what the phone answers a challenge with at the moment, an empty
	// user for nothing; nil is nothing too.
	login func() (user, password string)
}

// answer is how a transfer ended.
type answer struct {
	status string
	ok     bool
	bytes  int64
	// chunked: the server did not say how long its body is.
	chunked bool
}

func newFetcher(source netip.Addr, dns []netip.Addr, userAgent string, idle time.Duration, blockSize int, certificate *tls.Certificate) *fetcher {
	f := &fetcher{source: source, resolver: net.DefaultResolver, userAgent: userAgent, idle: idle, blockSize: blockSize}
	dialer := &net.Dialer{Timeout: idle}
	if source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		f.resolver = leasedResolver(source, dns)
	}
	dialer.Resolver = f.resolver
	// Phones check a certificate only when their settings tell them to.
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	if certificate != nil {
		// Theirs they show whatever authorities the server names.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	f.client = &http.Client{Transport: &http.Transport{
		DialContext:        dialer.DialContext,
		DisableCompression: true,
		TLSClientConfig:    config,
	}}
	return f
}

// leasedResolver asks the name servers of the lease, from the phone's
// address: a name may mean something else to the machine underneath.
func leasedResolver(source netip.Addr, servers []netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if len(servers) == 0 {
			return nil, errors.New("the lease names no DNS server")
		}
		d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
		if strings.HasPrefix(network, "tcp") {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		}
		return d.DialContext(ctx, network, netip.AddrPortFrom(servers[0], 53).String())
	}}
}

func (f *fetcher) close() { f.client.CloseIdleConnections() }

// get writes the file at u to w, of which it takes at most limit bytes.
func (f *fetcher) get(ctx context.Context, u *url.URL, w io.Writer, limit int64) answer {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	standstill := fmt.Errorf("nothing came for %s", f.idle)
	watch := time.AfterFunc(f.idle, func() { cancel(standstill) })
	defer watch.Stop()

	body := &bounded{ctx: ctx, w: w, left: limit, progress: func() { watch.Reset(f.idle) }}
	var a answer
	var err error
	if u.Scheme == "tftp" {
		a, err = f.tftp(ctx, u, body)
	} else {
		a, err = f.http(ctx, u, body)
	}
	a.bytes = body.n
	if err != nil {
		a.ok = false
		a.status = reason(ctx, err)
	}
	a.status = printable(a.status)
	return a
}

// bounded passes on what it gets while ctx lasts and the limit is not reached.
type bounded struct {
	ctx      context.Context
	w        io.Writer
	n, left  int64
	progress func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if int64(len(p)) > b.left {
		return 0, fmt.Errorf("larger than %s", size(b.n+b.left))
	}
	n, err := b.w.Write(p)
	b.n += int64(n)
	b.left -= int64(n)
	b.progress()
	return n, err
}

func (f *fetcher) http(ctx context.Context, u *url.URL, w io.Writer) (answer, error) {
	response, err := f.do(ctx, u, "")
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode == http.StatusUnauthorized && f.login != nil {
		user, password := f.login()
		if authorization := authorize(response.Header.Values("WWW-Authenticate"), user, password, u); authorization != "" {
			response.Body.Close()
			if response, err = f.do(ctx, u, authorization); err != nil {
				return answer{}, err
			}
		}
	}
	defer response.Body.Close()
	a := answer{status: response.Status, ok: response.StatusCode == http.StatusOK, chunked: response.ContentLength < 0}
	if !a.ok {
		return a, nil
	}
	if _, err := io.Copy(w, response.Body); err != nil {
		return a, fmt.Errorf("reading the body: %w", err)
	}
	return a, nil
}

func (f *fetcher) do(ctx context.Context, u *url.URL, authorization string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", f.userAgent)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return f.client.Do(request)
}

func (f *fetcher) tftp(ctx context.Context, u *url.URL, w io.Writer) (answer, error) {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = "69"
	}
	ips, err := f.resolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return answer{}, err
	}
	client, err := tftp.NewClient(net.JoinHostPort(ips[0].Unmap().String(), port))
	if err != nil {
		return answer{}, err
	}
	const tries = 4
	client.SetTimeout(max(f.idle/tries, time.Millisecond))
	client.SetRetries(tries - 1)
	client.SetBackoff(func(int) time.Duration { return 0 })
	if f.blockSize > 0 {
		client.SetBlockSize(f.blockSize)
	}
	if f.source.IsValid() {
		if err := client.SetLocalAddr(f.source.String()); err != nil {
			return answer{}, err
		}
	}
	name := strings.TrimPrefix(u.Path, "/")
	if u.RawQuery != "" {
		name += "?" + u.RawQuery
	}
	transfer, err := client.Receive(name, "octet")
	if err != nil {
		return answer{}, err
	}
	if _, err := transfer.WriteTo(w); err != nil {
		return answer{}, err
	}
	return answer{status: "ok", ok: true}, nil
}

// reason is an error as one line, without the port numbers and addresses that
// differ from run to run.
func reason(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		if dns.IsNotFound {
			return "looking up " + dns.Name + ": no such host"
		}
		return "looking up " + dns.Name + ": no answer from a DNS server"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		if op.Timeout() {
			return op.Op + ": no answer"
		}
		return op.Op + ": " + op.Err.Error()
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err.Error()
	}
	// pin/tftp words an ERROR packet like this.
	if code, text, ok := strings.Cut(err.Error(), ", message: "); ok {
		return "error " + strings.TrimPrefix(code, "code: ") + ": " + strings.TrimRight(text, "\x00")
	}
	return err.Error()
}
