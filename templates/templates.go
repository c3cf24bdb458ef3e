// Package templates holds the wording of emitted files that are not plain
// data: text/template sources, embedded, and nothing else. It does not parse
// them: the emitter that fills a template does, and knows what goes in.
package templates

import _ "embed"

//go:embed apparmor.tmpl
var apparmor string

//go:embed capabilities.tmpl
var capabilities string

//go:embed report.html.tmpl
var report string

//go:embed badge.svg.tmpl
var badge string

// Report returns the source of the report, for html/template, which escapes.
func Report() string { return report }

// Badge returns the source of a badge in SVG, for html/template.
func Badge() string { return badge }

// AppArmor returns the source of an AppArmor profile. gen/apparmor fills it,
// with values that it has escaped: the template itself escapes nothing.
func AppArmor() string { return apparmor }

// Capabilities returns the source of the list of a profile's capabilities.
// gen/caps fills it with the sorted names.
func Capabilities() string { return capabilities }
