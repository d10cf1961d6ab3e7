package cli

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/nn"
)

// aliases are the names that Hugging Face's Trainer, its example scripts and PEFT have for our flags.
var aliases = map[string]string{
	"model-name-or-path":          "model",
	"base-model":                  "model",
	"per-device-train-batch-size": "batch-size",
	"train-batch-size":            "batch-size",
	"epochs":                      "num-train-epochs",
	"num-epochs":                  "num-train-epochs",
	"lr":                          "learning-rate",
	"max-seq-length":              "max-length",
	"r":                           "lora-r",
	"rank":                        "lora-r",
	"lora-rank":                   "lora-r",
	"alpha":                       "lora-alpha",
	"lora-target-modules":         "target-modules",
	"lora-target":                 "target-modules",
	"micro-batch-size":            "batch-size",
	"cutoff-len":                  "max-length",
	"validation-file":             "eval-file",
	"overwrite-output-dir":        "overwrite",
	"text-column-name":            "text-column",
	"label-column-name":           "label-column",
	"summary-column":              "target-column",
	"val-max-target-length":       "generation-max-length",
	"save-total-limit":            "keep-checkpoints",
	"label-smoothing":             "label-smoothing-factor",
	"max-samples":                 "max-train-samples",
	"adapter-name-or-path":        "adapter",
}

// canonical returns the function from what a user wrote to a flag's own name: - and _ are alike, and HF's long names
// are accepted unless the command has a flag of that name itself, as adapter reduce has --rank.
func canonical(fs *pflag.FlagSet) func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	flags := map[string]bool{}
	fs.VisitAll(func(f *pflag.Flag) { flags[f.Name] = true })
	return func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		name = strings.ReplaceAll(name, "_", "-")
		if own, ok := aliases[name]; ok && !flags[name] {
			name = own
		}
		return pflag.NormalizedName(name)
	}
}

// AddConfig gives a command --config and HF's spellings. The command's flags must have been defined.
func AddConfig(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SetNormalizeFunc(canonical(fs))
	path := fs.String("config", "", "YAML `file` with any of these flags by name; flags on the command line win")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if *path == "" {
			return nil
		}
		return UsageError(readConfig(fs, *path))
	}
}

// rivals are flags that exclude each other. One that the command line gives silences the other in a file.
var rivals = map[string]string{
	"max-steps":        "num-train-epochs",
	"num-train-epochs": "max-steps",
	"batch-size":       "tokens-per-batch",
	"tokens-per-batch": "batch-size",
	"warmup-steps":     "warmup-ratio",
	"warmup-ratio":     "warmup-steps",
	"eval-file":        "validation-split",
	"validation-split": "eval-file",
	"adapter":          "adapters",
	"adapters":         "adapter",
}

// readConfig sets the flags that a YAML file names and that the command line does not.
func readConfig(fs *pflag.FlagSet, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	values, err := parseConfig(text)
	if err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	c := configFile{fs: fs, seen: map[string]int{}, given: map[string]bool{}}
	fs.Visit(func(f *pflag.Flag) { c.given[f.Name] = true })
	var errs []error
	for _, v := range values {
		if err := c.set(v); err != nil {
			errs = append(errs, fmt.Errorf("--config %s:%d: %w", path, line(v), err))
		}
	}
	return errors.Join(errs...)
}

// parseConfig returns the settings of a YAML text in their order.
func parseConfig(text []byte) ([]*ast.MappingValueNode, error) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, errors.New("the file is UTF-16; save it as UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))                        // which Windows writes first
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey()) // which setFlag reports in our words
	if err != nil {
		var y yaml.Error
		if errors.As(err, &y) && y.GetToken() != nil {
			return nil, fmt.Errorf("line %d: %s", y.GetToken().Position.Line, y.GetMessage())
		}
		return nil, errors.New(OneLine(err))
	}
	var values []*ast.MappingValueNode
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.NullNode, *ast.DirectiveNode:
		case *ast.MappingNode:
			values = append(values, body.Values...)
		case *ast.MappingValueNode:
			values = append(values, body)
		default:
			return nil, fmt.Errorf("line %d: want lines of the form name: value, with a blank after the colon",
				body.GetToken().Position.Line)
		}
	}
	return values, nil
}

func line(v *ast.MappingValueNode) int { return v.Key.GetToken().Position.Line }

// configFile is a YAML file that is being applied to flags.
type configFile struct {
	fs    *pflag.FlagSet
	seen  map[string]int  // line of each setting
	given map[string]bool // on the command line
}

