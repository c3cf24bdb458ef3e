//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"strings"
	"testing"
)

// TestTable: the worked example of a noisy round, a bar kept and one missed.
func TestTable(t *testing.T) {
	ran := map[string]int{}
	c := comparison{
		work: "work", what: "time", rounds: 3,
		ways: []way{
			{name: "bare"},
			{name: "slow", bar: bar{most: 1.5}},
			{name: "slower", bar: bar{most: 1.5}},
			{name: "once", rounds: 1, bar: bar{least: 0.95}},
		},
		once: func(_ context.Context, w way) (float64, error) {
			ran[w.name]++
			took := map[string]float64{"bare": 10, "slow": 14, "slower": 16, "once": 9}[w.name]
			if w.name == "slow" && ran["slow"] == 2 {
				took = 1000
			}
			return took, nil
		},
	}
	if err := c.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	kept, err := table(&out, []comparison{c})
	if err != nil || kept {
		t.Errorf("kept %t, error %v; want bars missed", kept, err)
	}
	want := []string{
		"WORK RUN RATIO TO BARE, OF MEDIAN MIDDLE HALF BAR",
		"work bare time 1.00 - - -",
		"work slow time 1.40 1.40 to 100.00 <= 1.50 ok",
		"work slower time 1.60 1.60 to 1.60 <= 1.50 over",
		"work once time 0.90 0.90 to 0.90 >= 0.95 under",
	}
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if got := strings.Join(strings.Fields(line), " "); i >= len(want) || got != want[i] {
			t.Errorf("line %d is %q", i, got)
		}
	}
}

func TestThroughput(t *testing.T) {
	header := `"test","rps","avg_latency_ms"` + "\n"
	got, err := throughput(header + `"SET","20000.00","0.3"` + "\n" + `"GET","60000.00","0.1"` + "\n")
	if err != nil || got < 29999 || got > 30001 {
		t.Errorf("throughput of 20000 and 60000 requests per second: %v, %v; want 30000", got, err)
	}
	for _, bad := range []string{"", header, header + `"SET","20000.00"` + "\n", `"SET","x"` + "\n" + `"GET","1"` + "\n", "SET\nGET\n", `"SET","0"` + "\n" + `"GET","1"` + "\n"} {
		if got, err := throughput(bad); err == nil {
			t.Errorf("throughput of %q is %v, want an error", bad, got)
		}
	}
}

func TestProcessorTime(t *testing.T) {
	got, err := processorTime("# CPU\r\nused_cpu_sys:1.500000\r\nused_cpu_user:0.250000\r\nused_cpu_sys_children:9.0\r\n")
	if err != nil || got != 1.75 {
		t.Errorf("processor time: %v, %v; want 1.75", got, err)
	}
	for _, bad := range []string{"", "used_cpu_sys:1.0\r\n", "used_cpu_sys:1.0\r\nused_cpu_user:x\r\n"} {
		if got, err := processorTime(bad); err == nil {
			t.Errorf("processor time in %q is %v, want an error", bad, got)
		}
	}
}
