package profiles

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dialtone/internal/config"
)

// The functions here check a text that a word was given, and turn it into what
// the phone reads. Their errors continue "NAME ": "takes …, not …".

func numberIn(least, most int) func(string) (string, error) {
	return func(s string) (string, error) {
		n, err := strconv.ParseUint(s, 10, 31)
		if err != nil || int(n) < least || int(n) > most {
			return s, fmt.Errorf("takes a whole number from %d to %d, not %q", least, most, s)
		}
		return s, nil
	}
}

func onOff(s string) (string, error) {
	if s != "on" && s != "off" {
		return s, fmt.Errorf("takes true or false, not %q", s)
	}
	return s, nil
}

// oneOf takes one of the names in any case.
func oneOf(names ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, s) })
		if i < 0 {
			return s, fmt.Errorf("takes one of %s, not %q", strings.Join(names, ", "), s)
		}
		return names[i], nil
	}
}

// seconds takes a duration, or a number of seconds.
func seconds(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 31); err == nil {
		return s, nil
	}
	d, err := config.ParseDuration(s)
	if err != nil || d < 0 {
		return s, fmt.Errorf(`takes seconds, or a duration such as "1h", not %q`, s)
	}
	return strconv.Itoa(int(d.Seconds())), nil
}
