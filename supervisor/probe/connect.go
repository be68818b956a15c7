package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// dialer sets no options of a connection that is closed at once.
var dialer = net.Dialer{KeepAlive: -1}

// connect connects, and hangs up.
func connect(ctx context.Context, network, address string) error {
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	c.Close()
	return nil
}

const (
	maxAnswer  = 64 << 10               // bytes that are read of an answer
	drainLimit = 100 * time.Millisecond // for the rest of it, so that the server is not cut off
)

// get asks for a URL, and is content with a status of 200 to 399. It speaks HTTP/1.1 itself,
// as far as a status is concerned: no redirects, no proxies, nothing kept open.
func get(ctx context.Context, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "80")
	}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: processmanager\r\nAccept: */*\r\nConnection: close\r\n\r\n",
		u.RequestURI(), u.Host); err != nil {
		return err
	}
	r := bufio.NewReader(io.LimitReader(c, maxAnswer))
	status, text, err := readStatus(r)
	switch {
	case err != nil:
		return err
	case status < 200 || status > 399:
		return fmt.Errorf("status %s", text)
	}
	c.SetReadDeadline(time.Now().Add(drainLimit))
	io.Copy(io.Discard, r)
	return nil
}

var errNoHTTP = errors.New("the answer is not HTTP")

// readStatus reads the status of an answer, behind those that announce it.
func readStatus(r *bufio.Reader) (status int, text string, err error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return 0, "", err
		}
		version, text, _ := strings.Cut(line, " ")
		if version != "HTTP/1.1" && version != "HTTP/1.0" {
			return 0, "", errNoHTTP
		}
		if len(text) < 3 || len(text) > 3 && text[3] != ' ' {
			return 0, "", errNoHTTP
		}
		for _, c := range []byte(text[:3]) {
			if c < '0' || c > '9' {
				return 0, "", errNoHTTP
			}
			status = 10*status + int(c-'0')
		}
		if status < 100 || status > 199 || status == 101 {
			return status, strings.TrimSpace(text), nil
		}
		for status = 0; line != ""; { // its header
			if line, err = readLine(r); err != nil {
				return 0, "", err
			}
		}
	}
}

// readLine reads a line of a header.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == io.EOF && len(line) == 0:
		return "", errors.New("the connection was closed without an answer")
	case err == io.EOF || err == bufio.ErrBufferFull:
		return "", errNoHTTP
	case err != nil:
		return "", err
	}
	return string(bytes.TrimRight(line, "\r\n")), nil
}
