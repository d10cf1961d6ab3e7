package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
)

const showExamples = `  adapter show --adapter runs/mine`

func show(env cli.Env) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Print what is in an adapter",
		Long:    "Print the configuration, the classes, the notes and the tensors of an adapter, without its base model.",
		Example: showExamples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) {
		fs.StringVar(&dir, "adapter", "", "`directory` of the adapter")
	})
	cmd.RunE = func(*cobra.Command, []string) error {
		if dir == "" {
			return cli.UsageError(errors.New("--adapter is missing; give the directory of an adapter"))
		}
		return printAdapter(env.Out, dir)
	}
	cli.Leaf(cmd)
	return cmd
}

func printAdapter(w io.Writer, dir string) error {
	if err := base.CheckAdapterDir(dir); err != nil {
		return err
	}
	c, warnings, err := lora.ReadConfig(dir)
	if err != nil {
		return base.Input(err)
	}
	labels, err := base.ReadLabels(dir)
	if err != nil {
		return err
	}
	tensors, err := lora.Tensors(dir)
	if err != nil {
		return base.Input(err)
	}
	notes, err := lora.ReadNotes(dir)
	if err != nil {
		return base.Input(err)
	}
	config, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", config)
	for _, text := range warnings {
		fmt.Fprintf(&b, "warning: %s\n", text)
	}
	if labels != nil {
		if labels.Problem != nil {
			fmt.Fprintf(&b, "%v\n", *labels.Problem)
		}
		if len(labels.Names) > 0 {
			fmt.Fprintf(&b, "%d classes: %s\n", len(labels.Names), strings.Join(labels.Names, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		fmt.Fprintf(&b, "%s: %s\n", name, notes[name])
	}
	values := 0
	for _, t := range tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		values += n
		fmt.Fprintf(&b, "%-5s %-14s %s\n", t.DType, shape(t.Shape), t.Path)
	}
	fmt.Fprintf(&b, "%d tensors, %d values\n", len(tensors), values)
	_, err = io.WriteString(w, b.String())
	return err
}

// shape prints sizes as 8×384.
func shape(sizes []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(sizes), "[]"), " ", "×")
}
