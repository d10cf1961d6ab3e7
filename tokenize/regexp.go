package tokenize

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// expression finds the matches of a regular expression.
type expression struct{ re *regexp.Regexp }

func (e expression) find(text []byte, at int) (from, to int, ok bool) {
	m := e.re.FindIndex(text[at:])
	if m == nil {
		return 0, 0, false
	}
	return at + m[0], at + m[1], true
}

// compileRegex returns the finder of a regular expression of tokenizer.json. The reference reads it with Oniguruma,
// which backtracks. The patterns of wordPatterns have their own code here. Other patterns are accepted if Go's engine
// matches them in the same way and if their matches can be found one after another in linear time.
func compileRegex(pattern string) (finder, error) {
	if p, ok := wordPatterns[pattern]; ok {
		return p, nil
	}
	t := translator{rest: pattern}
	if err := t.translate(); err != nil {
		return nil, fmt.Errorf("regular expression %q is not supported: %w", pattern, err)
	}
	tree, err := syntax.Parse(t.out.String(), syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	if err := checkLinear(tree.Simplify(), true); err != nil {
		return nil, fmt.Errorf("regular expression %q is not supported: %w", pattern, err)
	}
	re, err := regexp.Compile(t.out.String())
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	if re.MatchString("") {
		return nil, fmt.Errorf("regular expression %q is not supported: it matches the empty text", pattern)
	}
	return expression{re}, nil
}

// checkLinear refuses expressions for which the engine may have to read far beyond the end of a match, as a+b|a: a loop
// must repeat a single code point and end the match. last says that nothing follows re.
func checkLinear(re *syntax.Regexp, last bool) error {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus:
		switch one := re.Sub[0].Op; {
		case !last:
			return errors.New("text after a repetition without a limit, which can take quadratic time")
		case one != syntax.OpCharClass && one != syntax.OpAnyCharNotNL && one != syntax.OpAnyChar &&
			(one != syntax.OpLiteral || len(re.Sub[0].Rune) != 1):
			return errors.New("a repetition without a limit of more than one character, which can take quadratic time")
		}
		return nil
	case syntax.OpConcat:
		for i, sub := range re.Sub {
			if err := checkLinear(sub, last && i == len(re.Sub)-1); err != nil {
				return err
			}
		}
		return nil
	}
	for _, sub := range re.Sub {
		if err := checkLinear(sub, last); err != nil {
			return err
		}
	}
	return nil
}

// translator translates an Oniguruma expression to one of Go's with the same meaning, and fails at the first construct
// that is not known to have the same meaning.
type translator struct {
	rest string
	out  strings.Builder
}

