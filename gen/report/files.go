package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/policy"
)

// node is a folder or a rule of the tree of files.
type node struct {
	Name     string
	Perms    string
	Owner    bool
	Pattern  bool
	Open     bool
	Count    int // rules below
	Children []*node
}

// files makes a tree of the rules for files.
func (r *reporter) files() {
	f := r.policy.Files
	if !f.Confined {
		r.page.FilesNote = "The use of files is not confined beyond what docker-default refuses: no recording looked at all of it."
		return
	}
	patterns := 0
	root := &node{}
	for _, rule := range f.Rules {
		if rule.Name.Pattern() {
			patterns++
		}
		root.add(strings.Split(strings.TrimPrefix(rule.Name.String(), "/"), "/"), rule)
	}
	root.sum()
	r.page.FilesNote = fmt.Sprintf("%d rules, %d of them patterns that stand for more than one name. All other files are refused.", len(f.Rules), patterns)
	r.page.Tree = root.Children
	r.page.Prices = slices.DeleteFunc(slices.Clone(r.beside.Prices), func(p policy.Price) bool { return len(p.Files) == 0 })
	if r.beside.Prices != nil && len(r.page.Prices) == 0 {
		r.page.FilesNote += " The patterns admit no file of the image that the workload did not use."
	}
}

// add puts a rule under its folders; the last component of a folder's own rule is
// empty.
func (n *node) add(components []string, rule policy.FileRule) {
	name := components[0]
	if len(components) == 1 {
		if name == "" {
			name = "(the folder itself)"
		}
		n.Children = append(n.Children, &node{Name: name, Perms: rule.Perms, Owner: rule.Owner, Pattern: rule.Name.Pattern()})
		return
	}
	i := slices.IndexFunc(n.Children, func(c *node) bool { return c.Name == name+"/" })
	if i < 0 {
		i, n.Children = len(n.Children), append(n.Children, &node{Name: name + "/"})
	}
	n.Children[i].add(components[1:], rule)
}

// sum counts the rules below, and what of permissions they have.
func (n *node) sum() int {
	if len(n.Children) == 0 {
		return 1
	}
	letters := ""
	for _, c := range n.Children {
		n.Count += c.sum()
		letters += c.Perms
	}
	n.Perms = ""
	for _, l := range "rwalkmx" {
		if strings.ContainsRune(letters, l) {
			n.Perms += string(l)
		}
	}
	slices.SortStableFunc(n.Children, func(a, b *node) int { return strings.Compare(a.Name, b.Name) })
	return n.Count
}
