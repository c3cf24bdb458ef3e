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
//
// Throughput is what counts, and what else runs on the machine disturbs it more
// than anything; the processor time of the two it disturbs little. Most of what is
// lost is lost to the tracepoint itself, whatever is attached to it: that is a row
// of its own.
func redis() []comparison {
	bare := way{name: "bare"}
	recorded := way{name: "recorded", recorder: &ebpf.Options{}}
	fast := recorded
	fast.bar = bar{least: 0.95}
	all := way{name: "recorded, files too", recorder: &full, bar: bar{least: 0.90}}
	return []comparison{
		{
			work: "redis-benchmark", what: "throughput of SET and GET", rounds: 32, once: redisRun(requestsPerSecond),
			ways: []way{
				bare, fast, all, nothing,
				{name: "notified, as a user can", notified: true, rounds: 8},
				{name: "strace -f", strace: true, rounds: 2},
				{name: "strace --seccomp-bpf, of files and processes", strace: true, filtered: true, rounds: 8},
			},
		},
		{
			work: "redis-benchmark", what: "processor time of server and client", rounds: 11, once: redisRun(bothTime),
			ways: []way{bare, recorded, {name: all.name, recorder: &full}, nothing},
		},
	}
}

// redisRun returns a function that measures a new server.
func redisRun(measure func(ctx context.Context, port string, requests int) (float64, error)) func(context.Context, way) (float64, error) {
	return func(ctx context.Context, w way) (measured float64, err error) {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		requests := 20_000
		if w.strace && !w.filtered {
			requests = 4_000
		}
		check := func(ctx context.Context) (err error) {
			if err := answers(ctx, net.JoinHostPort("127.0.0.1", port)); err != nil {
				return err
			}
			measured, err = measure(ctx, port, requests)
			return err
		}
		server := []string{"redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"}
		_, err = w.run(ctx, server, "listen", check)
		return measured, err
	}
}

func requestsPerSecond(ctx context.Context, port string, requests int) (float64, error) {
	perSecond, _, err := drive(ctx, port, requests)
	return perSecond, err
}

// bothTime is the processor time that server and client have used for the
// requests, in seconds.
func bothTime(ctx context.Context, port string, requests int) (float64, error) {
	before, err := used(ctx, port)
	if err != nil {
		return 0, err
	}
	_, client, err := drive(ctx, port, requests)
	if err != nil {
		return 0, err
	}
	after, err := used(ctx, port)
	return client + after - before, err
}

// drive makes the requests; it returns how many a second were answered, and the
// processor time that the client has used, in seconds.
func drive(ctx context.Context, port string, requests int) (perSecond, client float64, err error) {
	cmd := exec.CommandContext(ctx, "redis-benchmark", "-h", "127.0.0.1", "-p", port, "-t", "set,get",
		"-c", "20", "-n", strconv.Itoa(requests), "--csv")
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	perSecond, err = throughput(string(out))
	return perSecond, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), err
}

func used(ctx context.Context, port string) (float64, error) {
	out, err := exec.CommandContext(ctx, "redis-cli", "-p", port, "info", "cpu").Output()
	if err != nil {
		return 0, fmt.Errorf("redis-cli: %w", err)
	}
	return processorTime(string(out))
}

// processorTime returns what a server has used in user and kernel mode, in
// seconds, as the INFO command of redis has it.
func processorTime(info string) (float64, error) {
	total, found := 0.0, 0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != "used_cpu_sys" && name != "used_cpu_user" {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("redis INFO: %s: %q", name, value)
		}
		total, found = total+seconds, found+1
	}
	if found != 2 {
		return 0, errors.New("redis INFO does not tell the processor time used")
	}
	return total, nil
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