func (t *translator) translate() error {
	for t.rest != "" {
		r, n := utf8.DecodeRuneInString(t.rest)
		t.rest = t.rest[n:]
		var err error
		switch r {
		case '\\':
			err = t.escape(false)
		case '[':
			err = t.class()
		case '(':
			err = t.group()
		case '{':
			err = t.count()
		case '*', '+', '?':
			t.out.WriteRune(r)
			err = t.noSecond()
		case '^', '$':
			err = fmt.Errorf("%c", r)
		case '.':
			t.out.WriteString(`[^\n]`)
		case ')', '|':
			t.out.WriteRune(r)
		default:
			t.out.WriteString(regexp.QuoteMeta(string(r)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// noSecond returns an error if a second quantifier follows: possessive, lazy or nested.
func (t *translator) noSecond() error {
	if t.rest != "" && strings.ContainsRune("*+?{", rune(t.rest[0])) {
		return errors.New("a quantifier after a quantifier")
	}
	return nil
}

// group reads the text after an opening parenthesis.
func (t *translator) group() error {
	if strings.HasPrefix(t.rest, "?:") {
		t.rest = t.rest[2:]
	} else if strings.HasPrefix(t.rest, "?") {
		return fmt.Errorf("(%.2s", t.rest)
	}
	t.out.WriteString("(?:")
	return nil
}

// count reads a quantifier {n}, {n,} or {n,m} after its brace.
func (t *translator) count() error {
	end := strings.IndexByte(t.rest, '}')
	if end <= 0 || strings.Trim(t.rest[:end], "0123456789,") != "" || t.rest[0] == ',' ||
		strings.Count(t.rest[:end], ",") > 1 {
		return errors.New("a brace that is not a quantifier {n}, {n,} or {n,m}")
	}
	t.out.WriteString("{" + t.rest[:end+1])
	t.rest = t.rest[end+1:]
	return t.noSecond()
}

// class reads a bracket expression after its bracket.
func (t *translator) class() error {
	t.out.WriteByte('[')
	if strings.HasPrefix(t.rest, "^") {
		t.out.WriteByte('^')
		t.rest = t.rest[1:]
	}
	for first := true; ; first = false {
		r, n := utf8.DecodeRuneInString(t.rest)
		t.rest = t.rest[n:]
		switch {
		case n == 0:
			return errors.New("a bracket that is not closed")
		case r == ']' && !first:
			t.out.WriteByte(']')
			return nil
		case r == '[' || r == ']' || r == '&' && strings.HasPrefix(t.rest, "&"):
			return fmt.Errorf("%c inside brackets", r)
		case r == '\\':
			if err := t.escape(true); err != nil {
				return err
			}
		case r == '-':
			t.out.WriteByte('-')
		default:
			fmt.Fprintf(&t.out, `\x{%x}`, r)
		}
	}
}

// escape reads the text after a backslash.
func (t *translator) escape(inClass bool) error {
	r, n := utf8.DecodeRuneInString(t.rest)
	t.rest = t.rest[n:]
	var ranges string
	switch {
	case n == 0:
		return errors.New("a backslash at the end")
	case r == 'n', r == 'r', r == 't', r == 'f', r == 'v':
		t.out.WriteString(`\` + string(r))
		return nil
	case r == 'u' && len(t.rest) >= 4:
		point, err := strconv.ParseUint(t.rest[:4], 16, 16)
		if err != nil {
			return fmt.Errorf(`\u%s`, t.rest[:4])
		}
		t.rest = t.rest[4:]
		fmt.Fprintf(&t.out, `\x{%x}`, point)
		return nil
	case r == 's' || r == 'S':
		ranges = classRegex(isSpace, r == 'S')
	case r == 'd' || r == 'D':
		ranges = classRegex(isDecimal, r == 'D')
	case r == 'w' || r == 'W':
		ranges = classRegex(isWordRE, r == 'W')
	case r == 'p' && strings.HasPrefix(t.rest, "{"):
		end := strings.IndexByte(t.rest, '}')
		c := map[string]class{"{L": isLetter, "{N": isNumber, "{Nd": isDecimal}[t.rest[:max(end, 0)]]
		if c == 0 {
			return fmt.Errorf(`\p%.12s`, t.rest)
		}
		t.rest = t.rest[end+1:]
		ranges = classRegex(c, false)
	case r < utf8.RuneSelf && classOf(r)&isWordRE == 0:
		fmt.Fprintf(&t.out, `\x{%x}`, r)
		return nil
	default:
		return fmt.Errorf(`\%c`, r)
	}
	if !inClass {
		ranges = "[" + ranges + "]"
	}
	t.out.WriteString(ranges)
	return nil
}

// classRegex returns the code points of class c, or all others, as ranges for use inside a bracket expression.
func classRegex(c class, others bool) string {
	var b strings.Builder
	put := func(lo, hi rune) {
		if lo <= hi {
			fmt.Fprintf(&b, `\x{%x}-\x{%x}`, lo, hi)
		}
	}
	next := rune(0) // the code point after the last range
	for i := 0; i < len(classRanges); i++ {
		if classRanges[i].class&c == 0 {
			continue
		}
		lo, hi := classRanges[i].lo, classRanges[i].hi
		for ; i+1 < len(classRanges) && classRanges[i+1].class&c != 0 && classRanges[i+1].lo == hi+1; i++ {
			hi = classRanges[i+1].hi
		}
		if others {
			put(next, lo-1)
		} else {
			put(lo, hi)
		}
		next = hi + 1
	}
	if others {
		put(next, utf8.MaxRune)
	}
	return b.String()
}
