package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

type mark string

// Secret marks the values that secret() and sensitive() give, and whatever is
// made of them: v.Mark(Secret).
const Secret = mark("secret")

const (
	maxString   = 1 << 20 // bytes that a function may make of less
	maxElements = 10_000  // of a collection that a function compares each with each
	maxJSON     = 100     // nested values, for jsondecode recurses
)

// Functions gives what an expression may call. The map is the caller's, to add
// to; the functions share this configuration's files and may be called
// concurrently. A failed call of theirs has a text that is fit to be shown, also
// where an argument is secret.
func (c *Config) Functions() map[string]function.Function {
	fs := map[string]function.Function{
		"abs":             stdlib.AbsoluteFunc,
		"ceil":            stdlib.CeilFunc,
		"chomp":           stdlib.ChompFunc,
		"chunklist":       stdlib.ChunklistFunc,
		"coalesce":        coalesceFunction(),
		"coalescelist":    stdlib.CoalesceListFunc,
		"compact":         stdlib.CompactFunc,
		"concat":          stdlib.ConcatFunc,
		"contains":        stdlib.ContainsFunc,
		"csvdecode":       c.sources.tables.function(),
		"distinct":        bounded(stdlib.DistinctFunc, fewElements),
		"element":         stdlib.ElementFunc,
		"endswith":        predicate("suffix", strings.HasSuffix),
		"file":            text("path", c.sources.file),
		"flatten":         stdlib.FlattenFunc,
		"floor":           stdlib.FloorFunc,
		"format":          bounded(stdlib.FormatFunc, formatFits),
		"formatlist":      bounded(stdlib.FormatListFunc, formatFits),
		"indent":          bounded(stdlib.IndentFunc, indentFits),
		"join":            bounded(stdlib.JoinFunc, joinFits),
		"jsondecode":      bounded(stdlib.JSONDecodeFunc, shallowJSON),
		"jsonencode":      bounded(stdlib.JSONEncodeFunc, valuesFit),
		"keys":            stdlib.KeysFunc,
		"length":          lengthFunction(),
		"lookup":          stdlib.LookupFunc,
		"lower":           stdlib.LowerFunc,
		"max":             stdlib.MaxFunc,
		"merge":           stdlib.MergeFunc,
		"min":             stdlib.MinFunc,
		"parseint":        stdlib.ParseIntFunc,
		"range":           stdlib.RangeFunc, // caps itself
		"regex":           stdlib.RegexFunc, // RE2: linear
		"regexall":        stdlib.RegexAllFunc,
		"replace":         replaceFunction(),
		"reverse":         stdlib.ReverseListFunc,
		"setintersection": stdlib.SetIntersectionFunc,
		"setsubtract":     stdlib.SetSubtractFunc,
		"setunion":        stdlib.SetUnionFunc,
		"signum":          stdlib.SignumFunc,
		"slice":           stdlib.SliceFunc,
		"sort":            stdlib.SortFunc,
		"split":           stdlib.SplitFunc,
		"startswith":      predicate("prefix", strings.HasPrefix),
		"strcontains":     predicate("substring", strings.Contains),
		"strlen":          stdlib.StrlenFunc,
		"strrev":          stdlib.ReverseFunc,
		"substr":          stdlib.SubstrFunc,
		"title":           stdlib.TitleFunc,
		"tobool":          stdlib.MakeToFunc(cty.Bool),
		"tolist":          stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
		"tomap":           stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
		"tonumber":        stdlib.MakeToFunc(cty.Number),
		"toset":           stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"tostring":        stdlib.MakeToFunc(cty.String),
		"trim":            stdlib.TrimFunc,
		"trimprefix":      stdlib.TrimPrefixFunc,
		"trimspace":       stdlib.TrimSpaceFunc,
		"trimsuffix":      stdlib.TrimSuffixFunc,
		"upper":           stdlib.UpperFunc,
		"values":          stdlib.ValuesFunc,
		"zipmap":          stdlib.ZipmapFunc,
	}
	for name, f := range fs {
		fs[name] = discreet(f)
	}
	// What these take is an expression, or secret by intention.
	fs["can"], fs["try"] = tryfunc.CanFunc, tryfunc.TryFunc
	fs["secret"] = secretFunction(c.sources.secret)
	fs["sensitive"] = sensitiveFunction()
	return fs
}

