//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// comparison is the same work done in several ways, the first of which is the
// one that the others are compared with.
type comparison struct {
	work   string
	what   string // is measured of it
	rounds int
	ways   []way
	once   func(context.Context, way) (float64, error)
	ratios [][]float64 // to the first way in the same round, by way
	extra  [][]float64 // beyond the first way in the same round, by way
}

// bar is what a ratio must keep to. The zero value is kept by any.
type bar struct {
	least, most float64
}

func (b bar) kept(ratio float64) bool {
	return ratio >= b.least && (b.most == 0 || ratio <= b.most)
}

// words returns the bar and how the ratio stands to it.
func (b bar) words(ratio float64) (limit, verdict string) {
	switch {
	case b.least != 0:
		limit, verdict = fmt.Sprintf(">= %.2f", b.least), "under"
	case b.most != 0:
		limit, verdict = fmt.Sprintf("<= %.2f", b.most), "over"
	default:
		return "-", "-"
	}
	if b.kept(ratio) {
		verdict = "ok"
	}
	return limit, verdict
}

// measure does the rounds.
func (c *comparison) measure(ctx context.Context) error {
	c.ratios, c.extra = make([][]float64, len(c.ways)), make([][]float64, len(c.ways))
	for round := range c.rounds {
		measured := make([]float64, len(c.ways))
		for i := range c.ways {
			if round%2 == 1 {
				i = len(c.ways) - 1 - i
			}
			w := c.ways[i]
			if w.rounds != 0 && round >= w.rounds {
				continue
			}
			m, err := c.once(ctx, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			measured[i] = m
		}
		for i, m := range measured {
			if m != 0 {
				c.ratios[i] = append(c.ratios[i], m/measured[0])
				c.extra[i] = append(c.extra[i], m-measured[0])
			}
		}
	}
	return nil
}

// table prints one table of all comparisons; false if a bar was not kept.
func table(out io.Writer, all []comparison) (bool, error) {
	kept := true
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORK\tRUN\tRATIO TO BARE, OF\tMEDIAN\tMIDDLE HALF\tBAR\t")
	for _, c := range all {
		for i, way := range c.ways {
			low, median, high := quartiles(c.ratios[i])
			spread := fmt.Sprintf("%.2f to %.2f", low, high)
			if i == 0 {
				spread = "-"
			}
			limit, verdict := way.bar.words(median)
			kept = kept && way.bar.kept(median)
			fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\t%s\t%s\t%s\n", c.work, way.name, c.what, median, spread, limit, verdict)
		}
	}
	return kept, w.Flush()
}

// quartiles returns the median of v, which has at least one element, and what
// its middle half lies between.
func quartiles(v []float64) (low, median, high float64) {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return s[n/4], (s[(n-1)/2] + s[n/2]) / 2, s[n-1-n/4]
}
