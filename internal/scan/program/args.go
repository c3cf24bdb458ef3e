package program

import (
	"slices"
	"strings"
)

// arg is what is known of an argument.
type arg struct {
	text string // all of it; its start if open
	open bool   // what follows is not known
	many bool   // stands for any number of arguments that begin with text; open too
}

// args are arguments in order, also the elements of an array and the fields
// that a word expands to.
type args []arg

// anything is any number of arguments of which nothing is known.
func anything() args { return args{{open: true, many: true}} }

func constant(list []string) args {
	out := make(args, len(list))
	for i, s := range list {
		out[i].text = s
	}
	return out
}

// constant returns the arguments up to the first that is not known, and
// whether there is one.
func (a args) constant() ([]string, bool) {
	var out []string
	for _, x := range a {
		if x.open {
			return out, true
		}
		out = append(out, x.text)
	}
	return out, false
}

// key is the arguments as a string that no other arguments have.
func (a args) key() string {
	var b strings.Builder
	for _, x := range a {
		b.WriteString(x.text)
		switch {
		case x.many:
			b.WriteString("\x00*")
		case x.open:
			b.WriteString("\x00?")
		}
		b.WriteString("\x00\x00")
	}
	return b.String()
}

// from returns the arguments from the i-th on; where many may come before it,
// nothing is known of them.
func (a args) from(i int) args {
	for j, x := range a {
		if j == i {
			return a[j:]
		}
		if x.many {
			return anything()
		}
	}
	return nil
}

// at returns the i-th argument, false if there is none.
func (a args) at(i int) (arg, bool) {
	for j, x := range a {
		if x.many {
			return arg{text: x.text, open: true}, true
		}
		if j == i {
			return x, true
		}
	}
	return arg{}, false
}

// values is a set of possibilities, in the order in which they were found.
type values struct {
	list []args
	full bool // there are more than are kept
}

// maxValues bounds a set. One more stands for the rest: anything.
const maxValues = 16

// add adds a possibility.
func (v *values) add(a args) {
	if len(a) > maxArgs {
		a = append(slices.Clip(a[:maxArgs]), anything()...)
	}
	if v.full || slices.ContainsFunc(v.list, func(b args) bool { return slices.Equal(a, b) }) {
		return
	}
	if len(v.list) == maxValues {
		v.full = true
		a = anything()
	}
	v.list = append(v.list, a)
}

// maxArgs bounds the arguments that are followed; maxText the bytes of each.
const (
	maxArgs = 128
	maxText = 64 << 10
)

func (v *values) addAll(w []args) {
	for _, a := range w {
		v.add(a)
	}
}

// glue joins lists as adjacent parts of a word are: the last field of one runs
// into the first of the next.
func glue(left, right args) args {
	if len(left) == 0 || len(right) == 0 {
		return slices.Concat(left, right)
	}
	last := left[len(left)-1]
	if last.open {
		last.many = last.many || right[0].many
	} else {
		last = arg{last.text + right[0].text, right[0].open, right[0].many}
	}
	if len(last.text) > maxText {
		last = arg{last.text[:maxText], true, last.many}
	}
	return slices.Concat(left[:len(left)-1], args{last}, right[1:])
}

// product joins every possibility of the left with every one of the right.
func product(left, right []args, join func(a, b args) args) []args {
	var out values
	for _, a := range left {
		for _, b := range right {
			out.add(join(a, b))
		}
	}
	return out.list
}

// concat joins lists of whole arguments.
func concat(a, b args) args { return slices.Concat(a, b) }
