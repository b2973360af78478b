package harness

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Link is a TCP connection between a client and a server that can be cut, like the
// network of a node.
type Link struct {
	listener net.Listener
	// cut is closed when nothing is passed on any more.
	cut  chan struct{}
	once sync.Once
}

// NewLink returns a Link to an address. It ends with the test.
func NewLink(tb testing.TB, to string) *Link {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &Link{listener: listener, cut: make(chan struct{})}
	ended := make(chan struct{})
	tb.Cleanup(func() {
		close(ended)
		listener.Close()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go l.pass(client, to, ended)
		}
	}()
	return l
}

// Addr is where the client connects to.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Cut has nothing pass from now on. Connections stay open, as they do when packets
// are dropped.
func (l *Link) Cut() { l.once.Do(func() { close(l.cut) }) }

func (l *Link) pass(client net.Conn, to string, ended chan struct{}) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	closed := make(chan struct{}, 2)
	for _, way := range []struct{ from, to net.Conn }{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(&dropping{way.to, l.cut}, way.from)
			closed <- struct{}{}
		}()
	}
	select {
	case <-closed:
		select {
		case <-l.cut:
			<-ended
		default:
		}
	case <-ended:
	}
}

// dropping writes until it is cut, and then drops what it is given.
type dropping struct {
	net.Conn
	cut chan struct{}
}

// Write implements io.Writer.
func (d *dropping) Write(data []byte) (int, error) {
	select {
	case <-d.cut:
		return len(data), nil
	default:
		return d.Conn.Write(data)
	}
}
