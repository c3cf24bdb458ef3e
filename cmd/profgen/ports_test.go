package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A published port answers from this host while the recording goes on; port 0
// picks a free one and profgen says which.
func TestPublishedPort(t *testing.T) {
	layout := testImages(t)
	cmd := command(t, "record", "-o", filepath.Join(t.TempDir(), "profile"), "--image", layout+":nginx", "-p", "0:80")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	talk := bufio.NewReader(stderr)
	line, err := talk.ReadString('\n')
	if strings.HasPrefix(line, "recorder ebpf") {
		line, err = talk.ReadString('\n')
	}
	m := regexp.MustCompile(`^port 80 is at (127\.0\.0\.1:\d+)\n$`).FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("second line on stderr: %q, %v", line, err)
	}
	var page string
	eventually(t, "the page comes through the published port", func() bool {
		resp, err := http.Get("http://" + m[1] + "/")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		page = string(body)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	if !strings.Contains(page, "Welcome to nginx") {
		t.Errorf("page: %q", page)
	}
	cmd.Process.Signal(os.Interrupt)
	rest, _ := io.ReadAll(talk)
	if err := cmd.Wait(); err != nil || !strings.Contains(string(rest), "next: docker run") {
		t.Errorf("after an interrupt: %v\n%s", err, rest)
	}
}
