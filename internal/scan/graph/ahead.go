package graph

// analyse finds out the values in all functions that calls come from, on all
// processors: each is about to be asked for.
func analyse(calls []Edge) {
	parallel(len(calls), func(i int) { calls[i].From.Func.Values() })
}
