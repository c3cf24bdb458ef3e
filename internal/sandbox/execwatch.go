package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// execWatch holds every exec of some programs on this host until it was looked
// at: fanotify(7), FAN_OPEN_EXEC_PERM. When it ends, however it ends, the kernel
// lets go of what it held.
type execWatch struct {
	file *os.File
	done chan struct{}
}

// watchExecs calls held with the id of each process that is about to exec one
// of the programs, which waits until held returns: in /proc it is still what it
// was before. The caller's own process must not exec them: until its child has, it
// stands still and could let nobody go. Programs that do not exist are left out;
// if none does, that is an error.
func watchExecs(programs []string, held func(pid int)) (*execWatch, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_UNLIMITED_QUEUE, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	if err != nil {
		return nil, fmt.Errorf("watch the container runtime: fanotify: %w; it takes root and CONFIG_FANOTIFY_ACCESS_PERMISSIONS", err)
	}
	w := &execWatch{file: os.NewFile(uintptr(fd), "fanotify"), done: make(chan struct{})}
	marked := 0
	for _, name := range programs {
		err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.file.Close()
			return nil, fmt.Errorf("watch the container runtime %s: fanotify: %w; to record what already runs, use --container", name, err)
		}
		if err == nil {
			marked++
		}
	}
	if marked == 0 {
		w.file.Close()
		return nil, fmt.Errorf("watch the container runtime: none of %q is on this host", programs)
	}
	go w.serve(held)
	return w, nil
}

// close ends the watch. Afterwards held is not called.
func (w *execWatch) close() {
	w.file.Close()
	<-w.done
}

func (w *execWatch) serve(held func(pid int)) {
	defer close(w.done)
	buf := make([]byte, 4096)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return // closed
		}
		// struct fanotify_event_metadata: length at 0, descriptor at 16, process at 20.
		for events := buf[:n]; len(events) >= 24; {
			length := binary.NativeEndian.Uint32(events)
			fd := int32(binary.NativeEndian.Uint32(events[16:]))
			pid := int32(binary.NativeEndian.Uint32(events[20:]))
			if length < 24 || int(length) > len(events) {
				break
			}
			events = events[length:]
			held(int(pid))
			w.allow(fd)
		}
	}
}

// allow lets the process go on. That fails if it was killed meanwhile.
func (w *execWatch) allow(fd int32) {
	// struct fanotify_response
	r := binary.NativeEndian.AppendUint32(nil, uint32(fd))
	w.file.Write(binary.NativeEndian.AppendUint32(r, unix.FAN_ALLOW))
	unix.Close(int(fd))
}
