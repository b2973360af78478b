package responder

import (
	"container/list"
	"crypto/tls"
	"net"
	"sync"
)

// connections is a listener with a bound on the connections that are open. One that comes
// when there are too many has the oldest one closed. As a request is answered at once and
// has a connection for itself, the oldest is one that sends slowly or nothing; to make new
// ones wait, as other bounds do, would let it keep them out.
type connections struct {
	net.Listener
	config *tls.Config
	most   int

	mu   sync.Mutex
	open *list.List
}

func newConnections(l net.Listener, config *tls.Config, most int) *connections {
	return &connections{Listener: l, config: config, most: most, open: list.New()}
}

// Accept implements net.Listener.
func (l *connections) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &connection{sniffed: &sniffed{Conn: accepted, config: l.config}, raw: accepted, of: l}
	if oldest := l.add(c); oldest != nil {
		// Without TLS's farewell, which could wait for a client that reads nothing.
		oldest.raw.Close()
	}
	return c, nil
}

// add adds a connection and returns the one that has to give way to it, nil if none.
func (l *connections) add(c *connection) *connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.place = l.open.PushBack(c)
	if l.open.Len() <= l.most {
		return nil
	}
	oldest := l.open.Front()
	l.open.Remove(oldest)
	return oldest.Value.(*connection)
}

// connection is one of connections.
type connection struct {
	*sniffed
	raw   net.Conn
	of    *connections
	place *list.Element
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	// Does nothing if it has been removed.
	c.of.open.Remove(c.place)
	c.of.mu.Unlock()
	return c.sniffed.Close()
}
