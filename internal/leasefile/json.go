package leasefile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxJSON bounds a JSON file, which is held in memory as a whole.
const maxJSON = 64 << 20

// readJSON reads our own JSON, an array of objects or one object after the
// other.
func (t *table) readJSON(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err != nil {
		return err
	}
	if len(data) > maxJSON {
		return fmt.Errorf("the file is larger than %d MiB", maxJSON>>20)
	}
	data = bytes.TrimPrefix(data, bom)
	dec := json.NewDecoder(bytes.NewReader(data))
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("[")) {
		if _, err := dec.Token(); err != nil {
			return err
		}
	}
	pos := position{data: data, line: 1}
	for dec.More() {
		start := dec.InputOffset()
		start += int64(len(data[start:]) - len(bytes.TrimLeft(data[start:], " \t\r\n,")))
		var rec record
		err := dec.Decode(&rec)
		var wrongType *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrongType) && wrongType.Field == "":
			t.problem(pos.at(start), "the record is not an object")
			continue
		case errors.As(err, &wrongType):
			t.problem(pos.at(start), "%s is not a string", wrongType.Field)
			continue
		case err != nil:
			t.problem(pos.at(start), "the JSON is wrong, and the rest of the file was not read: %v", err)
			return nil
		}
		l, err := rec.lease()
		if err != nil {
			t.problem(pos.at(start), "%s", err)
			continue
		}
		if err := t.once(pos.at(start), l); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		t.problem(pos.at(int64(len(data))), "the JSON is cut off: %v", err)
	}
	return nil
}

// position counts lines up to ever greater offsets.
type position struct {
	data   []byte
	offset int64
	line   int
}

func (p *position) at(offset int64) int {
	p.line += bytes.Count(p.data[p.offset:offset], []byte("\n"))
	p.offset = offset
	return p.line
}

func writeJSON(w *bufio.Writer, leases []Lease) {
	for i, l := range leases {
		if i == 0 {
			w.WriteString("[\n")
		} else {
			w.WriteString(",\n")
		}
		// Strings alone: Marshal has nothing to refuse.
		b, _ := json.Marshal(recordOf(l))
		w.Write(b)
	}
	if len(leases) == 0 {
		w.WriteString("[")
	}
	w.WriteString("\n]\n")
}
