package inspect

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// Dial connects in and out to a port on loopback, until the other side closes.
// The port is a number, or the path of the file that Listen wrote.
func Dial(port string, in io.Reader, out io.Writer) error {
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		text, err := os.ReadFile(port)
		if err != nil {
			return fmt.Errorf("inspect: dial: %q is neither a port nor its file: %w", port, err)
		}
		port = strings.TrimSpace(string(text))
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("inspect: dial: %w", err)
	}
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.Copy(conn, in)
		// The answer may still be on its way.
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	if _, err := io.Copy(out, conn); err != nil {
		return fmt.Errorf("inspect: dial: %w", err)
	}
	return nil
}
