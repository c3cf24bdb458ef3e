package findings

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
)

// SARIF is what code scanners read: SARIF 2.1.0, an OASIS standard,
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
const (
	sarifVersion = "2.1.0"
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

// Tool is who found something.
type Tool struct {
	Name    string // "profgen lint"
	Version string // "" leaves it out
	Rules   []Rule // every rule that was looked for, whether or not it found anything
}

// WriteSARIF writes findings as one SARIF 2.1.0 log with one run. The same
// findings give the same bytes. It refuses a finding of a rule that tool does
// not list: viewers would have no words for it.
func WriteSARIF(w io.Writer, tool Tool, all []Finding) error {
	rules := slices.SortedFunc(slices.Values(tool.Rules), func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: tool.Name, Version: tool.Version, Rules: []sarifRule{}}},
		Results: []sarifResult{}, // none is [], which says that the tool has looked
	}
	for _, r := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(r))
	}
	for _, f := range Sort(all) {
		i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == f.Rule })
		if i < 0 {
			return fmt.Errorf("write SARIF: finding of rule %q, which %s does not list", f.Rule, tool.Name)
		}
		run.Results = append(run.Results, sarifResultOf(f, i))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{sarifSchema, sarifVersion, []sarifRun{run}})
}

func sarifRuleOf(r Rule) sarifRule {
	out := sarifRule{
		ID:     r.ID,
		Short:  sarifText{r.Summary},
		Help:   sarifText{r.Remedy},
		Config: sarifConfig{string(r.Severity)},
	}
	if strings.HasPrefix(r.Source, "https://") {
		out.HelpURI = r.Source
	}
	return out
}

func sarifResultOf(f Finding, rule int) sarifResult {
	at := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{artifactURI(f.Location.File)}}}
	if f.Location.Line > 0 {
		at.Physical.Region = &sarifRegion{f.Location.Line}
	}
	if f.Location.In != "" {
		at.Logical = []sarifLogical{{f.Location.In}}
	}
	return sarifResult{
		Rule: f.Rule, RuleIndex: rule, Level: string(f.Severity),
		Message: sarifText{f.Message + "; " + f.Remedy}, Locations: []sarifLocation{at},
	}
}

// artifactURI is a file's name as a relative URI reference, or as a file URI
// where the name is absolute.
func artifactURI(name string) string {
	name = path.Clean(strings.ReplaceAll(name, `\`, "/"))
	u := url.URL{Path: name}
	if path.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}

// The part of the standard's object model that is written here, by the names
// of its properties.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string      `json:"id"`
		Short   sarifText   `json:"shortDescription"`
		Help    sarifText   `json:"help"`
		HelpURI string      `json:"helpUri,omitempty"`
		Config  sarifConfig `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		Rule      string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
)