// set applies one line.
func (c *configFile) set(v *ast.MappingValueNode) error {
	key := v.Key.GetToken().Value
	flag := c.fs.Lookup(key)
	if flag == nil || flag.Name == "config" || flag.Name == "help" {
		return fmt.Errorf("%q is not a setting%s", key, didYouMean(c.fs, key))
	}
	if at, twice := c.seen[flag.Name]; twice {
		return fmt.Errorf("%q is set twice, first in line %d", key, at)
	}
	c.seen[flag.Name] = line(v)
	if c.given[flag.Name] || c.given[rivals[flag.Name]] {
		return nil
	}
	if isDefault(v.Value, flag) {
		return nil
	}
	texts, err := values(v.Value, flag)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	for _, text := range texts {
		if err := c.fs.Set(flag.Name, text); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// didYouMean returns what a name that is no flag of fs may mean.
func didYouMean(fs *pflag.FlagSet, name string) string {
	if hint := trainerHint(fs, name); hint != "" {
		return hint
	}
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	for alias := range aliases {
		names = append(names, alias)
	}
	slices.Sort(names) // the aliases came from a map
	if near := nn.Nearest(strings.ReplaceAll(name, "_", "-"), names); len(near) > 0 {
		return "; did you mean " + strings.Join(near, ", ") + "?"
	}
	return ""
}

// switches are YAML 1.1's words for true and false, which the parser, of YAML 1.2, reads as texts.
var switches = map[string]string{"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}

// isDefault reports whether a YAML value asks for a flag's default: null or ~, or false in place of a path.
func isDefault(n ast.Node, flag *pflag.Flag) bool {
	switch v := n.(type) {
	case *ast.NullNode:
		return v.GetToken().Type != token.ImplicitNullType // a name without a value may be a slip
	case *ast.BoolNode:
		return !v.Value && takesPath(flag)
	}
	return false
}

// takesPath reports whether a flag's value is a file or a directory.
func takesPath(flag *pflag.Flag) bool {
	what, _ := pflag.UnquoteUsage(flag)
	return what == "file" || what == "directory"
}

// values returns a YAML value as the texts that the flag is set with: those of a list as they are, whatever they hold.
func values(n ast.Node, flag *pflag.Flag) ([]string, error) {
	into := flag.Value
	if mapping := mappingOf(n); mapping != nil && (into.Type() == pairsType || into.Type() == adaptersType) {
		texts, err := pairTexts(mapping)
		return quoted(texts, into), err
	}
	if into.Type() == rowsType {
		return rowTexts(n)
	}
	list, isList := n.(*ast.SequenceNode)
	if !isList {
		s, err := single(n, flag)
		return []string{s}, err
	}
	if _, takesList := into.(pflag.SliceValue); !takesList {
		return nil, errors.New("takes one value, not a list")
	}
	var texts []string
	for _, e := range list.Values {
		s, err := scalar(e)
		if err != nil {
			return nil, err
		}
		texts = append(texts, s)
	}
	return quoted(texts, into), nil
}

// quoted returns the texts as a flag reads them that splits its text at commas, if into is one.
func quoted(texts []string, into pflag.Value) []string {
	if kind := into.Type(); kind != "stringSlice" && kind != adaptersType {
		return texts
	}
	for i, s := range texts {
		texts[i] = quoteField(s)
	}
	return texts
}

// mappingOf returns the lines of a mapping, or nil if n is none.
func mappingOf(n ast.Node) []*ast.MappingValueNode {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{v}
	}
	return nil
}

// pairTexts returns the lines of a mapping as key=value.
func pairTexts(lines []*ast.MappingValueNode) ([]string, error) {
	var texts []string
	for _, l := range lines {
		s, err := scalar(l.Value)
		if err != nil {
			return nil, err
		}
		texts = append(texts, l.Key.GetToken().Value+"="+s)
	}
	return texts, nil
}

// rowTexts returns a list, or a mapping of lists, as 3,17 or name=3,17;name=5.
func rowTexts(n ast.Node) ([]string, error) {
	var parts []string
	for _, l := range mappingOf(n) {
		text, err := rowTexts(l.Value)
		if err != nil {
			return nil, err
		}
		parts = append(parts, l.Key.GetToken().Value+"="+text[0])
	}
	if parts != nil {
		return []string{strings.Join(parts, ";")}, nil
	}
	list, isList := n.(*ast.SequenceNode)
	if !isList {
		s, err := scalar(n)
		return []string{s}, err
	}
	for _, e := range list.Values {
		s, err := scalar(e)
		if err != nil {
			return nil, err
		}
		parts = append(parts, s)
	}
	return []string{strings.Join(parts, ",")}, nil
}

// single returns a YAML value that is no list as the text that the flag is set with.
func single(n ast.Node, flag *pflag.Flag) (string, error) {
	s, err := scalar(n)
	if err != nil {
		return "", err
	}
	switch kind := flag.Value.Type(); kind {
	case "bool":
		if on, ok := switches[strings.ToLower(s)]; ok {
			s = on
		}
	case "int", "uint64", "float32", "float64":
		if s, err = number(s, !strings.HasPrefix(kind, "float")); err != nil {
			return "", err
		}
		if strings.HasPrefix(kind, "uint") && strings.HasPrefix(s, "-") {
			return "", fmt.Errorf("is %s; want 0 or more", s)
		}
	case "string":
		if v, ok := n.(*ast.BoolNode); ok && takesPath(flag) {
			what, _ := pflag.UnquoteUsage(flag)
			return "", fmt.Errorf("is %t; want a %s", v.Value, what)
		}
	}
	return s, nil
}

// number returns the text of a number as Go's parsers read it: without blanks around it, and 64.0 as 64 where the
// number is whole.
func number(s string, whole bool) (string, error) {
	s = strings.TrimSpace(s)
	if _, err := strconv.ParseInt(s, 0, 64); err == nil {
		return s, nil
	}
	const exact = 1 << 53
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case whole && (err != nil || !strings.ContainsAny(s, ".eE")):
		return "", fmt.Errorf("is %q; want a whole number, such as 64", s)
	case err != nil:
		return "", fmt.Errorf("is %q; want a number, such as 0.001 or 1e-3", s)
	case !whole:
		return s, nil
	case x != math.Trunc(x) || math.Abs(x) > exact:
		return "", fmt.Errorf("is %s; want a whole number", s)
	}
	return strconv.FormatInt(int64(x), 10), nil
}

// scalar returns a YAML value as it would be typed.
func scalar(n ast.Node) (string, error) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, nil
	case *ast.LiteralNode:
		return v.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		return "", errors.New("has no value; leave the line out for the default")
	}
	return "", errors.New("want a number, a text or a list of these; anchors, aliases and tags are not supported")
}
