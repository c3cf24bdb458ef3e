// Package attest writes in-toto statements about an image: what was seen of it
// (runtime-trace, of the in-toto attestation framework) and what it may do (a
// predicate of profgen's own). It signs nothing: cosign does, and [Command] is
// how.
//
// A statement is about the digest of an image's manifest, and there is none
// without it. The same input gives the same bytes; no statement has a time.
package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/formats"
)

// Types of predicates: what the statement says.
const (
	// Trace is https://github.com/in-toto/attestation/blob/main/spec/predicates/runtime-trace.md
	Trace = "https://in-toto.io/attestation/runtime-trace/v0.2"
	// Policy is the plan, with the digests of all files of the profile directory.
	Policy = "https://github.com/profgen/profgen/policy/v1"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	monitorType   = "https://github.com/profgen/profgen"
)

// ErrNoDigest is the error for an image whose manifest has no known digest.
var ErrNoDigest = errors.New("no digest of the image's manifest is known, and a statement is about one: record or scan it from an OCI layout, an OCI archive or a registry")

// statement is an in-toto Statement, v1.
type statement struct {
	Type      string     `json:"_type"`
	Subject   []resource `json:"subject"`
	Predicate string     `json:"predicateType"`
	Content   any        `json:"predicate"`
}

// resource is an in-toto ResourceDescriptor, v1.
type resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// File is a file of a profile directory.
type File struct {
	Name  string
	Bytes []byte
}

// policyPredicate is what an image may do, by the files that say so.
type policyPredicate struct {
	Plan  formats.Plan `json:"plan"`
	Files []resource   `json:"files"`
}

// PolicyPredicate is the predicate of type [Policy].
func PolicyPredicate(plan formats.Plan, files []File) any {
	out := policyPredicate{Plan: plan}
	for _, f := range files {
		out.Files = append(out.Files, resource{Name: f.Name, Digest: map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(f.Bytes))}})
	}
	slices.SortFunc(out.Files, func(a, b resource) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// tracePredicate is a runtime trace.
type tracePredicate struct {
	Monitor struct {
		Type        string         `json:"type"`
		TracePolicy map[string]any `json:"tracePolicy"`
	} `json:"monitor"`
	Process struct {
		HostID string `json:"hostID"`
		Type   string `json:"type"`
		Event  string `json:"event"`
	} `json:"monitoredProcess"`
	Log struct {
		Process    []event    `json:"process"`
		FileAccess []resource `json:"fileAccess,omitempty"`
	} `json:"monitorLog"`
}

// event is something that the workload was seen to do.
type event struct {
	Type   string         `json:"eventType"` // exec, syscall, socket, capability, listen
	Phase  evidence.Phase `json:"phase"`
	Binary string         `json:"processBinary,omitempty"`
	Detail any            `json:"detail,omitempty"` // the fact, as evidence.jsonl has it
}

// TracePredicate is the predicate of type [Trace]: what was observed, and by
// whom. Evidence names no host, so hostID is the kind of host alone.
func TracePredicate(set evidence.Set) any {
	set = set.Normalize()
	var out tracePredicate
	out.Monitor.Type = monitorType
	out.Monitor.TracePolicy = map[string]any{"sources": set.Sources, "gaps": set.Gaps}
	out.Process.Type, out.Process.HostID = monitorType+"/recording", "urn:profgen:host:unnamed"
	for _, s := range set.Sources {
		if s.Kernel != "" {
			out.Process.HostID = "urn:profgen:host:linux:" + url.PathEscape(s.Kernel)
		}
	}
	for _, s := range set.Subjects {
		out.Process.Event = s.ConfigDigest
	}
	if len(set.Runs) > 0 {
		out.Process.Event = set.Runs[0].ID
	}
	out.Log.Process = []event{}
	for _, f := range set.Facts {
		out.addFact(f)
	}
	return out
}

func (t *tracePredicate) addFact(f evidence.Fact) {
	switch f := f.(type) {
	case evidence.Executed:
		if f.Basis == evidence.Observed {
			t.Log.Process = append(t.Log.Process, event{"exec", f.Phase, f.Path.String(), nil})
		}
	case evidence.Syscall:
		t.addEvent("syscall", f.Phase, f.Basis, f)
	case evidence.Socket:
		t.addEvent("socket", f.Phase, f.Basis, f)
	case evidence.Capability:
		t.addEvent("capability", f.Phase, f.Basis, f)
	case evidence.Resource:
		if f.Kind == evidence.TCPPort || f.Kind == evidence.UDPPort {
			t.addEvent("listen", f.Phase, f.Basis, f)
		}
	case evidence.FileAccess:
		if f.Basis == evidence.Observed {
			at := url.URL{Scheme: "file", Path: string(f.Path)}
			t.Log.FileAccess = append(t.Log.FileAccess, resource{URI: at.String(), Annotations: map[string]string{"access": f.Perms, "phase": string(f.Phase)}})
		}
	}
}

func (t *tracePredicate) addEvent(kind string, phase evidence.Phase, basis evidence.Basis, fact any) {
	if basis == evidence.Observed {
		t.Log.Process = append(t.Log.Process, event{kind, phase, "", fact})
	}
}

// Statement is a predicate about the plan's image.
func Statement(plan formats.Plan, predicateType string, predicate any) ([]byte, error) {
	algorithm, hex, _ := strings.Cut(plan.Image.Digest, ":")
	if hex == "" {
		return nil, ErrNoDigest
	}
	return Encode(statement{statementType, []resource{{Name: plan.Image.Reference, Digest: map[string]string{algorithm: hex}}}, predicateType, predicate})
}

// Encode is a statement or a predicate as a file.
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return buf.Bytes(), err
}

// Command is how cosign signs a predicate in a file and attaches it to the
// image.
func Command(plan formats.Plan, predicateType, file string) (string, error) {
	if plan.Image.Digest == "" {
		return "", ErrNoDigest
	}
	return fmt.Sprintf("cosign attest --type %s --predicate %s %s@%s", predicateType, file, formats.Repository(plan.Image.Reference), plan.Image.Digest), nil
}
