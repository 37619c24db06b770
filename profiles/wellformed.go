package profiles

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxElements bounds how deep elements may nest: the phones' own files need five.
const maxElements = 100

// wellFormed reads XML as strictly as the strictest phone may: one element, and
// nothing but comments and blanks around it. The offset is that of what is wrong.
func wellFormed(body []byte) (offset int, err error) {
	body, bom := bytes.CutPrefix(body, []byte("\ufeff"))
	skipped := 0
	if bom {
		skipped = len("\ufeff")
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("it says that it is %s; phones read UTF-8", charset)
	}
	roots, depth := 0, 0
	for {
		begin := int(d.InputOffset())
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && roots == 0:
			return skipped, errors.New("there is no element in it")
		case errors.Is(err, io.EOF):
			return 0, nil
		case err != nil:
			text := err.Error()
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				text = syntax.Msg
			}
			return skipped + int(d.InputOffset()), errors.New(strings.TrimPrefix(text, "xml: "))
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			switch {
			case roots > 1:
				return skipped + begin, fmt.Errorf("<%s> is a second element beside the first, and there may be one", t.Name.Local)
			case depth > maxElements:
				return skipped + begin, fmt.Errorf("more than %d elements are nested", maxElements)
			}
			for i, a := range t.Attr {
				for _, b := range t.Attr[:i] {
					if a.Name == b.Name {
						return skipped + begin, fmt.Errorf("<%s> has %s twice", t.Name.Local, a.Name.Local)
					}
				}
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return skipped + begin, errors.New("there is text outside of the element")
			}
		}
	}
}