// text makes a function of a string to a string.
func text(param string, f func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: param, Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := f(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return cty.StringVal(s), nil
		},
	})
}

func secretFunction(read func(string) (string, error)) function.Function {
	plain := text("name", read)
	return function.New(&function.Spec{
		Params: plain.Params(),
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := plain.Call(args)
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return v.Mark(Secret), nil
		},
	})
}

func sensitiveFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{
			Name: "value", Type: cty.DynamicPseudoType,
			AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true,
		}},
		Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0].Mark(Secret), nil },
	})
}

func predicate(param string, holds func(s, part string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "str", Type: cty.String}, {Name: param, Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(holds(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

// coalesceFunction gives its first argument that is neither null nor "": an
// empty cell of a table is "".
func coalesceFunction() function.Function {
	given := func(args []cty.Value) []cty.Value {
		return slices.DeleteFunc(slices.Clone(args), func(v cty.Value) bool {
			return v.Type() == cty.String && v.IsKnown() && !v.IsNull() && v.AsString() == ""
		})
	}
	return function.New(&function.Spec{
		VarParam: stdlib.CoalesceFunc.VarParam(),
		Type:     func(args []cty.Value) (cty.Type, error) { return stdlib.CoalesceFunc.ReturnTypeForValues(given(args)) },
		Impl:     func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stdlib.CoalesceFunc.Call(given(args)) },
	})
}

// lengthFunction counts elements, attributes and, in a string, characters.
func lengthFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true}},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v := args[0]
			switch {
			case v.Type() == cty.String:
				return stdlib.Strlen(v)
			case v.CanIterateElements():
				return cty.NumberIntVal(int64(v.LengthInt())), nil
			}
			return cty.UnknownVal(cty.Number), function.NewArgErrorf(0, "a list, a map, an object or a text has a length")
		},
	})
}

// replaceFunction replaces a text, or what a regular expression between slashes
// matches.
func replaceFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "str", Type: cty.String}, {Name: "substring", Type: cty.String}, {Name: "replacement", Type: cty.String},
		},
		Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := replace(args[0].AsString(), args[1].AsString(), args[2].AsString())
			return cty.StringVal(s), err
		},
	})
}

func replace(s, old, with string) (string, error) {
	if len(old) < 3 || old[0] != '/' || old[len(old)-1] != '/' {
		if len(s)+strings.Count(s, old)*len(with) > maxString {
			return "", errTooLong()
		}
		return strings.ReplaceAll(s, old, with), nil
	}
	re, err := regexp.Compile(old[1 : len(old)-1])
	if err != nil {
		return "", function.NewArgError(1, err)
	}
	var out []byte
	last := 0
	for _, match := range re.FindAllStringSubmatchIndex(s, -1) {
		out = append(out, s[last:match[0]]...)
		// Each reference takes two bytes at least and gives s at most.
		if len(with)/2*len(s)+len(with) > maxString {
			return "", errTooLong()
		}
		out = re.ExpandString(out, with, s, match)
		if last = match[1]; len(out) > maxString {
			return "", errTooLong()
		}
	}
	return string(append(out, s[last:]...)), nil
}

func errTooLong() error {
	return &callError{"Result too long", fmt.Sprintf("The function would make a text of more than %d bytes.", maxString)}
}

// bounded calls check before f. It gets known values without marks.
func bounded(f function.Function, check func(args []cty.Value) error) function.Function {
	return wrapped(f, func(args []cty.Value) error {
		plain := make([]cty.Value, len(args))
		for i, arg := range args {
			plain[i], _ = arg.UnmarkDeep()
			if !plain[i].IsWhollyKnown() {
				return nil
			}
		}
		return check(plain)
	}, func(err error, _ []cty.Value) error { return err })
}

// discreet keeps the values of secret arguments out of the errors of f.
func discreet(f function.Function) function.Function {
	return wrapped(f, func([]cty.Value) error { return nil }, func(err error, args []cty.Value) error {
		if err != nil && slices.ContainsFunc(args, cty.Value.ContainsMarked) {
			return &callError{"Unsuitable secret", "The function cannot work with a secret value that it was given. " +
				"The value is not shown."}
		}
		return err
	})
}

