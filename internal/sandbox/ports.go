package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Port publishes a TCP port of the container on the host's loopback interface.
type Port struct{ Host, Container uint16 }

// ParsePort reads HOST:CONTAINER, as docker run -p has it.
func ParsePort(s string) (Port, error) {
	host, container, ok := strings.Cut(s, ":")
	h, errH := strconv.ParseUint(host, 10, 16)
	c, errC := strconv.ParseUint(container, 10, 16)
	if !ok || errH != nil || errC != nil || c == 0 {
		return Port{}, fmt.Errorf("port %q: want HOST:CONTAINER, such as 8080:80", s)
	}
	return Port{uint16(h), uint16(c)}, nil
}

// listen listens for the published ports on the host's 127.0.0.1 and says
// where. What connects waits until the container is there.
func (c *Container) listen() ([]*net.TCPListener, error) {
	var out []*net.TCPListener
	for _, p := range c.Ports {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(p.Host)})
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("publish port %d: %w", p.Container, err)
		}
		out = append(out, l)
		if c.Published != nil {
			c.Published(p, l.Addr())
		}
	}
	return out, nil
}

func closeAll(listeners []*net.TCPListener) {
	for _, l := range listeners {
		l.Close()
	}
}

// serve forwards what connects into the container, until that has ended.
func (c *Container) serve(listeners []*net.TCPListener) {
	for i, l := range listeners {
		go func() {
			for {
				conn, err := l.AcceptTCP()
				if err != nil {
					return // closed
				}
				go c.forward(conn, c.Ports[i].Container)
			}
		}()
	}
	go func() {
		<-c.guard.ended
		closeAll(listeners)
	}()
}

// forward joins conn to the port inside. A port that nobody listens on shows
// as a closed connection.
func (c *Container) forward(conn *net.TCPConn, port uint16) {
	defer conn.Close()
	var inside *net.TCPConn
	err := c.inNetwork(context.Background(), func() (err error) { // ends with the container at the latest
		inside, err = net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
		return err
	})
	if err != nil {
		return
	}
	defer inside.Close()
	var both sync.WaitGroup
	both.Go(func() { pipe(inside, conn) })
	both.Go(func() { pipe(conn, inside) })
	both.Wait()
}

// pipe copies one direction and passes its end on, so that protocols that
// close one side first work.
func pipe(to, from *net.TCPConn) {
	io.Copy(to, from) // an error ends the direction as its end does
	to.CloseWrite()
}
