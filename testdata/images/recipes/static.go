// Command static answers every request with one line, on port 8080 or the address given.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	addr := ":8080"
	if len(os.Args) > 1 {
		addr = os.Args[1]
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "static") })
	log.Fatal(http.ListenAndServe(addr, nil))
}
