package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/nn"
)

// aliases are the names that Hugging Face's Trainer, its example scripts and PEFT have for our flags.
var aliases = map[string]string{
	"model-name-or-path": "model", "base-model": "model", "per-device-train-batch-size": "batch-size", "train-batch-size": "batch-size",
	"epochs": "num-train-epochs", "num-epochs": "num-train-epochs", "lr": "learning-rate", "max-seq-length": "max-length",
	"r": "lora-r", "rank": "lora-r", "lora-rank": "lora-r", "alpha": "lora-alpha", "lora-target-modules": "target-modules",
	"validation-file": "eval-file", "overwrite-output-dir": "overwrite", "text-column-name": "text-column", "label-column-name": "label-column",
	"save-total-limit": "keep-checkpoints", "label-smoothing": "label-smoothing-factor", "max-samples": "max-train-samples",
	"adapter-name-or-path": "adapter",
}

// canonical returns a flag's own name for what a user wrote: - and _ are alike, and HF's long names are accepted.
func canonical(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	if own, ok := aliases[name]; ok {
		name = own
	}
	return pflag.NormalizedName(name)
}

// AddConfig gives a command --config and HF's spellings. The command's flags must have been defined.
func AddConfig(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SetNormalizeFunc(canonical)
	path := fs.String("config", "", "YAML `file` with any of these flags by name; flags on the command line win")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if *path == "" {
			return nil
		}
		return UsageError(readConfig(fs, *path))
	}
}

// readConfig sets the flags that a YAML file names and that the command line does not.
func readConfig(fs *pflag.FlagSet, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return fmt.Errorf("--config %s: %s", path, strings.SplitN(err.Error(), "\n", 2)[0])
	}
	var values []*ast.MappingValueNode
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil:
		case *ast.MappingNode:
			values = append(values, body.Values...)
		case *ast.MappingValueNode:
			values = append(values, body)
		default:
			return fmt.Errorf("--config %s: want lines of the form name: value", path)
		}
	}
	var errs []error
	seen := map[string]bool{}
	given := map[string]bool{} // on the command line
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	for _, v := range values {
		if err := setFlag(fs, v, seen, given); err != nil {
			errs = append(errs, fmt.Errorf("--config %s:%d: %w", path, v.Key.GetToken().Position.Line, err))
		}
	}
	return errors.Join(errs...)
}

func setFlag(fs *pflag.FlagSet, v *ast.MappingValueNode, seen, given map[string]bool) error {
	key := v.Key.GetToken().Value
	flag := fs.Lookup(key)
	if flag == nil || flag.Name == "config" || flag.Name == "help" {
		return fmt.Errorf("%q is not a setting%s", key, didYouMean(fs, key))
	}
	if seen[flag.Name] {
		return fmt.Errorf("%q is set twice", key)
	}
	seen[flag.Name] = true
	if given[flag.Name] {
		return nil
	}
	text, err := scalar(v.Value)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if err := fs.Set(flag.Name, text); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func didYouMean(fs *pflag.FlagSet, name string) string {
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := nn.Nearest(strings.ReplaceAll(name, "_", "-"), names); len(near) > 0 {
		return "; did you mean " + strings.Join(near, ", ") + "?"
	}
	return ""
}

// scalar returns a YAML value as it would be typed: a list's elements are joined by commas.
func scalar(n ast.Node) (string, error) {
	switch v := n.(type) {
	case *ast.SequenceNode:
		var parts []string
		for _, e := range v.Values {
			s, err := scalar(e)
			if err != nil {
				return "", err
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, ","), nil
	case *ast.StringNode:
		return v.Value, nil
	case *ast.LiteralNode:
		return v.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		return "", errors.New("has no value; leave the line out for the default")
	}
	return "", errors.New("want a number, a text or a list")
}
