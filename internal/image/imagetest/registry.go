package imagetest

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry serves an empty registry on the loopback interface, for as long as
// the test runs, and returns its host and port.
func Registry(tb testing.TB) string {
	tb.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	tb.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}