// wrapped is f with something to do before it, and to its errors.
func wrapped(f function.Function, before func([]cty.Value) error, after func(error, []cty.Value) error) function.Function {
	spec := &function.Spec{
		Params: f.Params(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := before(args); err != nil {
				return cty.DynamicPseudoType, after(err, args)
			}
			ty, err := f.ReturnTypeForValues(args)
			return ty, after(err, args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := f.Call(args)
			return v, after(err, args)
		},
	}
	for i := range spec.Params {
		spec.Params[i].AllowMarked = true // f itself hands the marks on
	}
	if p := f.VarParam(); p != nil {
		variadic := *p
		variadic.AllowMarked = true
		spec.VarParam = &variadic
	}
	return function.New(spec)
}

func fewElements(args []cty.Value) error {
	if v := args[0]; !v.IsNull() && v.CanIterateElements() && v.LengthInt() > maxElements {
		return &callError{"Too many elements", fmt.Sprintf("The function takes at most %d elements.", maxElements)}
	}
	return nil
}

func indentFits(args []cty.Value) error {
	if args[0].IsNull() || args[1].IsNull() {
		return nil
	}
	spaces, _ := args[0].AsBigFloat().Int64()
	if spaces < 0 {
		return function.NewArgErrorf(0, "a number of spaces is 0 or more")
	}
	s := args[1].AsString()
	if spaces > maxString || len(s)+strings.Count(s, "\n")*int(spaces) > maxString {
		return errTooLong()
	}
	return nil
}

func joinFits(args []cty.Value) error {
	if args[0].IsNull() {
		return nil
	}
	size, separator := 0, len(args[0].AsString())
	for _, list := range args[1:] {
		if list.IsNull() {
			continue
		}
		for it := list.ElementIterator(); it.Next(); {
			_, v := it.Element()
			if size += separator + textSize(v, maxString); size > maxString {
				return errTooLong()
			}
		}
	}
	return nil
}

func valuesFit(args []cty.Value) error {
	size := 0
	for _, v := range args {
		if size += textSize(v, maxString); size > maxString {
			return errTooLong()
		}
	}
	return nil
}

// formatWidths finds what a verb may ask for beyond its value: its width and
// its precision.
var formatWidths = regexp.MustCompile(`%[^%a-zA-Z]*`)

func formatFits(args []cty.Value) error {
	if args[0].IsNull() {
		return nil
	}
	longest := 0
	for _, v := range args[1:] {
		longest = max(longest, textSize(v, maxString+1))
	}
	spec := args[0].AsString()
	size := len(spec)
	for _, verb := range formatWidths.FindAllString(spec, -1) {
		size += longest
		for _, digits := range strings.FieldsFunc(verb, func(r rune) bool { return r < '0' || '9' < r }) {
			n, err := strconv.Atoi(digits)
			if err != nil || n > maxString {
				return errTooLong()
			}
			size += n
		}
		if size > maxString {
			return errTooLong()
		}
	}
	return nil
}

// textSize is about the length of v as JSON. It stops counting past limit.
func textSize(v cty.Value, limit int) int {
	switch {
	case v.IsNull() || v.Type() == cty.Bool:
		return 5
	case v.Type() == cty.String:
		return len(v.AsString()) + 2
	case v.Type() == cty.Number:
		// A decimal digit is more than three bits.
		f := v.AsBigFloat()
		exponent := f.MantExp(nil)
		return 20 + max(exponent, -exponent)/3
	case v.CanIterateElements():
		size := 2
		for it := v.ElementIterator(); it.Next() && size <= limit; {
			key, element := it.Element()
			size += 1 + textSize(element, limit-size)
			if key.Type() == cty.String {
				size += len(key.AsString()) + 3
			}
		}
		return size
	}
	return 0
}

func shallowJSON(args []cty.Value) error {
	if args[0].IsNull() {
		return nil
	}
	s := args[0].AsString()
	if len(s) > maxString {
		return errTooLong()
	}
	decoder := json.NewDecoder(strings.NewReader(s))
	decoder.UseNumber()
	depth := 0
	for {
		token, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF) && depth == 0:
			return nil
		case errors.Is(err, io.EOF):
			return &callError{"Invalid JSON", "The text ends inside a value."}
		case err != nil:
			return &callError{"Invalid JSON", fmt.Sprintf("The text is no JSON: %v.", err)}
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			if depth++; depth > maxJSON {
				return &callError{"Invalid JSON", fmt.Sprintf("The text nests more than %d values.", maxJSON)}
			}
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
}
