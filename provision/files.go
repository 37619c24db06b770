package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"syscall"
)

// files is files_dir. It is opened anew for each file, so that a disk that is
// mounted later, or a folder that is replaced, is seen.
type files struct{ dir func() string }

// has reports whether name, a slash path under files_dir, is a file that would be served.
func (f files) has(name string) bool {
	if !servable(name) {
		return false
	}
	root, err := os.OpenRoot(f.dir())
	if err != nil {
		return false
	}
	defer root.Close()
	info, err := root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// open gives the file of a slash path under files_dir. The error is a *Refusal.
func (f files) open(name string) (*Answer, error) {
	if !servable(name) {
		return nil, refuse(http.StatusNotFound, "%q is not served: a name has no empty part and none that begins with a dot", name)
	}
	root, err := os.OpenRoot(f.dir())
	if err != nil {
		return nil, refuseFile(name, err)
	}
	defer root.Close()
	// Without O_NONBLOCK a FIFO that someone put there would hold the request
	// until a writer comes.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, refuseFile(name, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		file.Close()
		return nil, refuseFile(name, err)
	}
	a := &Answer{
		Content:     file,
		Size:        info.Size(),
		ModTime:     info.ModTime(),
		ContentType: "application/octet-stream",
	}
	if strings.EqualFold(path.Ext(name), ".xml") {
		a.ContentType = "text/xml; charset=utf-8"
	}
	// The inode tells a file that was renamed into place within the tick of the clock.
	var inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	a.ETag = fmt.Sprintf(`"%x-%x-%x"`, info.Size(), info.ModTime().UnixNano(), inode)
	return a, nil
}

// servable reports whether name can be a file of the tree: no "..", no dot-file,
// no empty part, nothing absolute.
func servable(name string) bool {
	return fs.ValidPath(name) && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.")
}

// refuseFile says why a file is not served without saying where it is kept.
func refuseFile(name string, err error) *Refusal {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return refuse(http.StatusForbidden, "the appliance may not read %q: make the file readable for its user", name)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EIO):
		return refuse(http.StatusServiceUnavailable, "%q cannot be read now: try again", name)
	}
	// A link that leads out of files_dir looks like any other missing file.
	return refuse(http.StatusNotFound, "there is no file %q: put it into files_dir", name)
}
