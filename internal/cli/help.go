package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// sectionKey is the annotation of a flag with the title of its section in --help.
const sectionKey = "section"

// generalSection is the title of flags outside every section.
const generalSection = "General"

// Section defines flags that --help prints together under a title.
func Section(fs *pflag.FlagSet, title string, define func(fs *pflag.FlagSet)) {
	known := map[string]bool{}
	fs.VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	define(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		if !known[f.Name] {
			_ = fs.SetAnnotation(f.Name, sectionKey, []string{title}) // it errs for unknown flags
		}
	})
}

// FlagSection is a title with its flags, in the order of their definition.
type FlagSection struct {
	Title string
	Flags []*pflag.Flag
}

// Sections returns the flags of a command as --help groups them.
func Sections(cmd *cobra.Command) []FlagSection {
	var list []FlagSection
	at := map[string]int{}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		title := generalSection
		if a := f.Annotations[sectionKey]; len(a) > 0 {
			title = a[0]
		}
		i, ok := at[title]
		if !ok {
			i = len(list)
			at[title] = i
			list = append(list, FlagSection{Title: title})
		}
		list[i].Flags = append(list[i].Flags, f)
	})
	return list
}

// helpWidth bounds the lines of --help.
const helpWidth = 110

// usage prints how a command is used: examples and flags, grouped.
func usage(w io.Writer, cmd *cobra.Command, width int) error {
	if width <= 0 || width > helpWidth {
		width = helpWidth
	}
	var b strings.Builder
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "Usage:\n  %s COMMAND [flags]\n\nCommands:\n", cmd.CommandPath())
		longest := 0
		for _, c := range cmd.Commands() {
			longest = max(longest, len(c.Name()))
		}
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.Name() != "help" {
				fmt.Fprintf(&b, "  %-*s  %s\n", longest, c.Name(), c.Short)
			}
		}
		fmt.Fprintf(&b, "\n'%s COMMAND --help' describes a command.\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
		if cmd.Example != "" {
			short := cmd.Parent().Name() + " " + cmd.Name() // as the binary of this command alone has it
			fmt.Fprintf(&b, "\nExamples:\n%s\n", strings.ReplaceAll(cmd.Example, short, cmd.CommandPath()))
		}
		for _, s := range Sections(cmd) {
			set := pflag.NewFlagSet("", pflag.ContinueOnError)
			set.SortFlags = false
			for _, f := range s.Flags {
				set.AddFlag(f)
			}
			fmt.Fprintf(&b, "\n%s:\n%s", s.Title, set.FlagUsagesWrapped(width))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
