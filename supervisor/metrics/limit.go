package metrics

import (
	"net"
	"sync"
)

// limited closes connections that are one too many.
type limited struct {
	net.Listener
	free chan struct{} // holds one for each connection that may still come
}

func limit(l net.Listener, most int) *limited {
	free := make(chan struct{}, most)
	for range most {
		free <- struct{}{}
	}
	return &limited{l, free}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case <-l.free:
			return &counted{Conn: c, done: func() { l.free <- struct{}{} }}, nil
		default:
			c.Close()
		}
	}
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	once sync.Once
	done func()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.done)
	return err
}
