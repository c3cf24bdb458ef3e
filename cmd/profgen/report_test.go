package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// frame shows the page as wide as a screen is: a browser's window is never as
// narrow as a phone. What the probe in it finds is the title.
const frame = `<!DOCTYPE html><html><head><meta name="color-scheme" content="light dark"><title></title></head><body style="margin:0">
<iframe src="report.html" style="border:0;width:%dpx;height:880px"></iframe>
<script>addEventListener("message", e => { document.title = e.data; });</script></body></html>`

// probe is what a reader does, as a script at the end of the page: it searches,
// by the keyboard, and looks at what is shown.
const probe = `<script>
const out = [], row = n => [...document.querySelectorAll("#calls tbody tr")].filter(r => !r.hidden).length;
addEventListener("load", () => setTimeout(() => {
	const all = row(), t = performance.getEntriesByType("navigation")[0];
	document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true}));
	out.push("focus=" + document.activeElement.id);
	find.value = "clone"; find.dispatchEvent(new Event("input"));
	out.push("found=" + (row() > 0 && row() < all));
	find.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
	out.push("all=" + (row() === all));
	out.push("fits=" + (document.documentElement.scrollWidth <= innerWidth));
	out.push("names=" + [...document.querySelectorAll("a, input, summary, [tabindex]")].every(e => (e.textContent || document.querySelector("label[for=" + e.id + "]").textContent).trim()));
	out.push("dark=" + (getComputedStyle(document.body).backgroundColor === "rgb(20, 24, 28)"));
	out.push("ms=" + Math.round(t.loadEventEnd - t.startTime));
	parent.postMessage(out.join(" "), "*");
}, 0));
</script>`

// The report works in a real browser, on a phone and on a desk, in light and
// dark: nothing is wider than the screen, the search works by keyboard, and the
// console stays silent.
func TestReportInABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: scripts/install-missing test installs it", err)
	}
	page := reportOf(t, "../../testdata/golden/scan-and-record.txtar")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.html"), bytes.Replace(page, []byte("</body>"), []byte(probe+"</body>"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		width int
		flags []string
		dark  bool
	}{{390, nil, false}, {1280, []string{"--force-dark-mode", "--blink-settings=preferredColorScheme=0"}, true}} {
		file := filepath.Join(dir, fmt.Sprintf("%d.html", tt.width))
		if err := os.WriteFile(file, fmt.Appendf(nil, frame, tt.width), 0o644); err != nil {
			t.Fatal(err)
		}
		args := append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--user-data-dir=" + t.TempDir(),
			"--window-size=1300,900", "--virtual-time-budget=5000", "--dump-dom",
		}, tt.flags...)
		cmd := exec.CommandContext(t.Context(), browser, append(args, "file://"+file)...)
		var dom, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &dom, &log
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		_, title, _ := strings.Cut(dom.String(), "<title>")
		title, _, _ = strings.Cut(title, "</title>")
		want := fmt.Sprintf("focus=find found=true all=true fits=true names=true dark=%t ms=", tt.dark)
		if !strings.HasPrefix(title, want) {
			t.Errorf("%d wide: %s; want %s", tt.width, title, want)
		}
		if strings.Contains(log.String(), "CONSOLE") {
			t.Errorf("the console says:\n%s", log.String())
		}
	}
}

// reportOf is the report of the evidence in a golden document.
func reportOf(t *testing.T, document string) []byte {
	t.Helper()
	ar, err := txtar.ParseFile(document)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range ar.Files {
		if f.Name == "evidence.jsonl" {
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []byte(profgen(t, "report", dir))
}
