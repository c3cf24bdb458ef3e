package sandbox

import (
	"errors"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// What is done to a thread is never done to the first, which stays what it was
// made and is what others see of the process.
func TestOnThreadSparesTheFirstThread(t *testing.T) {
	const many = 100 // at the same time: more than there are threads at rest
	var together, done sync.WaitGroup
	together.Add(many)
	for range many {
		done.Go(func() {
			err := onThread(func() error {
				together.Done()
				together.Wait()
				if unix.Gettid() == os.Getpid() {
					return errors.New("f was called on the first thread")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
}
