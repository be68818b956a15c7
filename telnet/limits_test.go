package telnet

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestSocketPathsThatCannotBe(t *testing.T) {
	for path, want := range map[string]string{
		"":                              "is empty",
		"/a\x00b":                       "NUL",
		"/" + strings.Repeat("s", 107):  "has 108 bytes, the kernel takes 107: give a shorter one with -socket",
		"/" + strings.Repeat("é", 1000): "has 2001 bytes",
	} {
		if err := CheckSocketPath(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", path, err)
		}
	}
	if err := CheckSocketPath("/" + strings.Repeat("s", 106)); err != nil {
		t.Error(err)
	}
}

// A secret that the one end refuses is one that the other cannot be asked for.
func TestASecretIsWhatAClientCanSend(t *testing.T) {
	for _, secret := range []string{"", "a\nb", "a\r", "a\x00b", "a\xffb", strings.Repeat("x", MaxSecret+1)} {
		err := CheckSecret([]byte(secret))
		if err == nil || len(secret) > 0 && strings.Contains(err.Error(), secret) {
			t.Errorf("%.10q: %v", secret, err)
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := NewClient(ours)
		defer c.Close()
		if err := c.Authenticate(t.Context(), []byte(secret)); !errors.Is(err, ErrNotAuthenticated) {
			t.Errorf("%.10q is sent: %v", secret, err)
		}
	}
	for _, secret := range []string{"x", " two words ", "\tä漢\u202e", "\ufeffx", strings.Repeat("x", MaxSecret)} {
		if err := CheckSecret([]byte(secret)); err != nil {
			t.Errorf("%.10q: %v", secret, err)
		}
		path, stop := start(t, &Server{Secret: []byte(secret)})
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c := NewClient(conn)
		if err := c.Authenticate(t.Context(), []byte(secret)); err != nil {
			t.Errorf("%.10q: %v", secret, err)
		}
		c.Close()
		stop()
	}
	path, _ := start(t, &Server{})
	if got := talk(t, path, "\ufeffsecret\n!!quit\n"); !strings.Contains(got, bannerOK) {
		t.Errorf("a file with a byte order mark that is sent: %q", got)
	}
}
