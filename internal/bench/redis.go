//go:build linux && (amd64 || arm64)

package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/profgen/profgen/internal/record/ebpf"
)

// redis is a server that does little but system calls, driven over the
// loopback. The client is no part of the recording, but makes more calls than
// the server does, and pays for each what a recorder costs bystanders.
func redis() comparison {
	return comparison{
		work: "redis-benchmark", what: "throughput of SET and GET", rounds: 32, once: redisRun,
		ways: []way{
			{name: "bare"},
			{name: "recorded", recorder: &ebpf.Options{}, bar: bar{least: 0.95}},
			{name: "strace -f", strace: true, rounds: 2},
		},
	}
}

// redisRun returns the requests per second that a new server answers.
func redisRun(ctx context.Context, w way) (float64, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	requests := 20_000
	if w.strace {
		requests = 4_000
	}
	var rps float64
	check := func(ctx context.Context) (err error) {
		if err := answers(ctx, net.JoinHostPort("127.0.0.1", port)); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "redis-benchmark", "-h", "127.0.0.1", "-p", port, "-t", "set,get",
			"-c", "20", "-n", strconv.Itoa(requests), "--csv")
		out, err := cmd.Output()
		if err == nil {
			rps, err = throughput(string(out))
		}
		return err
	}
	server := []string{"redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"}
	if _, err := w.run(ctx, server, "listen", check); err != nil {
		return 0, err
	}
	return rps, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// answers waits until a redis server answers.
func answers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := ping(addr)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func ping(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "+PONG\r\n" {
		err = fmt.Errorf("it answers %q to PING", line)
	}
	return err
}

// throughput returns the requests per second over all tests that
// redis-benchmark --csv reports: each made as many.
func throughput(report string) (float64, error) {
	r := csv.NewReader(strings.NewReader(report))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	tests, time := 0.0, 0.0
	for _, row := range rows {
		if len(row) < 2 || row[0] != "SET" && row[0] != "GET" {
			continue
		}
		rps, err := strconv.ParseFloat(row[1], 64)
		if err != nil || rps <= 0 {
			return 0, fmt.Errorf("redis-benchmark: %s requests per second: %q", row[0], row[1])
		}
		tests, time = tests+1, time+1/rps
	}
	if tests != 2 {
		return 0, errors.New("redis-benchmark does not report on both SET and GET")
	}
	return tests / time, nil
}
