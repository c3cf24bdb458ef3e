package report

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// charts draws L ⊆ E ⊆ U and saturation. What goes into the pictures are numbers
// and words of this package.
func (r *reporter) charts() {
	observed, reachable := map[string]bool{}, map[string]bool{}
	for _, f := range r.set.Facts {
		f, ok := f.(evidence.Syscall)
		switch {
		case !ok || f.Phase == evidence.Runtime:
		case f.Basis == evidence.Observed:
			observed[f.Name] = true
		case f.Basis == evidence.Reachable:
			reachable[f.Name] = true
		}
	}
	bars := []bar{{"observed", len(observed), "sa"}, {"in the profile", len(r.own), "sb"}}
	if len(reachable) > 0 {
		bars = append(bars, bar{"reachable", len(reachable), "sc"})
	}
	bars = append(bars, bar{"docker-default", len(r.docker), "sc"}, bar{"all there are", len(r.known), "sc"})
	r.page.Coverage = drawBars("System calls: observed, in the profile, reachable, in docker-default, all", bars)
	r.saturate()
}

// bar is one of several that begin at the same line.
type bar struct {
	label string
	n     int
	class string
}

func drawBars(title string, bars []bar) template.HTML {
	const left, width, height = 130, 420, 26
	most := 1
	for _, b := range bars {
		most = max(most, b.n)
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg viewBox="0 0 %d %d" width="%d" role="img" aria-label="%s">`, left+width+50, height*len(bars), left+width+50, title)
	for i, b := range bars {
		w := width * b.n / most
		fmt.Fprintf(&out, `<text x="0" y="%d">%s</text><rect class="%s" x="%d" y="%d" width="%d" height="18" rx="2"/><text x="%d" y="%d">%d</text>`,
			i*height+17, b.label, b.class, left, i*height+3, max(w, 1), left+max(w, 1)+6, i*height+17, b.n)
	}
	out.WriteString("</svg>")
	return template.HTML(out.String())
}

// saturate shows how much further recordings added or, of one, its phases.
func (r *reporter) saturate() {
	if len(r.set.Runs) > 1 {
		var runs []evidence.Set
		for _, run := range r.set.Runs {
			runs = append(runs, evidence.Set{Facts: run.Facts})
		}
		s := evidence.Compare(runs)
		total, points := 0, []int{}
		for _, n := range s.New {
			total += n
			points = append(points, total)
		}
		r.page.SaturationNote = fmt.Sprintf("Facts known after each of %d recordings, in no order of time. %d facts are in all of them; the last that added one is number %d.", s.Runs, s.Always, s.LastNew)
		r.page.Saturation = drawLine("Facts known after each recording", points)
		return
	}
	r.page.SaturationNote = "System calls that each phase of the recording added to those before it. Record with --runs 3 to see whether recordings agree."
	phases := []evidence.Phase{evidence.Start, evidence.Serve, evidence.Exec, evidence.Stop}
	seen := map[string]bool{}
	var bars []bar
	for _, p := range phases {
		n := 0
		for _, f := range r.set.Facts {
			if f, ok := f.(evidence.Syscall); ok && f.Basis == evidence.Observed && f.Phase == p && !seen[f.Name] {
				seen[f.Name] = true
				n++
			}
		}
		bars = append(bars, bar{string(p), n, "sa"})
	}
	r.page.Saturation = drawBars("System calls that each phase added", bars)
}

func drawLine(title string, points []int) template.HTML {
	const left, width, top, height = 50, 500, 10, 140
	most := points[len(points)-1]
	x := func(i int) int { return left + width*i/max(len(points)-1, 1) }
	y := func(n int) int { return top + height - height*n/max(most, 1) }
	var out, line strings.Builder
	fmt.Fprintf(&out, `<svg viewBox="0 0 %d %d" width="%d" role="img" aria-label="%s">`, left+width+20, top+height+30, left+width+20, title)
	fmt.Fprintf(&out, `<path class="sl" d="M%d %dV%dH%d"/><text x="0" y="%d">%d</text><text x="0" y="%d">0</text>`, left, top, top+height, left+width, top+12, most, top+height)
	for i, n := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&line, "%s%d %d", command, x(i), y(n))
		fmt.Fprintf(&out, `<circle class="sa" cx="%d" cy="%d" r="4"/>`, x(i), y(n))
	}
	fmt.Fprintf(&out, `<path class="sp" d="%s"/><text x="%d" y="%d">1</text><text x="%d" y="%d" text-anchor="end">%d recordings</text></svg>`,
		line.String(), left, top+height+20, left+width, top+height+20, len(points))
	return template.HTML(out.String())
}
